"""Arrays in memory as a source."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import xarray as xr

from weft.graph.errors import ArgumentError, BandError, CRSError, GridError
from weft.graph.grid import Region
from weft.graph.jsonio import from_json, to_json
from weft.io.array import from_array

DATA = np.arange(24, dtype=np.int16).reshape(2, 3, 4)


def test_pixels_grid_and_names(read):
    node = from_array(DATA, transform=(10, 0, 100, 0, -10, 200), crs=32633, bands=["red", "nir"])
    np.testing.assert_array_equal(read(node).data, DATA)
    assert read(node).valid is None
    assert not node.meta.masked
    assert (node.meta.bands, node.meta.grid.crs, node.meta.grid.bounds) == (("red", "nir"), "EPSG:32633", (100, 170, 140, 200))
    assert from_array(DATA[0]).meta.bands == ("b1",)
    assert from_array(DATA[0], bands="dem").meta.bands == ("dem",)


def test_invalid_by_nodata_nan_mask_and_masked_array(read):
    values = np.array([[1.0, np.nan], [3.0, 4.0]])
    assert read(from_array(values, nodata=3)).valid.tolist() == [[[True, False], [False, True]]]
    assert read(from_array(values)).valid.tolist() == [[[True, False], [True, True]]]
    mask = np.array([[True, True], [True, False]])
    assert read(from_array(values, valid=mask)).valid.tolist() == [[[True, False], [True, False]]]
    hidden = np.ma.masked_array(DATA, DATA > 20)
    np.testing.assert_array_equal(read(from_array(hidden)).valid, DATA <= 20)
    np.testing.assert_array_equal(read(from_array(hidden)).data, DATA)


def test_one_mask_for_all_bands(read):
    mask = np.arange(12).reshape(3, 4) % 2 == 0
    block = read(from_array(DATA, valid=mask), Region(1, 3, 0, 2))
    np.testing.assert_array_equal(np.broadcast_to(block.valid, block.data.shape), np.stack([mask[1:, :2]] * 2))


def test_byte_order_is_made_native(read):
    node = from_array(DATA.astype(">i2"))
    assert node.meta.dtype.isnative
    np.testing.assert_array_equal(read(node).data, DATA)


def test_bands_by_position(read):
    mask = DATA != 13
    node = from_array(DATA, valid=mask, bands=["a", "b"]).select((1, 0))
    assert node.meta.bands == ("b", "a")
    np.testing.assert_array_equal(read(node).data, DATA[::-1])
    np.testing.assert_array_equal(read(node).valid, mask[::-1])


def test_token_is_the_content():
    assert from_array(DATA).token == from_array(DATA.copy()).token
    assert from_array(DATA).token != from_array(DATA + 1).token
    assert from_array(DATA, nodata=1).token != from_array(DATA).token
    node = from_array(DATA, valid=DATA > 3)
    assert pickle.loads(pickle.dumps(node)).token == node.token == from_json(to_json(node)).token


@pytest.mark.parametrize(
    ("array", "error", "says"),
    [
        ([[1, 2]], ArgumentError, "np.asarray"),
        (np.zeros(4), ArgumentError, "1 axes"),
        (np.zeros((1, 1, 1, 1)), ArgumentError, "4 axes"),
        (np.zeros((0, 2, 2)), BandError, "no bands"),
        (np.zeros((2, 0)), GridError, "at least 1"),
        (np.array([["a"]]), ArgumentError, "pixels are"),
        (np.array([[None]]), ArgumentError, "pixels are"),
        (np.zeros((2, 2), "M8[s]"), ArgumentError, "pixels are"),
        (xr.DataArray(DATA), ArgumentError, "from_xarray"),
    ],
)
def test_what_is_no_raster(array, error, says):
    with pytest.raises(error, match=says):
        from_array(array)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"bands": ["a"]}, BandError),
        ({"bands": ["a", "a"]}, BandError),
        ({"bands": [1, 2]}, BandError),
        ({"nodata": 1e6}, ArgumentError),
        ({"nodata": 0.5}, ArgumentError),
        ({"nodata": "x"}, ArgumentError),
        ({"valid": DATA}, ArgumentError),
        ({"valid": np.ones((2, 2), bool)}, ArgumentError),
        ({"transform": (0, 0, 0, 0, 0, 0)}, GridError),
        ({"crs": "nonsense"}, CRSError),
    ],
)
def test_options_that_do_not_fit(options, error):
    with pytest.raises(error):
        from_array(DATA, **options)
