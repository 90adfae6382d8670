"""Pyramids in zarr: every level as it is alone, one pass, metadata that others read."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr

import weft
from weft.graph.cache import tile_cache
from weft.graph.errors import ArgumentError, SinkError

PLACE = (10, 0, 500000, 0, -10, 5000000)


def raster(rows=700, cols=611, **more):
    pixels = np.random.default_rng(1).integers(1, 4000, (2, rows, cols)).astype("uint16")
    return weft.from_array(pixels, transform=PLACE, crs="EPSG:32633", bands=["red", "nir"], **more)


def assert_levels(url, pyramid):
    for k, level in enumerate(pyramid):
        stored = weft.open(f"{url}/{k}")
        assert stored.grid == level.grid
        assert stored.bands == level.bands
        expected, found = level.to_numpy(masked=True), stored.to_numpy(masked=True)
        np.testing.assert_array_equal(np.ma.getmaskarray(found), np.ma.getmaskarray(expected))
        np.testing.assert_array_equal(found.filled(0), expected.filled(0))


@pytest.mark.parametrize("method", ["sips", "average", "mode", "lanczos"])
@pytest.mark.parametrize("chunks", [None, (100, 64), (1, 33, 41), (2, 512, 512), (1000, 1000)])
def test_one_pass_writes_what_each_level_is_alone(tmp_path, method, chunks):
    pyramid = raster().pyramid(method, 100)
    url = pyramid.to_zarr(tmp_path / "a.zarr", chunks=chunks)
    assert_levels(url, pyramid)


@pytest.mark.parametrize("options", [{"shards": (128, 128), "chunks": (64, 64)}, {"zarr_format": 2}, {"compressor": None}])
def test_layouts(tmp_path, options):
    pyramid = raster().pyramid("average", 100)
    assert_levels(pyramid.to_zarr(tmp_path / "a.zarr", **options), pyramid)


@pytest.mark.parametrize("nodata", [None, 0])
def test_masks_and_nodata_go_along(tmp_path, nodata):
    valid = np.random.default_rng(5).random((2, 700, 611)) > 0.4
    pyramid = raster(valid=valid, nodata=nodata).pyramid("average", 100)
    url = pyramid.to_zarr(tmp_path / "a.zarr", chunks=(128, 128))
    assert_levels(url, pyramid)
    assert (tmp_path / "a.zarr" / "1" / "mask").exists() == (nodata is None)


def test_a_raster_writes_its_pyramid(tmp_path):
    image = raster()
    assert_levels(image.to_zarr(tmp_path / "a.zarr", pyramid="sips"), image.pyramid("sips"))
    with pytest.raises(ArgumentError, match="no pyramid method"):
        image.to_zarr(tmp_path / "b.zarr", pyramid="wavelet")


def test_reduced_levels_alone(tmp_path):
    pyramid = raster().pyramid("average", 100)
    url = pyramid[1:].to_zarr(tmp_path / "a.zarr")
    assert_levels(url, pyramid[1:])
    assert weft.open(url).shape == pyramid[1].shape


def test_weft_reads_the_levels_as_overviews(tmp_path):
    image = raster(512, 512)
    url = image.to_zarr(tmp_path / "a.zarr", pyramid="average")
    stored = weft.open(url)
    assert stored.shape == image.shape
    np.testing.assert_array_equal(stored.overview(1).to_numpy(), image.halve("average").to_numpy())
    assert "read the right overview" in str(stored.scale(0.25).explain())


def test_xarray_reads_the_tree(tmp_path):
    pyramid = raster().pyramid("average", 100)
    url = pyramid.to_zarr(tmp_path / "a.zarr")
    with xr.open_datatree(url, engine="zarr", consolidated=True) as tree:
        assert sorted(tree.children) == [str(k) for k in range(len(pyramid))]
        for k, level in enumerate(pyramid):
            np.testing.assert_array_equal(tree[f"{k}/data"].values, level.to_numpy())
            assert tree[f"{k}/x"].values[0] == 500000 + 5 * 2**k


def test_the_root_says_what_it_holds(tmp_path):
    pyramid = raster().pyramid("average", 100)
    url = pyramid.to_zarr(tmp_path / "a.zarr")
    root = json.loads((tmp_path / "a.zarr" / "zarr.json").read_text())
    attrs = root["attributes"]
    assert attrs["multiscales"]["resampling_method"] == "average"
    layout = attrs["multiscales"]["layout"]
    assert [entry["asset"] for entry in layout] == ["0", "1", "2", "3"]
    assert [entry["transform"]["scale"] for entry in layout] == [[1, 1], [2, 2], [4, 4], [8, 8]]
    assert [tuple(entry["spatial:shape"]) for entry in layout] == [level.grid.shape for level in pyramid]
    assert layout[1]["spatial:transform"] == [20, 0, 500000, 0, -20, 5000000]
    assert attrs["proj:code"] == "EPSG:32633"
    assert attrs["spatial:bbox"] == [500000, 5000000 - 7000, 500000 + 6110, 5000000]
    assert {entry["name"] for entry in attrs["zarr_conventions"]} == {"multiscales", "spatial:", "proj:"}
    assert "0/data" in root["consolidated_metadata"]["metadata"]
    assert url == str(tmp_path / "a.zarr")


def test_without_a_crs_there_is_no_proj(tmp_path):
    weft.from_array(np.ones((1, 300, 300), "uint8")).pyramid("average").to_zarr(tmp_path / "a.zarr")
    attrs = json.loads((tmp_path / "a.zarr" / "zarr.json").read_text())["attributes"]
    assert not [name for name in attrs if name.startswith("proj:")]


def test_each_tile_of_the_source_is_read_once(tmp_path):
    image = raster(2300, 1900)
    source = weft.open(image.to_zarr(tmp_path / "base.zarr", chunks=(128, 128)))
    for method in ("average", "sips"):
        tile_cache().clear()
        source.pyramid(method, 100).to_zarr(tmp_path / f"{method}.zarr", chunks=(256, 256))
        tile_rows, tile_cols = (-(-n // tile) for n, tile in zip(source.shape[1:], source.node.meta.tile, strict=True))
        assert tile_cache().counts.loads == tile_rows * tile_cols


def test_no_half_written_store_stays(tmp_path, monkeypatch):
    from weft.io.zarr_sink import ZarrWriter

    write = ZarrWriter.__call__

    def fails(self, block, region):
        if "/2" in self.uri:
            raise SinkError("no room")
        write(self, block, region)

    monkeypatch.setattr(ZarrWriter, "__call__", fails)
    with pytest.raises(SinkError, match="no room"):
        raster().pyramid("average", 100).to_zarr(tmp_path / "a.zarr")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_store_is_kept_unless_it_may_be_replaced(tmp_path):
    pyramid = raster().pyramid("average", 100)
    url = pyramid.to_zarr(tmp_path / "a.zarr")
    with pytest.raises(SinkError, match="overwrite=True"):
        pyramid.to_zarr(url)
    assert_levels(pyramid[1:].to_zarr(url, overwrite=True), pyramid[1:])


def test_a_remote_store(tmp_path):
    pyramid = raster().pyramid("average", 100)
    url = pyramid.to_zarr("memory://weft-tests/pyramid.zarr", overwrite=True)
    assert_levels(url, pyramid)
