from __future__ import annotations

import inspect

import numpy as np
import pytest
import xarray as xr
from PIL import Image

import weft


@pytest.fixture
def dataarray(raster):
    return raster.to_xarray().rename("scene")


def test_a_lazy_verb_gives_a_lazy_dataarray(dataarray, raster):
    warped = dataarray.weft.warp("EPSG:3857", resolution=20)
    assert isinstance(warped, xr.DataArray)
    assert warped.chunks is not None
    assert warped.name == "scene"
    assert warped.rio.crs.to_epsg() == 3857
    expected = raster.warp("EPSG:3857", resolution=20)
    assert warped.rio.transform() == expected.transform
    np.testing.assert_array_equal(warped.values, expected.to_numpy())


def test_a_dataarray_serves_as_argument(dataarray, raster):
    condition = dataarray.weft.raster > 50
    expected = raster.where(raster > 50).to_numpy()
    np.testing.assert_array_equal(dataarray.weft.where(condition.to_xarray()).values, expected)
    coarse = dataarray.weft.resize((20, 25))
    np.testing.assert_array_equal(dataarray.weft.warp(like=coarse).values, raster.warp(like=coarse).to_numpy())


def test_indexing_and_properties(dataarray, raster):
    np.testing.assert_array_equal(dataarray.weft["green", 3:9, :].values, raster[1, 3:9, :].to_numpy())
    assert dataarray.weft.bands == raster.bands
    assert dataarray.weft.grid == raster.grid
    assert dataarray.weft.crs == raster.crs
    assert isinstance(dataarray.weft.raster, weft.Raster)


def test_what_ends_a_chain_passes_through(dataarray, raster, tmp_path):
    np.testing.assert_array_equal(dataarray.weft.to_numpy(), raster.to_numpy())
    assert "tasks" in str(dataarray.weft.explain())
    assert dataarray.weft.statistics()["red"] == raster.statistics()["red"]
    store = dataarray.weft.to_zarr(tmp_path / "out.zarr")
    np.testing.assert_array_equal(weft.open(store).to_numpy(), raster.to_numpy())
    picture = tmp_path / "out.png"
    dataarray.weft.to_png(picture)
    with Image.open(picture) as image:
        assert image.size == (50, 40)


def test_an_eager_dataarray_serves(raster, pixels):
    eager = raster.to_xarray().compute()
    np.testing.assert_array_equal(eager.weft.crop(window=(1, 9, 2, 8)).values, pixels[:, 1:9, 2:8])


def test_every_verb_is_there_with_its_docstring_and_signature():
    for name in dir(weft.Raster):
        if name.startswith("_") or name in ("node", "with_node"):
            continue
        theirs, ours = getattr(weft.Raster, name), getattr(weft.WeftAccessor, name)
        assert inspect.getdoc(ours) == inspect.getdoc(theirs), name
        if not isinstance(theirs, property):
            assert inspect.signature(ours) == inspect.signature(theirs), name


def test_repr(dataarray):
    assert repr(dataarray.weft).startswith("<weft.Raster (3, 40, 50) uint16>")
    assert "<svg" in dataarray.weft._repr_html_()
