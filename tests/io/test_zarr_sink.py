"""Zarr stores read back by xarray, rioxarray, GDAL and weft; whole write units per task; nothing half-written."""

from __future__ import annotations

import pickle
import shutil

import dask
import numcodecs
import numpy as np
import pytest
import rasterio
import rioxarray  # noqa: F401  registers the accessor
import xarray as xr
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from weft.graph.block import Block
from weft.graph.errors import ArgumentError, SinkError, SourceError
from weft.graph.grid import Region
from weft.graph.plan import make_plan
from weft.io.array import from_array
from weft.io.numpy_sink import to_numpy
from weft.io.registry import open_source
from weft.io.zarr_layout import build_group, checked_layout
from weft.io.zarr_sink import ZarrWriter, assert_aligned, task_chunks, to_zarr

pytestmark = pytest.mark.filterwarnings(
    "ignore::PendingDeprecationWarning", "ignore::UserWarning:zarr", "ignore::rasterio.errors.NotGeoreferencedWarning"
)
NAMES = [
    "rasterio/RGB.byte.tif",
    "derived/rgb_jpeg85_mask_cog.tif",
    "titiler/dem.tif",
    "titiler/cog_with_nan.tif",
    "rasterio/rotated.tif",
    "PROJ/test_vgrid_bottomup_with_matrix.tif",
    "cogeotiff/model_transformation.tif",
    "rio-tiler/cog_rgba.tif",
    "image-tiff/gradient-3c-64b.tiff",
]
PLACE = {"transform": (10, 0, 500_000, 0, -10, 5_000_000), "crs": "EPSG:32633"}


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_others_read_it_back(shared_data, tmp_path, name, zarr_format):
    node = open_source(shared_data / "geotiff" / name)
    meta = node.meta
    url = to_zarr(node, tmp_path / "a.zarr", zarr_format=zarr_format, chunks=(64, 48))
    expected = to_numpy(node, masked=True)
    stored = xr.open_zarr(url, mask_and_scale=False)["data"]
    np.testing.assert_array_equal(stored.values, expected.data)
    assert stored.rio.transform() == meta.grid.transform
    assert stored.rio.crs == (None if meta.grid.crs is None else rasterio.crs.CRS.from_user_input(meta.grid.crs))
    assert tuple(stored.band.values) == meta.bands
    back = open_source(url)
    assert (back.meta.grid, back.meta.bands, back.meta.dtype) == (meta.grid, meta.bands, meta.dtype)
    if meta.nodata is not None:
        assert back.meta.nodata == meta.nodata or np.isnan(meta.nodata)
    again = to_numpy(back, masked=True)
    np.testing.assert_array_equal(again.data, expected.data)
    np.testing.assert_array_equal(again.mask, expected.mask)
    decoded = xr.open_zarr(url)
    if meta.masked and "mask" not in decoded:
        np.testing.assert_array_equal(np.isnan(decoded["data"].values), expected.mask)
    elif meta.masked:
        np.testing.assert_array_equal(decoded["mask"].values != 1, expected.mask)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_complex_nodata_survives(tmp_path, zarr_format):
    data = np.array([[1 + 2j, 0, 3 - 1j]], "complex64")
    back = open_source(to_zarr(from_array(data, nodata=0), tmp_path / "a.zarr", zarr_format=zarr_format))
    assert back.meta.nodata == 0
    assert to_numpy(back, masked=True).mask.ravel().tolist() == [False, True, False]


