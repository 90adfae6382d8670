"""DataArrays that rioxarray and weft itself read back."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import rasterio
import rioxarray  # noqa: F401  registers the accessor

from weft.graph.errors import ArgumentError
from weft.io.array import from_array
from weft.io.numpy_sink import to_numpy
from weft.io.registry import open_source
from weft.io.xarray_sink import to_dask, to_xarray
from weft.io.xarray_source import from_xarray
from weft.io.zarr_sink import to_zarr

pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning", "ignore::rasterio.errors.NotGeoreferencedWarning")
NAMES = [
    "rasterio/RGB.byte.tif",
    "titiler/dem.tif",
    "titiler/cog_with_nan.tif",
    "rasterio/rotated.tif",
    "PROJ/test_vgrid_bottomup_with_matrix.tif",
    "rio-tiler/inverted_lat.tif",
    "image-tiff/int8.tif",
]


@pytest.mark.parametrize("name", NAMES)
def test_rioxarray_reads_it(shared_data, name):
    node = open_source(shared_data / "geotiff" / name)
    array = to_xarray(node, chunks=100)
    meta = node.meta
    assert array.dims == ("band", "y", "x")
    assert array.dtype == meta.dtype
    assert tuple(array.band.values) == meta.bands
    np.testing.assert_array_equal(array.values, to_numpy(node))
    assert array.rio.transform() == meta.grid.transform
    crs = None if meta.grid.crs is None else rasterio.crs.CRS.from_user_input(meta.grid.crs)
    assert array.rio.crs == crs
    expected = meta.nodata if meta.nodata is not None or meta.dtype.kind != "f" else np.nan
    assert array.rio.nodata == expected or (expected != expected and np.isnan(array.rio.nodata))
    back = from_xarray(array)
    assert (back.meta.grid, back.meta.bands) == (meta.grid, meta.bands)
    np.testing.assert_array_equal(to_numpy(back, masked=True).mask, to_numpy(node, masked=True).mask)


def test_invalid_pixels_hold_nodata():
    data = np.arange(12, dtype=np.int16).reshape(3, 4)
    node = from_array(data, valid=data != 5, nodata=-1)
    values = to_xarray(node).values[0]
    assert values[1, 1] == -1
    assert (np.delete(values.ravel(), 5) == np.delete(data.ravel(), 5)).all()
    floats = to_xarray(from_array(data.astype("f4"), valid=data != 5))
    assert np.isnan(floats.values[0, 1, 1])


def test_coordinates_are_pixel_centres():
    array = to_xarray(from_array(np.zeros((2, 3)), transform=(10, 0, 100, 0, -5, 50), bands=["dem"]))
    assert array.x.values.tolist() == [105, 115, 125]
    assert array.y.values.tolist() == [47.5, 42.5]
    assert "x" not in to_xarray(from_array(np.zeros((2, 3)), transform=(10, 1, 100, 1, -5, 50))).coords


def test_dask_chunks():
    lazy = to_dask(from_array(np.zeros((2, 30, 40), np.uint8)), (10, 20))
    assert lazy.chunks == ((2,), (10, 10, 10), (20, 20))
    assert lazy.dtype == np.uint8


def test_a_crs_that_cf_cannot_tell_makes_no_noise(tmp_path):
    swiss = from_array(np.zeros((2, 3)), transform=(10, 0, 2_600_000, 0, -10, 1_200_000), crs="EPSG:2056")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*CF")
        assert to_xarray(swiss).rio.crs.to_epsg() == 2056
        assert open_source(to_zarr(swiss, tmp_path / "a.zarr")).meta.grid.crs == swiss.meta.grid.crs


def test_validity_without_a_nodata_value_is_a_mask_coordinate():
    data = np.arange(2 * 6 * 8, dtype=np.uint8).reshape(2, 6, 8)
    valid = data % 3 != 0
    node = from_array(data, valid=valid, transform=(10, 0, 100, 0, -10, 900), crs="EPSG:32633")
    array = to_xarray(node, chunks=(4, 4))
    np.testing.assert_array_equal(array.coords["mask"], valid)
    for again in (from_xarray(array), from_xarray(array.compute()), from_xarray(array.transpose("y", "x", "band"))):
        values = to_numpy(again, masked=True)
        np.testing.assert_array_equal(values.data, data)
        np.testing.assert_array_equal(np.ma.getmaskarray(values), ~valid)
    part = to_numpy(from_xarray(array[:, 2:5, ::2]), masked=True)
    np.testing.assert_array_equal(np.ma.getmaskarray(part), ~valid[:, 2:5, ::2])
    assert array.rio.crs.to_epsg() == 32633
    assert "mask" not in to_xarray(from_array(data)).coords
    assert "mask" not in to_xarray(from_array(data, nodata=3)).coords


@pytest.mark.parametrize(("bands", "lengths"), [(1, (1, 1, 1)), (2, (2, 1)), (-1, (3,)), ((1, 2), (1, 2)), (7, (3,))])
def test_chunks_along_the_bands(bands, lengths):
    data = np.arange(3 * 6 * 8, dtype=np.uint8).reshape(3, 6, 8)
    array = to_dask(from_array(data), chunks=(bands, 4, 5))
    assert array.chunks == (lengths, (4, 2), (5, 3))
    np.testing.assert_array_equal(array, data)
    assert to_xarray(from_array(data), chunks=(bands, 4, 5)).chunks == array.chunks


@pytest.mark.parametrize("bands", [0, -2, "one", (1, 1), 1.5])
def test_impossible_chunks_along_the_bands_are_refused(bands):
    with pytest.raises(ArgumentError, match="along the bands"):
        to_dask(from_array(np.zeros((3, 6, 8), np.uint8)), chunks=(bands, 4, 5))
