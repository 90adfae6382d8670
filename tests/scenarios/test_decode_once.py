"""A tile that several tasks need is decoded once, though the cache holds only a part of the image."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import dask
import numpy as np
import pytest
import rasterio

import weft
from weft.graph.cache import TileCache, tile_cache

TILES, TILE_BYTES = 16, 3 * 512 * 512 * 2  # of the tiled scene: weft reads the file's tiles of 256 by fours


@dataclass
class Asked:
    """How often each tile was asked for since the test began."""

    times: dict[Any, int] = field(default_factory=dict)

    @property
    def loads_per_tile(self) -> float:
        return tile_cache().counts.loads / len(self.times)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    """The tile cache emptied and watched; its size as it was when the test ends."""
    cache, get, record = tile_cache(), TileCache.get, Asked()

    def watched(self: TileCache, key: Any, load: Any) -> Any:
        record.times[key] = record.times.get(key, 0) + 1
        return get(self, key, load)

    monkeypatch.setattr(TileCache, "get", watched)
    size = cache.max_bytes
    cache.clear()
    yield record
    cache.resize(size)
    cache.clear()


@pytest.fixture
def in_order() -> Iterator[None]:
    """One task after the other: what threads that wait for a busy machine evict is not what is judged here."""
    with dask.config.set(scheduler="sync"):
        yield


def chain(path: Any) -> weft.Raster:
    return weft.open(path).crop(window=(96, 1944, 88, 1992)).warp("EPSG:3857", resolution=10)


@pytest.mark.usefixtures("in_order")
@pytest.mark.parametrize("part", [0.9, 0.5])
def test_a_cache_of_a_part_of_the_image_is_enough(tiled, asked, tmp_path, part):
    tile_cache().resize(int(part * TILES * TILE_BYTES))
    url = chain(tiled).rescale((1500, 4500), (0, 255), "uint8").to_zarr(tmp_path / "a.zarr", chunks=(512, 512))
    assert len(asked.times) == TILES
    assert sum(asked.times.values()) > 1.3 * TILES, "neighbouring tasks share tiles"
    assert asked.loads_per_tile <= 1.2
    assert tile_cache().current_bytes <= part * TILES * TILE_BYTES
    tile_cache().resize(2 * TILES * TILE_BYTES)
    np.testing.assert_array_equal(weft.open(url).to_numpy(), chain(tiled).rescale((1500, 4500), (0, 255), "uint8").to_numpy())


@pytest.mark.usefixtures("in_order")
def test_a_stretch_by_statistics_of_an_overview_reads_the_image_once(tiled, asked, monkeypatch, tmp_path):
    monkeypatch.setattr(sys.modules["weft.ops.statistics"], "MIN_PIXELS", 200_000)
    tile_cache().resize(TILES // 2 * TILE_BYTES)
    view = chain(tiled).stretch((2, 98))
    view.to_zarr(tmp_path / "a.zarr", chunks=(512, 512))
    assert len(asked.times) > TILES, "the overview's tiles are read too"
    assert asked.loads_per_tile <= 1.2


@pytest.mark.usefixtures("in_order")
def test_statistics_of_all_pixels_take_one_pass_of_their_own(tiled, asked, tmp_path):
    tile_cache().resize(TILES // 2 * TILE_BYTES)
    chain(tiled).dra(approximate=False).to_zarr(tmp_path / "a.zarr", chunks=(512, 512))
    assert len(asked.times) == TILES
    assert asked.loads_per_tile <= 2.4


def test_neighbouring_tasks_share_tiles(tiled, asked):
    tile_cache().resize(2 * TILES * TILE_BYTES)
    r = weft.open(tiled)
    pixels = r.to_dask(chunks=(96, 96)).compute()
    with rasterio.open(tiled) as file:
        np.testing.assert_array_equal(pixels, file.read())
    assert sum(asked.times.values()) > 5 * TILES
    assert tile_cache().counts.loads == len(asked.times) == TILES


@pytest.mark.usefixtures("in_order")
def test_two_sources_in_one_graph(tiled, scene, asked, tmp_path):
    """The difference of two warped images on one grid: neither's tiles push the other's out."""
    one = weft.open(tiled).crop(window=(0, 1200, 0, 1200)).warp("EPSG:3857", resolution=12)
    other = weft.open(scene).select("nir").warp(like=one)
    both = weft.concat([one.select([0]), other.select([0])]).astype("float32")
    ratio = both.select([0]) - both.select([1])
    tile_cache().resize(int(0.6 * TILES * TILE_BYTES))
    ratio.to_zarr(tmp_path / "a.zarr", chunks=(512, 512))
    tokens = {key[0] for key in asked.times}
    assert len(tokens) == 2
    assert asked.loads_per_tile <= 1.2
