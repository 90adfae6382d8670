"""How often pixels are read for what depends on the whole image: never more than the statistic and the picture need."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import weft
from weft.graph.cache import tile_cache

TILES, SIDE = 9, 512


@pytest.fixture
def floats(tmp_path: Path) -> weft.Raster:
    """A store of 3 x 3 tiles of two float bands, some pixels NaN."""
    data = np.random.default_rng(1).gamma(2, 300, (2, 1300, 1100)).astype(np.float32)
    data[0, :30] = np.nan
    return weft.open(weft.from_array(data).to_zarr(tmp_path / "floats.zarr", chunks=(1, SIDE, SIDE)))


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    """A tile cache that keeps nothing: what is asked for again is read again."""
    cache = tile_cache()
    size = cache.max_bytes
    cache.resize(0)
    cache.clear()
    yield
    cache.resize(size)
    cache.clear()


@pytest.mark.parametrize("verb", ["stretch", "dra"])
def test_a_stretch_of_floats_reads_twice(floats: weft.Raster, verb: str, tmp_path: Path) -> None:
    getattr(floats, verb)(approximate=False).to_zarr(tmp_path / "out.zarr", chunks=(1, SIDE, SIDE))
    assert tile_cache().counts.loads == 2 * TILES


def test_one_range_for_all_bands_reads_twice_too(floats: weft.Raster) -> None:
    floats.stretch(per_band=False, approximate=False).to_numpy()
    assert tile_cache().counts.loads == 2 * TILES


def test_statistics_and_histogram_read_once(floats: weft.Raster) -> None:
    found = floats.image_statistics()
    assert tile_cache().counts.loads == TILES
    assert found["b1"].count == 1270 * 1100
    floats.histogram()
    assert tile_cache().counts.loads == 2 * TILES


def test_blocks_that_are_not_chosen_are_not_read(floats: weft.Raster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weft.ops.sampled_pixels.BLOCK_SIDE", SIDE)
    found = floats.image_statistics(strategy=weft.ops.SamplingStrategy.BLOCK, num_blocks=1)
    assert tile_cache().counts.loads == 1
    assert 0 < found["b2"].count <= SIDE * SIDE
    assert found.sample_rate == found["b2"].count / (1300 * 1100)
