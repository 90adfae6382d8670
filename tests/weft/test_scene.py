from __future__ import annotations

import numpy as np
import pytest
import rasterio

import weft
from weft.scene import BANDS, scene_block, write_scene


def test_what_the_file_is(scene):
    with rasterio.open(scene) as dataset:
        assert dataset.descriptions == BANDS
        assert dataset.dtypes == ("uint16",) * 4
        assert dataset.crs.to_epsg() == 32633
        assert dataset.res == (10, 10)
        assert dataset.nodata == 0
        assert dataset.block_shapes[0] == (512, 512) or dataset.shape < (512, 512)
        assert dataset.compression.name == "deflate"
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert dataset.tags(ns="IMAGE_STRUCTURE")["PREDICTOR"] == "2"
        pixels = dataset.read()
    assert pixels.max() <= 10000
    for corner in (pixels[:, 0, 0], pixels[:, 0, -1], pixels[:, -1, 0], pixels[:, -1, -1]):
        assert (corner == 0).all()
    inside = pixels[:, 64:192, 64:192]
    assert (inside > 0).all()
    assert inside.std(axis=(1, 2)).min() > 20


def test_overviews(tmp_path):
    path = write_scene(tmp_path / "scene.tif", 1030)
    with rasterio.open(path) as dataset:
        assert dataset.overviews(1)
        assert dataset.block_shapes[0] == (512, 512)


def test_the_same_seed_gives_the_same_pixels(scene, tmp_path):
    with rasterio.open(scene) as a, rasterio.open(write_scene(tmp_path / "b.tif", 256)) as b:
        np.testing.assert_array_equal(a.read(), b.read())
    with rasterio.open(write_scene(tmp_path / "c.tif", 256, seed=8)) as c, rasterio.open(scene) as a:
        assert (a.read() != c.read()).any()


def test_blocks_do_not_show():
    whole = scene_block(0, 0, 200, 180, size=200)
    for row, col, rows, cols in ((0, 0, 70, 90), (70, 30, 130, 150), (199, 179, 1, 1)):
        part = scene_block(row, col, rows, cols, size=200)
        np.testing.assert_array_equal(part, whole[:, row : row + rows, col : col + cols])


def test_refusals(tmp_path):
    with pytest.raises(weft.ArgumentError, match="64"):
        write_scene(tmp_path / "tiny.tif", 10)
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(weft.SinkError, match="file"):
        write_scene(tmp_path / "file" / "scene.tif", 64)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
