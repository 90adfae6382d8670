"""DataArrays that rioxarray and weft itself read back."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import rasterio
import rioxarray  # noqa: F401  registers the accessor

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
