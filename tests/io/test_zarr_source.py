"""Zarr sources: real arrays of every codec, groups by xarray, pyramids, damage."""

from __future__ import annotations

import multiprocessing
import pickle
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import rioxarray  # noqa: F401  registers the accessor
import xarray as xr
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from weft.graph.errors import ArgumentError, BandError, GridError, SourceError
from weft.graph.grid import Region
from weft.graph.jsonio import from_json, to_json
from weft.io import zarr_store
from weft.io.registry import open_source
from weft.ops.overview import overview

pytestmark = pytest.mark.filterwarnings("ignore::zarr.errors.ZarrUserWarning", "ignore::UserWarning:zarr")
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "zarr"
DAMAGED = ["", "{", "null", '{"zarr_format": 3}', '{"zarr_format": 3, "node_type": "array", "shape": [1e30, 4]}']
GROUPS_OF_ONE = {"zarrs/array_write_read.zarr/group", "zarrs/sharded_array_write_read.zarr/group"}
ARRAYS = sorted({p.parent.relative_to(SHARED).as_posix() for p in SHARED.rglob("*") if p.name in ("zarr.json", ".zarray")})


@pytest.mark.parametrize("name", ARRAYS)
def test_real_array_equals_zarr_python(shared_data, read, name):
    path = shared_data / "zarr" / name
    try:
        array = zarr.open_array(path, mode="r")
    except (ValueError, FileNotFoundError, zarr.errors.NodeTypeValidationError, zarr.errors.ContainsGroupError):
        array = None
    if array is None or array.ndim not in (2, 3) or array.dtype.kind not in "biufc":
        if name in GROUPS_OF_ONE:
            assert open_source(path).header.levels[0].path.endswith("array")
        else:
            with pytest.raises(SourceError, match=re.escape(str(SHARED))):
                open_source(path)
        return
    node = open_source(path)
    if array.size > 1_000_000:
        region = Region(900, 1100, 50, 150)
        np.testing.assert_array_equal(read(node, region).data[0], array[900:1100, 50:150])
        return
    expected = array[...]
    if name.endswith("gzip"):
        expected = expected.transpose(2, 0, 1) if expected.ndim == 3 else expected
    np.testing.assert_array_equal(read(node).data, expected.reshape((-1, *expected.shape[-2:])))
    assert read(node).data.dtype == array.dtype.newbyteorder("=")
    assert node.meta.dtype.isnative
    assert pickle.loads(pickle.dumps(node)).token == node.token == from_json(to_json(node)).token


def test_picture_has_its_bands_last(shared_data):
    meta = open_source(shared_data / "zarr" / "zarr_implementations/gzip").meta
    assert (len(meta.bands), meta.grid.shape) == (3, (512, 512))


def test_gdal_zip(shared_data, read):
    node = open_source(shared_data / "zarr" / "gdal/byte_no_cf.zarr.zip")
    assert node.meta.grid.crs == "EPSG:26711"
    assert tuple(node.meta.grid.transform)[:6] == (60, 0, 440720, 0, -60, 3751320)
    assert read(node).data.mean() == pytest.approx(126.765)


def scene(dtype=np.int16, bands=3, shape=(50, 70)):
    data = np.random.default_rng(0).integers(1, 1000, (bands, *shape)).astype(dtype)
    y, x = 5_000_000 - 10 * (np.arange(shape[0]) + 0.5), 500_000 + 10 * (np.arange(shape[1]) + 0.5)
    coords = {"band": [f"n{i}" for i in range(bands)], "y": y, "x": x}
    return xr.DataArray(data, dims=("band", "y", "x"), coords=coords, name="refl").rio.write_crs("EPSG:32633")


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_what_xarray_writes(tmp_path, read, zarr_format):
    array = scene().chunk({"band": 1, "y": 20, "x": 30})
    array.attrs["_FillValue"] = 7
    array.to_zarr(tmp_path / "a.zarr", zarr_format=zarr_format)
    node = open_source(tmp_path / "a.zarr")
    assert node.meta.bands == ("n0", "n1", "n2")
    assert node.meta.grid.crs == "EPSG:32633"
    assert tuple(node.meta.grid.transform)[:6] == (10, 0, 500_000, 0, -10, 5_000_000)
    assert node.meta.nodata == 7
    np.testing.assert_array_equal(read(node).data, array.values)
    assert read(node).valid is None or (read(node).valid == (array.values != 7)).all()
    inside = open_source(tmp_path / "a.zarr" / "refl")
    assert inside.meta.grid == node.meta.grid
    np.testing.assert_array_equal(read(inside, Region(3, 9, 2, 60)).data, array.values[:, 3:9, 2:60])


