"""DataArrays as a source, judged by rioxarray and by reading the same file directly."""

from __future__ import annotations

import numpy as np
import pytest
import rioxarray
import xarray as xr
from affine import Affine

from weft.graph.errors import ArgumentError, GridError
from weft.io.dask_source import DaskSource
from weft.io.numpy_sink import to_numpy
from weft.io.registry import open_source
from weft.io.xarray_source import from_xarray


@pytest.fixture
def landsat(shared_data):
    return shared_data / "geotiff" / "rasterio/RGB.byte.tif"


@pytest.mark.parametrize("chunks", [None, 200])
def test_rioxarray_file_equals_direct_read(landsat, chunks):
    array = rioxarray.open_rasterio(landsat, chunks=chunks)
    node, direct = from_xarray(array), open_source(landsat)
    assert isinstance(node, DaskSource)
    assert node.meta.grid == direct.meta.grid
    assert (node.meta.nodata, node.meta.bands) == (0, ("b1", "b2", "b3"))
    ours, theirs = to_numpy(node, masked=True), to_numpy(direct, masked=True)
    np.testing.assert_array_equal(ours.data, theirs.data)
    np.testing.assert_array_equal(ours.mask, theirs.mask)


def test_masked_array_keeps_zeros(landsat):
    array = rioxarray.open_rasterio(landsat, masked=True).load()
    assert np.isnan(from_xarray(array).meta.nodata)
    zeros = (array - array).rio.write_nodata(0, encoded=True)
    node = from_xarray(zeros)
    assert np.isnan(node.meta.nodata)
    values = to_numpy(node, masked=True)
    np.testing.assert_array_equal(values.mask, np.isnan(array.values))
    assert (~values.mask).any()


def test_cut_array_lies_where_it_was_cut(landsat):
    array = rioxarray.open_rasterio(landsat).isel(y=slice(100, 200), x=slice(30, 90))
    grid = open_source(landsat).meta.grid
    assert from_xarray(array).meta.grid.transform == grid.transform @ Affine.translation(30, 100)


@pytest.mark.parametrize("dims", [("x", "band", "y"), ("lat", "lon"), ("latitude", "longitude"), ("time", "lon", "lat")])
def test_dimensions_in_any_order_and_name(dims):
    sizes = {"band": 3, "time": 3}
    shape = [sizes.get(dim, 4 if dim in ("y", "lat", "latitude") else 5) for dim in dims]
    data = np.arange(np.prod(shape)).reshape(shape)
    array = xr.DataArray(data, dims=dims)
    order = [
        *(dim for dim in dims if dim in sizes),
        *(d for d in dims if d[:3] in ("y", "lat")),
        *(d for d in dims if d[:3] in ("x", "lon")),
    ]
    node = from_xarray(array)
    assert node.meta.grid.shape == (4, 5)
    np.testing.assert_array_equal(to_numpy(node).squeeze(), array.transpose(*order).values)


def test_coordinates_make_the_grid():
    array = xr.DataArray(
        np.zeros((2, 3, 4), np.uint8),
        dims=("band", "y", "x"),
        coords={"band": ["red", "nir"], "y": [15.0, 25.0, 35.0], "x": np.float32([100.5, 101.5, 102.5, 103.5])},
    ).rio.write_crs("EPSG:32633")
    meta = from_xarray(array).meta
    assert meta.bands == ("red", "nir")
    assert meta.grid.crs == "EPSG:32633"
    assert meta.grid.transform == Affine(1, 0, 100, 0, 10, 10)


def test_uneven_coordinates_are_refused():
    array = xr.DataArray(np.zeros((3, 3)), dims=("y", "x"), coords={"y": [0, 1, 2], "x": [0, 1, 5]})
    with pytest.raises(GridError, match="x coordinates are not evenly spaced"):
        from_xarray(array)


def test_nodata_attribute(read):
    array = xr.DataArray(np.array([[1, 2], [3, 4]], np.int16), dims=("y", "x"), attrs={"_FillValue": 3})
    node = from_xarray(array)
    assert node.meta.nodata == 3
    assert read(node).valid.tolist() == [[[True, True], [False, True]]]


def test_what_is_no_raster():
    with pytest.raises(ArgumentError, match="choose one"):
        from_xarray(xr.Dataset())
    with pytest.raises(ArgumentError, match="not ndarray"):
        from_xarray(np.zeros((2, 2)))
    with pytest.raises(ArgumentError, match="no x and y"):
        from_xarray(xr.DataArray(np.zeros((2, 2)), dims=("a", "b")))
    with pytest.raises(ArgumentError, match="time, band"):
        from_xarray(xr.DataArray(np.zeros((2, 2, 2, 2)), dims=("time", "band", "y", "x")))


def test_lazy_file_stays_unread(tmp_path):
    path = tmp_path / "a.zarr"
    data = np.arange(64, dtype=np.int32).reshape(8, 8)
    xr.DataArray(data, dims=("y", "x"), name="v").to_zarr(path, consolidated=False)
    lazy = xr.open_dataarray(path, engine="zarr", chunks=None, consolidated=False)
    node = from_xarray(lazy)
    assert isinstance(node, DaskSource)
    assert not lazy.variable._in_memory
    np.testing.assert_array_equal(to_numpy(node)[0], data)