def test_gdal_reads_format_two(shared_data, tmp_path):
    node = open_source(shared_data / "geotiff" / "rasterio/RGB.byte.tif")
    url = to_zarr(node, tmp_path / "a.zarr", zarr_format=2)
    with rasterio.open(f'ZARR:"{url}":/data') as dataset:
        np.testing.assert_array_equal(dataset.read(), to_numpy(node))
        assert dataset.crs.to_epsg() == 32618
        assert dataset.transform.almost_equals(node.meta.grid.transform, precision=1e-6)
        assert dataset.nodata == 0


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_chunks_and_shards(tmp_path_factory, data):
    bands, rows, cols = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 90)), data.draw(st.integers(1, 90))
    dtype = data.draw(st.sampled_from(["u1", "i2", "f4", "f8", "c8", "?"]))
    values = np.random.default_rng(2).integers(0, 2 if dtype == "?" else 100, (bands, rows, cols)).astype(dtype)
    valid = values != 1
    chunks = tuple(data.draw(st.integers(1, 40)) for _ in range(3))
    shards = None
    if data.draw(st.booleans()):
        shards = tuple(size * data.draw(st.integers(1, 4)) for size in chunks)
    node = from_array(values, valid=valid, **PLACE)
    url = to_zarr(node, tmp_path_factory.mktemp("z") / "a.zarr", chunks=chunks, shards=shards)
    stored = open_source(url)
    result = to_numpy(stored, masked=True)
    np.testing.assert_array_equal(result.mask, ~valid)
    np.testing.assert_array_equal(result.data[valid], values[valid])
    assert stored.meta.grid == node.meta.grid
    inner = zarr.open_array(url, path="data", mode="r")
    assert inner.shards == shards
    assert inner.chunks == (chunks if shards else tuple(min(c, s) for c, s in zip(chunks, values.shape, strict=True)))


@settings(max_examples=60, deadline=None)
@given(
    chunk=st.tuples(*[st.integers(1, 700)] * 3),
    times=st.tuples(*[st.integers(1, 5)] * 3),
    shape=st.tuples(*[st.integers(1, 3000)] * 2),
)
def test_tasks_hold_whole_write_units(chunk, times, shape):
    import dask.array as da

    meta = from_array(da.zeros((4, *shape), dtype="u2", chunks=-1)).meta
    shards = tuple(c * t for c, t in zip(chunk, times, strict=True))
    for layout in (
        checked_layout(meta, chunk, None, "auto", 3, (512, 512)),
        checked_layout(meta, chunk, shards, None, 3, (512, 512)),
    ):
        height, width = task_chunks(meta, layout)
        assert height % layout.unit[0] == 0
        assert width % layout.unit[1] == 0


def test_misaligned_tasks_are_refused():
    node = from_array(np.zeros((100, 100), np.uint8))
    layout = checked_layout(node.meta, (30, 30), None, None, 3, (30, 30))
    assert_aligned(make_plan(node, (60, 30)).chunks, layout)
    with pytest.raises(SinkError, match="write units"):
        assert_aligned(make_plan(node, (40, 30)).chunks, layout)


@pytest.mark.parametrize(
    "options",
    [
        {"chunks": 0},
        {"chunks": (1, 2, 3, 4)},
        {"chunks": "big"},
        {"chunks": (4, 4), "shards": (6, 6)},
        {"chunks": (4, 4), "shards": (8, 8), "zarr_format": 2},
        {"zarr_format": 4},
        {"compressor": "lz77"},
        {"compressor": object()},
        {"compressor": zarr.codecs.ZstdCodec(), "zarr_format": 2},
    ],
)
def test_options_that_do_not_fit(tmp_path, options):
    with pytest.raises(ArgumentError):
        to_zarr(from_array(np.zeros((9, 9), np.uint8)), tmp_path / "a.zarr", **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("compressor", "zarr_format"),
    [
        (None, 3),
        (None, 2),
        (numcodecs.Blosc("lz4"), 2),
        (numcodecs.Blosc("lz4"), 3),
        (numcodecs.Zstd(5), 3),
        (numcodecs.GZip(2), 3),
        (zarr.codecs.GzipCodec(level=1), 3),
    ],
)
def test_compressors(tmp_path, compressor, zarr_format):
    data = np.arange(400, dtype=np.int32).reshape(1, 20, 20)
    url = to_zarr(from_array(data), tmp_path / "a.zarr", compressor=compressor, zarr_format=zarr_format)
    np.testing.assert_array_equal(to_numpy(open_source(url)), data)
    assert bool(zarr.open_array(url, path="data", mode="r").compressors) == (compressor is not None)


