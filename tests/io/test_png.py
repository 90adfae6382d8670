"""Pictures, read back by Pillow."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from weft.graph.errors import ArgumentError, BandError, SinkError
from weft.io.array import from_array
from weft.io.png import to_png
from weft.io.registry import open_source


@pytest.mark.parametrize(("bands", "mode"), [(1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")])
def test_bytes_as_they_are(tmp_path, bands, mode):
    data = np.random.default_rng(0).integers(0, 256, (bands, 30, 20)).astype(np.uint8)
    with Image.open(to_png(from_array(data), tmp_path / "a.png")) as picture:
        assert picture.mode == mode
        np.testing.assert_array_equal(np.asarray(picture).reshape(30, 20, bands), np.moveaxis(data, 0, -1))


def test_invalid_is_transparent(tmp_path):
    data = np.arange(12, dtype=np.uint8).reshape(1, 3, 4)
    with Image.open(to_png(from_array(data, valid=data != 5), tmp_path / "a.png")) as picture:
        assert picture.mode == "LA"
        np.testing.assert_array_equal(np.asarray(picture)[..., 1], np.where(data[0] == 5, 0, 255))
    colours = np.stack([data[0]] * 3)
    partly = np.ones_like(colours, bool)
    partly[0, 0, 0] = partly[:, 2, 3] = False
    with Image.open(to_png(from_array(colours, valid=partly), tmp_path / "b.png")) as picture:
        assert picture.mode == "RGBA"
        assert (np.asarray(picture)[..., 3] == 0).sum() == 1


def test_other_types_are_stretched(tmp_path):
    data = np.linspace(-5, 5, 10_000).reshape(1, 100, 100)
    with Image.open(to_png(from_array(data), tmp_path / "a.png")) as picture:
        shown = np.asarray(picture)
    assert (shown.min(), shown.max()) == (0, 255)
    assert (np.diff(shown.ravel().astype(int)) >= 0).all()
    with Image.open(to_png(from_array(data > 0), tmp_path / "b.png")) as picture:
        np.testing.assert_array_equal(np.asarray(picture), np.where(data[0] > 0, 255, 0))


def test_large_images_are_shrunk(tmp_path):
    data = np.full((1, 300, 500), 7, np.uint8)
    with Image.open(to_png(from_array(data), tmp_path / "a.png", max_size=100)) as picture:
        assert picture.size == (100, 60)
        assert (np.asarray(picture) == 7).all()
    with Image.open(to_png(from_array(data), tmp_path / "b.png", max_size=None)) as picture:
        assert picture.size == (500, 300)


def test_real_file(shared_data, tmp_path):
    node = open_source(shared_data / "geotiff" / "rasterio/RGB.byte.tif")
    with Image.open(to_png(node, tmp_path / "a.png")) as picture:
        assert (picture.mode, picture.size) == ("RGBA", (791, 718))


def test_refusals(tmp_path):
    node = from_array(np.zeros((4, 4), np.uint8))
    path = to_png(node, tmp_path / "a.png")
    with pytest.raises(SinkError, match="overwrite=True"):
        to_png(node, path)
    to_png(node, path, overwrite=True)
    with pytest.raises(BandError, match="1 to 4"):
        to_png(from_array(np.zeros((5, 4, 4), np.uint8)), tmp_path / "b.png")
    with pytest.raises(ArgumentError, match="max_size"):
        to_png(node, tmp_path / "b.png", max_size=0)
    with pytest.raises(SinkError, match="cannot write"):
        to_png(node, tmp_path / "absent" / "b.png")
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