@pytest.mark.parametrize("value", [np.nan, -9999.0, 0.1])
def test_float_fill_values(tmp_path, read, value):
    array = scene(np.float32)
    array.values[0, 2, 2] = value
    array.encoding["_FillValue"] = np.float32(value)
    array.to_zarr(tmp_path / "a.zarr", zarr_format=3)
    node = open_source(tmp_path / "a.zarr")
    assert node.meta.nodata == pytest.approx(float(np.float32(value)), nan_ok=True)
    assert not read(node).valid[0, 2, 2]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_window_bands_axes_and_chunks(tmp_path_factory, read, data):
    axes = data.draw(st.permutations(["band", "y", "x"]))
    sizes = {"band": 4, "y": 33, "x": 47}
    shape = tuple(sizes[axis] for axis in axes)
    values = np.random.default_rng(1).integers(0, 255, shape).astype(np.uint8)
    path = tmp_path_factory.mktemp("zarr") / "a.zarr"
    array = zarr.create_array(
        path,
        shape=shape,
        dtype="u1",
        chunks=tuple(data.draw(st.integers(size // 4, size)) for size in shape),
        dimension_names=axes,
    )
    array[...] = values
    bands = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=4, unique=True))
    node = open_source(path, bands=bands)
    row0, col0 = data.draw(st.integers(0, 32)), data.draw(st.integers(0, 46))
    region = Region(row0, data.draw(st.integers(row0 + 1, 33)), col0, data.draw(st.integers(col0 + 1, 47)))
    expected = values.transpose([axes.index(axis) for axis in ("band", "y", "x")])[bands]
    np.testing.assert_array_equal(read(node, region).data, expected[:, region.rows, region.cols])


def test_several_variables_have_to_be_named(tmp_path, read):
    scene().to_dataset().assign(other=scene() * 2).to_zarr(tmp_path / "a.zarr")
    with pytest.raises(SourceError, match=r"several rasters.*other.*refl"):
        open_source(tmp_path / "a.zarr")
    by_name, by_path = open_source(tmp_path / "a.zarr", bands="other"), open_source(tmp_path / "a.zarr" / "other")
    np.testing.assert_array_equal(read(by_name).data, scene().values * 2)
    np.testing.assert_array_equal(read(by_path).data, scene().values * 2)
    assert from_json(to_json(by_name)).token == by_name.token
    with pytest.raises(SourceError, match="refl"):
        open_source(tmp_path / "a.zarr", bands="absent")


def test_pyramid_of_groups(tmp_path, read):
    path = tmp_path / "p.zarr"
    zarr.create_group(path)
    full = scene()
    half = full.coarsen(y=2, x=2).mean().astype("int16").rio.write_crs("EPSG:32633")
    for name, level in (("0", full), ("1", half)):
        level.rename("data").to_zarr(path, group=name, consolidated=False)
    node = open_source(path)
    assert node.meta.grid.shape == (50, 70)
    np.testing.assert_array_equal(read(overview(node, 1)).data, half.values)
    assert node.reduced(2).meta.grid.shape == (25, 35)
    assert node.reduced(1.5) is None
    assert open_source(path, overviews="none").reduced(2) is None


def test_mask_beside_the_pixels(tmp_path, read):
    mask = xr.DataArray(scene().values[0] % 2, dims=("y", "x"))
    scene().to_dataset().assign(mask=mask).to_zarr(tmp_path / "a.zarr")
    node = open_source(tmp_path / "a.zarr", bands=[1])
    assert node.meta.masked
    np.testing.assert_array_equal(read(node).valid, mask.values[None] != 0)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_damaged_chunk(tmp_path, read, zarr_format):
    scene().chunk({"band": 1, "y": 50, "x": 70}).to_zarr(tmp_path / "a.zarr", zarr_format=zarr_format)
    chunk = next(
        p
        for p in (tmp_path / "a.zarr" / "refl").rglob("*")
        if p.is_file() and p.name in ("0.0.0", "0") and p.stat().st_size > 400
    )
    chunk.write_bytes(b"\x00\x01damaged" * 20)
    with pytest.raises(SourceError, match=r"a\.zarr: cannot read refl, rows 0:50"):
        read(open_source(tmp_path / "a.zarr"))


@pytest.mark.parametrize("text", DAMAGED)
def test_damaged_metadata(tmp_path, text):
    folder = tmp_path / "a.zarr"
    folder.mkdir()
    (folder / "zarr.json").write_text(text)
    with pytest.raises(SourceError, match=r"a\.zarr"):
        open_source(folder)


def test_absurd_chunks_are_refused(tmp_path):
    zarr.create_array(tmp_path / "a.zarr", shape=(2**20, 2**20), chunks=(2**18, 2**18), dtype="f8", compressors=None)
    with pytest.raises(SourceError, match="GiB"):
        open_source(tmp_path / "a.zarr")


def test_missing_empty_and_changed(tmp_path, read):
    with pytest.raises(SourceError, match="no such file"):
        open_source(tmp_path / "absent.zarr")
    (tmp_path / "empty.zarr").mkdir()
    with pytest.raises(SourceError, match=r"empty\.zarr"):
        open_source(tmp_path / "empty.zarr")
    (tmp_path / "bad.zarr.zip").write_bytes(b"PK nothing")
    with pytest.raises(SourceError, match=r"bad\.zarr\.zip"):
        open_source(tmp_path / "bad.zarr.zip")
    scene().to_zarr(tmp_path / "a.zarr")
    node = open_source(tmp_path / "a.zarr")
    shutil.rmtree(tmp_path / "a.zarr")
    scene(bands=1).to_zarr(tmp_path / "a.zarr")
    with pytest.raises(SourceError, match="changed"):
        read(node)


def test_uneven_coordinates(tmp_path):
    array = scene().assign_coords(x=np.arange(70.0) ** 2)
    array.to_zarr(tmp_path / "a.zarr")
    with pytest.raises(GridError, match="evenly"):
        open_source(tmp_path / "a.zarr")


def test_four_axes_are_refused(tmp_path):
    scene().expand_dims("time").to_zarr(tmp_path / "a.zarr")
    with pytest.raises(SourceError, match="refl"):
        open_source(tmp_path / "a.zarr")


def test_json_cannot_lead_out_of_the_store(tmp_path):
    scene().to_zarr(tmp_path / "a.zarr")
    text = to_json(open_source(tmp_path / "a.zarr"))
    with pytest.raises(ArgumentError, match="leads out"):
        from_json(text.replace('"path": ""', '"path": "../b"'))
    with pytest.raises(BandError):
        from_json(text.replace('"bands": [0, 1, 2]', '"bands": [9]'))


def _corner(node) -> int:
    return int(node.read(Region(0, 20, 0, 20)).data.sum())


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_fork_reads_on(tmp_path):
    scene().chunk({"y": 7, "x": 9}).to_zarr(tmp_path / "a.zarr", zarr_format=3)
    node = open_source(tmp_path / "a.zarr")
    expected = _corner(node)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map_async(_corner, [node] * 4).get(timeout=60) == [expected] * 4


def test_quick_and_plain_codecs_agree(tmp_path, monkeypatch):
    for name, options in (("plain", {}), ("sharded", {"shards": (3, 40, 40)})):
        values = scene().values
        array = zarr.create_array(tmp_path / name, shape=values.shape, dtype="i2", chunks=(1, 20, 20), **options)
        array[...] = values
        quick = open_source(tmp_path / name).read(Region(5, 45, 10, 60))
        monkeypatch.setattr(zarr_store, "quickened", lambda array: array)
        zarr_store._arrays.clear()
        plain = open_source(tmp_path / name).read(Region(5, 45, 10, 60))
        monkeypatch.undo()
        np.testing.assert_array_equal(quick.data, plain.data)
        np.testing.assert_array_equal(plain.data, values[:, 5:45, 10:60])


def test_threads_read_alike(tmp_path, read):
    scene().chunk({"y": 7, "x": 9}).to_zarr(tmp_path / "a.zarr")
    shutil.make_archive(str(tmp_path / "b.zarr"), "zip", tmp_path / "a.zarr")
    expected = scene().values
    for node in (open_source(tmp_path / "a.zarr"), open_source(tmp_path / "b.zarr.zip")):
        regions = [Region(r, r + 20, c, c + 11) for r in range(0, 30, 3) for c in range(0, 55, 5)]
        with ThreadPoolExecutor(8) as pool:
            parts = list(pool.map(node.read, regions))
        for region, part in zip(regions, parts, strict=True):
            np.testing.assert_array_equal(part.data, expected[:, region.rows, region.cols])