def test_existing_target_is_kept_unless_overwritten(tmp_path):
    ones, twos = (from_array(np.full((4, 4), value, np.uint8)) for value in (1, 2))
    url = to_zarr(ones, tmp_path / "a.zarr")
    with pytest.raises(SinkError, match=r"a\.zarr exists; pass overwrite=True"):
        to_zarr(twos, url)
    assert (to_numpy(open_source(url)) == 1).all()
    to_zarr(twos, url, overwrite=True)
    assert (to_numpy(open_source(url)) == 2).all()
    assert [path.name for path in tmp_path.iterdir()] == ["a.zarr"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(SinkError, match="no zarr store"):
        to_zarr(ones, tmp_path / "mine", overwrite=True)
    assert (tmp_path / "mine" / "letter.txt").exists()


@pytest.mark.parametrize("remote", [False, True])
def test_failure_leaves_nothing_or_what_was_there(shared_data, tmp_path, remote):
    broken = open_source(shared_data / "geotiff" / "rasterio/corrupt.tif")
    url = f"memory://{tmp_path.name}/a.zarr" if remote else str(tmp_path / "a.zarr")
    with pytest.raises(SourceError, match="corrupt"):
        to_zarr(broken, url)
    with pytest.raises(SourceError):
        open_source(url)
    assert not list(tmp_path.iterdir())
    to_zarr(from_array(np.ones((4, 4), np.uint8)), url)
    if not remote:
        with pytest.raises(SourceError, match="corrupt"):
            to_zarr(broken, url, overwrite=True)
        assert (to_numpy(open_source(url)) == 1).all()
        assert [path.name for path in tmp_path.iterdir()] == ["a.zarr"]


def test_remote_store(tmp_path):
    data = np.arange(2 * 70 * 90, dtype=np.uint16).reshape(2, 70, 90)
    node = from_array(data, nodata=3, **PLACE)
    url = f"memory://{tmp_path.name}/b.zarr"
    assert to_zarr(node, url, chunks=(32, 32)) == url
    back = open_source(url)
    assert (back.meta.grid, back.meta.nodata) == (node.meta.grid, 3)
    np.testing.assert_array_equal(to_numpy(back), data)
    with pytest.raises(SinkError, match="exists"):
        to_zarr(node, url)
    to_zarr(from_array(data + 1, **PLACE), url, overwrite=True)
    np.testing.assert_array_equal(to_numpy(open_source(url)), data + 1)


@pytest.mark.parametrize("scheduler", ["synchronous", "processes"])
def test_other_schedulers(tmp_path, scheduler):
    data = np.random.default_rng(0).integers(0, 9, (1, 1200, 1100)).astype(np.uint8)
    with dask.config.set(scheduler=scheduler, num_workers=2):
        url = to_zarr(from_array(data), tmp_path / "a.zarr", chunks=(100, 300))
    np.testing.assert_array_equal(to_numpy(open_source(url)), data)


def test_writer_pickles(tmp_path):
    node = from_array(np.zeros((1, 4, 4), np.uint8))
    layout = checked_layout(node.meta, None, None, "auto", 3, (4, 4))
    writer = ZarrWriter(str(tmp_path), (), node.meta, build_group(node.meta, layout))
    assert pickle.loads(pickle.dumps(writer)).metadata == writer.metadata


def test_missing_chunks_of_format_two_are_not_guessed(tmp_path):
    data = np.zeros((1, 8, 8), np.uint8)
    url = to_zarr(from_array(data), tmp_path / "a.zarr", zarr_format=2, chunks=(4, 4))
    assert xr.open_zarr(url)["data"].dtype == np.uint8
    assert len(list((tmp_path / "a.zarr" / "data").glob("[0-9]*"))) == 4


def test_zip_cannot_be_written(tmp_path):
    with pytest.raises(SinkError, match="zip"):
        to_zarr(from_array(np.zeros((4, 4))), tmp_path / "a.zarr.zip")


def test_unwritable_place(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SinkError, match="cannot be written"):
        to_zarr(from_array(np.zeros((4, 4))), tmp_path / "file" / "a.zarr")


def test_a_task_that_outlives_its_run_brings_nothing_back(tmp_path):
    """Interrupted, threads go on for a moment: the folder that is gone stays gone."""
    node = from_array(np.zeros((1, 4, 4), np.uint8))
    layout = checked_layout(node.meta, None, None, "auto", 3, (4, 4))
    writer = ZarrWriter(str(tmp_path / "staging"), (), node.meta, build_group(node.meta, layout))
    shutil.rmtree(tmp_path / "staging")
    with pytest.raises(SinkError, match="is gone"):
        writer(Block(np.ones((1, 4, 4), np.uint8)), Region(0, 4, 0, 4))
    assert list(tmp_path.iterdir()) == []
