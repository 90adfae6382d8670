"""Which engine is chosen, and what is said where none can be."""

from __future__ import annotations

import numpy as np
import pytest

from weft.graph.errors import ArgumentError, SourceError
from weft.io import registry
from weft.io.array import from_array
from weft.io.registry import Driver, as_uri, drivers, is_local, open_source, register_driver
from weft.io.zarr_sink import to_zarr


def test_zarr_is_asked_first_and_rasterio_takes_the_rest():
    assert drivers()[0].name == "zarr"
    assert drivers()[-1].name == "rasterio"


def test_engine_by_name_content_and_argument(tmp_path, write_tif):
    data = np.zeros((1, 4, 4), np.uint8)
    assert open_source(write_tif(data)).name == "rasterio"
    assert open_source(to_zarr(from_array(data), tmp_path / "a.zarr")).name == "zarr"
    assert open_source(to_zarr(from_array(data), tmp_path / "no_suffix")).name == "zarr"
    with pytest.raises(SourceError, match=r"a\.tif"):
        open_source(tmp_path / "a.tif", engine="zarr")
    with pytest.raises(ArgumentError, match="rasterio"):
        open_source(tmp_path / "a.tif", engine="magic")


def test_own_driver(monkeypatch):
    monkeypatch.setattr(registry, "_drivers", dict(registry._drivers))
    node = from_array(np.ones((2, 2), np.uint8))
    register_driver(Driver("mine", lambda uri: uri.startswith("mine://"), lambda uri, **options: node))
    assert open_source("mine://anything") is node
    assert open_source("anything", engine="mine") is node


@pytest.mark.parametrize("uri", [None, 3, "", b"a.tif", "a\0.tif"])
def test_what_is_no_location(uri):
    with pytest.raises(ArgumentError, match="path or a URL"):
        open_source(uri)


def test_local_and_other_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert as_uri("a.tif") == str(tmp_path / "a.tif") == as_uri(f"file://{tmp_path}/a.tif")
    assert is_local("some/a:b.tif")
    for uri in ("https://host/a.tif", "/vsicurl/x", 'NETCDF:"a.nc":v', "s3://bucket/a.tif"):
        assert not is_local(uri)
        assert as_uri(uri) == uri


def test_no_band_is_an_error(write_tif):
    path = write_tif(np.zeros((2, 4, 4), np.uint8))
    with pytest.raises(ArgumentError, match="no band"):
        open_source(path, bands=[])
