"""GDAL sources against rasterio itself: real files of all kinds, damaged ones, threads, forks, workers."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import shutil
import struct
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import rasterio
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from weft.graph.errors import ArgumentError, BandError, SourceError
from weft.graph.grid import Region
from weft.graph.jsonio import from_json, to_json
from weft.io.gdal import BLOCK_CACHE_BYTES, close_handles
from weft.io.numpy_sink import to_numpy
from weft.io.registry import open_source
from weft.ops.display import DisplayChainFactory, display
from weft.ops.dra import dra
from weft.ops.overview import overview

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "geotiff"
SIDECARS = {".ovr", ".xml", ".rpb"}
FILES = sorted(
    path.relative_to(SHARED).as_posix() for path in SHARED.rglob("*") if path.is_file() and path.suffix not in SIDECARS
)
LARGE = "cogeotiff/sparse.tiff"
READABLE_MALFORMED = {"malformed/good_reference.tif", "malformed/ifd_loop.tif"}


def rasterio_reads(path):
    """(pixels, valid) as rasterio has them, or None where it cannot."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path) as dataset:
                data, valid = dataset.read(), dataset.read_masks() > 0
    except RasterioError:
        return None
    return data, valid & ~np.isnan(data) if data.dtype.kind in "fc" else valid


@pytest.mark.parametrize("name", [name for name in FILES if name != LARGE])
def test_real_file_equals_rasterio(shared_data, read, valid_of, name):
    path = shared_data / "geotiff" / name
    expected = rasterio_reads(path)
    if expected is None:
        with pytest.raises(SourceError, match=path.name):
            read(open_source(path))
        return
    assert not name.startswith("malformed/") or name in READABLE_MALFORMED
    data, valid = expected
    node = open_source(path)
    block = read(node)
    np.testing.assert_array_equal(block.data, data)
    assert block.data.dtype == data.dtype == node.meta.dtype
    np.testing.assert_array_equal(valid_of(block), valid)
    assert node.meta.masked or valid.all()
    with rasterio.open(path) as dataset:
        assert node.meta.grid.transform == dataset.transform
        assert len(node.meta.bands) == len(set(node.meta.bands)) == dataset.count
        assert node.meta.attrs["scales"] == dataset.scales
        assert [level.meta.grid.shape for level in node.overview_levels()] == overview_shapes(path, dataset)


def overview_shapes(path, dataset):
    shapes = []
    for k in range(len(dataset.overviews(1))):
        with rasterio.open(path, OVERVIEW_LEVEL=k) as level:
            shapes.append(level.shape)
    return shapes


def test_what_rasterio_cannot_read_is_known(shared_data):
    failing = {name for name in FILES if name != LARGE and rasterio_reads(shared_data / "geotiff" / name) is None}
    assert {"rasterio/corrupt.tif", "PROJ/test_vgrid_single_strip_truncated.tif", "malformed/empty.tif"} <= failing
    assert {name for name in FILES if name.startswith("malformed/")} - failing == READABLE_MALFORMED


def test_sparse_file_window_by_window(shared_data, read, valid_of):
    path = shared_data / "geotiff" / LARGE
    node = open_source(path)
    assert node.meta.grid.shape == (20480, 20480)
    rng = np.random.default_rng(0)
    with rasterio.open(path) as dataset:
        for row, col in rng.integers(0, 20480 - 600, (12, 2)):
            region = Region(int(row), int(row) + 600, int(col), int(col) + 300)
            window = Window(region.col0, region.row0, 300, 600)
            block = read(node, region)
            np.testing.assert_array_equal(block.data, dataset.read(window=window))
            np.testing.assert_array_equal(valid_of(block), dataset.read_masks(window=window) > 0)


@pytest.mark.parametrize(
    "name", ["rasterio/cogeo.tif", "rasterio/red.tif", "cogeotiff/rgba8_cog.tiff", "titiler/cog_with_nan.tif"]
)
def test_overviews_equal_rasterio(shared_data, read, valid_of, name):
    path = shared_data / "geotiff" / name
    node = open_source(path)
    levels = node.overview_levels()
    assert levels
    for k, level in enumerate(levels):
        with rasterio.open(path, OVERVIEW_LEVEL=k) as dataset:
            block = read(level)
            data, valid = dataset.read(), dataset.read_masks() > 0
            np.testing.assert_array_equal(block.data, data)
            np.testing.assert_array_equal(valid_of(block), valid & ~np.isnan(data) if data.dtype.kind == "f" else valid)
        assert level.meta.grid.bounds == pytest.approx(node.meta.grid.bounds)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_window_equals_the_whole(shared_data, read, valid_of, data):
    name = data.draw(
        st.sampled_from(["rasterio/RGB.byte.tif", "cogeotiff/rgba8_strip.tiff", "titiler/B09.tif", "gdal/labels.tif"])
    )
    node = open_source(shared_data / "geotiff" / name)
    rows, cols = node.meta.grid.shape
    row0, col0 = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, cols - 1))
    region = Region(row0, data.draw(st.integers(row0 + 1, rows)), col0, data.draw(st.integers(col0 + 1, cols)))
    whole, part = read(node), read(node, region)
    np.testing.assert_array_equal(part.data, whole.data[:, region.rows, region.cols])
    np.testing.assert_array_equal(valid_of(part), valid_of(whole)[:, region.rows, region.cols])


def test_reduced_takes_the_coarsest_that_is_not_too_coarse(shared_data):
    node = open_source(shared_data / "geotiff" / "rasterio/cogeo.tif")  # 1024 px, overviews 2, 4, ... 64
    assert node.reduced(1.9) is None
    assert node.reduced(2).meta.grid.shape == (512, 512)
    assert node.reduced(7.9).meta.grid.shape == (256, 256)
    assert node.reduced(1000).meta.grid.shape == (16, 16)
    assert node.reduced(4).reduced(2).meta.grid.shape == (128, 128)


def test_overviews_can_be_left_out(shared_data):
    node = open_source(shared_data / "geotiff" / "rasterio/cogeo.tif", overviews="none")
    assert node.reduced(64) is None
    with pytest.raises(ArgumentError, match="no overviews"):
        overview(node, 1)
    with pytest.raises(ArgumentError, match="auto"):
        open_source(shared_data / "geotiff" / "rasterio/cogeo.tif", overviews="all")


def test_bands_are_read_alone(shared_data, read):
    path = shared_data / "geotiff" / "rasterio/RGB.byte.tif"
    whole = read(open_source(path))
    picked = open_source(path, bands=["b3", 0])
    assert picked.meta.bands == ("b3", "b1")
    np.testing.assert_array_equal(read(picked).data, whole.data[[2, 0]])
    with pytest.raises(BandError, match="b1, b2, b3"):
        open_source(path, bands="nir")


def test_alpha_decides_when_it_is_not_chosen(shared_data, read, valid_of):
    path = shared_data / "geotiff" / "rio-tiler/cog_rgba.tif"
    whole = read(open_source(path))
    red = read(open_source(path, bands=0))
    assert red.data.shape[0] == 1
    np.testing.assert_array_equal(valid_of(red)[0], whole.data[3] != 0)


def test_mask_outranks_nodata(write_tif, read, valid_of):
    data = np.arange(1, 65, dtype=np.uint8).reshape(1, 8, 8)
    data[0, 0, 0] = 0
    mask = np.full((8, 8), 255, np.uint8)
    mask[:, :2] = 0
    node = open_source(write_tif(data, mask=mask, nodata=0))
    with rasterio.open(node.uri) as dataset:
        np.testing.assert_array_equal(valid_of(read(node)), dataset.read_masks() > 0)
    assert node.meta.nodata is None
    assert node.meta.attrs["nodatavals"] == (0.0,)


@pytest.mark.parametrize(
    ("dtype", "nodata"), [("uint8", 7), ("int16", -3), ("float32", 0.1), ("float64", 1e300), ("float32", np.nan)]
)
def test_nodata_of_the_file_and_of_the_user(write_tif, read, valid_of, dtype, nodata):
    data = np.arange(-8, 56).astype(dtype).reshape(1, 8, 8)
    data[0, 3, 3] = nodata
    path = write_tif(data, nodata=nodata)
    node = open_source(path)
    with rasterio.open(path) as dataset:
        expected = (dataset.read_masks() > 0) & ~(np.isnan(data) if data.dtype.kind == "f" else False)
    np.testing.assert_array_equal(valid_of(read(node)), expected)
    assert not expected[0, 3, 3]
    other = open_source(path, nodata=20)
    assert other.meta.nodata == 20
    valid = valid_of(read(other))
    np.testing.assert_array_equal(valid, (data != 20) & ~(np.isnan(data) if data.dtype.kind == "f" else False))


def test_impossible_nodata_is_refused(write_tif):
    path = write_tif(np.zeros((1, 4, 4), np.uint8))
    with pytest.raises(ArgumentError, match="-1"):
        open_source(path, nodata=-1)


def test_descriptions_name_bands_and_stay_unique(tmp_path):
    path = tmp_path / "named.tif"
    with rasterio.open(path, "w", driver="GTiff", width=4, height=4, count=4, dtype="uint8") as target:
        target.descriptions = ("red", None, "red", "nir")
    assert open_source(path).meta.bands == ("red", "b2", "red_2", "nir")


def bandsb(waves, unit):
    """A BANDSB extension (STDI-0002, appendix X) that tells centre wavelengths and nothing else."""
    spacing = b"0001.00M" * 4
    head = b"%05d" % len(waves) + b"REFLECTANCE".ljust(24) + b"F" + struct.pack(">ff", 1, 0) + spacing + b" " * 48
    return head + struct.pack(">I", 1 << 24) + unit + b"".join(b"%-7s" % wave for wave in waves)


@pytest.mark.parametrize(
    ("waves", "unit"),
    [((b"0.84000", b"0.47000", b"0.66500", b"0.53000"), b"U"), ((b"11904.8", b"21276.6", b"15037.6", b"18867.9"), b"W")],
)
def test_wavelengths_of_a_nitf(tmp_path, read, waves, unit):
    path, data = tmp_path / "four.ntf", np.arange(256, dtype=np.uint16).reshape(4, 8, 8)
    extension = f"HEX/BANDSB={bandsb(waves, unit).hex()}"
    with rasterio.open(path, "w", driver="NITF", width=8, height=8, count=4, dtype="uint16", IREP="MULTI", TRE=extension) as f:
        f.write(data)
    node = open_source(path)
    assert node.meta.attrs["wavelengths"] == pytest.approx((840, 470, 665, 530), rel=1e-5)
    assert open_source(path, bands=[3, 0]).meta.attrs["wavelengths"] == pytest.approx((530, 840), rel=1e-5)
    assert DisplayChainFactory.build(node).input_bands == (2, 3, 1)
    shown = display(node)
    np.testing.assert_array_equal(read(shown).data, read(dra(node.select((2, 3, 1)))).data)


def test_wavelengths_of_other_formats(tmp_path):
    path = tmp_path / "two.tif"
    with rasterio.open(path, "w", driver="GTiff", width=8, height=8, count=2, dtype="uint16") as file:
        file.update_tags(2, ns="IMAGERY", CENTRAL_WAVELENGTH_UM="0.842")
    assert open_source(path).meta.attrs["wavelengths"] == (None, 842.0)
    assert "wavelengths" not in open_source(path, bands=0).meta.attrs


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nitf/imaging-nitf/rgb16_11ABPP.ntf", {"irepbands": ("R", "G", "B")}),
        ("nitf/sarpy/iq.nitf", {"irepbands": ("M", "M"), "isubcats": ("I", "Q")}),
        ("geotiff/aiocogeo/cog.tif", {"photometric": "ycbcr"}),
        ("geotiff/gdal/m_3607824_se_17_1_20160620_sub.tif", {"photometric": "rgb"}),
        ("geotiff/gdal/test_color_table.tif", {"photometric": "palette"}),
        ("geotiff/rasterio/RGBA.uint16.tif", {}),
    ],
)
def test_what_real_files_tell_of_their_colours(shared_data, name, told):
    attrs = open_source(shared_data / name).meta.attrs
    assert {key: attrs[key] for key in ("photometric", "irepbands", "isubcats", "wavelengths") if key in attrs} == told


@pytest.mark.parametrize(
    ("name", "bands"),
    [
        ("geotiff/aiocogeo/cog.tif", [0, 1, 2]),  # YCbCr, decoded by GDAL
        ("geotiff/gdal/m_3607824_se_17_1_20160620_sub.tif", [0, 1, 2]),  # red, green, blue, infrared
        ("geotiff/image-tiff/usda_naip_256_webp_z3.tif", [0, 1, 2]),  # with alpha
        ("nitf/imaging-nitf/i_3301h.ntf", [0, 1, 2]),
        ("nitf/osml-imagery-io/nitf21-8x8-1band-8bit-nc.ntf", [0]),
    ],
)
def test_real_files_of_8_bits_are_shown_as_they_are(shared_data, read, name, bands):
    node = open_source(shared_data / name)
    np.testing.assert_array_equal(read(display(node)).data, read(node).data[bands])


def test_real_files_are_shown_in_their_colours(shared_data):
    assert DisplayChainFactory.build(open_source(shared_data / "geotiff/rasterio/RGBA.uint16.tif")).input_bands == (2, 1, 0)


def test_points_instead_of_a_transform(shared_data):
    node = open_source(shared_data / "geotiff" / "odc-geo/au-gcp.tif")
    assert node.meta.grid.crs is None
    assert len(node.meta.attrs["gcps"]) == 24
    assert node.meta.attrs["gcps_crs"].startswith("EPSG")
    model = open_source(shared_data / "geotiff" / "rioxarray/test_rpcs.tif").meta
    assert model.grid.crs is None
    assert model.attrs["rpcs"]["line_num_coeff"]


def test_same_file_same_token_and_pickles_small(shared_data, read, monkeypatch):
    path = (shared_data / "geotiff" / "rasterio/RGB.byte.tif").resolve()
    node = open_source(path)
    monkeypatch.chdir(path.parent)
    assert open_source("RGB.byte.tif").token == node.token == open_source(str(path)).token
    data = pickle.dumps(node)
    assert len(data) < 4000
    again = pickle.loads(data)
    assert again.token == node.token
    np.testing.assert_array_equal(read(again).data, read(node).data)


def test_json_opens_the_file_again(shared_data, read):
    path = shared_data / "geotiff" / "rasterio/cogeo.tif"
    node = overview(open_source(path, bands=[2, 0], nodata=3), 2)
    again = from_json(to_json(node))
    assert again.token == node.token
    np.testing.assert_array_equal(read(again).data, read(node).data)


def test_credentials_stay_out_of_json_and_repr(write_tif):
    node = open_source(write_tif(np.zeros((1, 4, 4), np.uint8)), storage_options={"AWS_SECRET_ACCESS_KEY": "hidden"})
    assert "hidden" not in to_json(node)
    assert "hidden" not in repr(node)


def test_unpickling_opens_nothing(write_tif, read):
    path = write_tif(np.ones((1, 4, 4), np.uint8))
    data = pickle.dumps(open_source(path))
    path.unlink()
    node = pickle.loads(data)
    assert node.meta.grid.shape == (4, 4)
    with pytest.raises(SourceError, match="gone"):
        read(node)


def test_changed_file_is_noticed(write_tif, read):
    path = write_tif(np.ones((1, 4, 4), np.uint8))
    node = open_source(path)
    write_tif(np.full((1, 9, 9), 2, np.uint8))
    os.utime(path, ns=(1, 1))
    with pytest.raises(SourceError, match="changed"):
        read(node)
    fresh = open_source(path)
    assert fresh.token != node.token
    assert (read(fresh).data == 2).all()


def test_missing_file(tmp_path):
    with pytest.raises(SourceError, match=r"absent\.tif: no such file"):
        open_source(tmp_path / "absent.tif")


def test_unreachable_url():
    with pytest.raises(SourceError, match="cannot open it") as caught:
        open_source("http://127.0.0.1:9/a.tif?signature=hidden")
    assert "hidden" not in str(caught.value)


def test_container_lists_what_is_inside(tmp_path, read):
    group = zarr.create_group(tmp_path / "two.zarr", zarr_format=2)
    for value, name in enumerate(("first", "second")):
        group.create_array(name, shape=(4, 4), dtype="u1", compressors=None)[...] = value
    with pytest.raises(SourceError, match=r"no bands; open one of its subdatasets: .*first.*second") as caught:
        open_source(tmp_path / "two.zarr", engine="rasterio")
    inside = str(caught.value).rpartition("; ")[2]
    assert (read(open_source(inside, engine="rasterio")).data == 1).all()


def test_impossible_subdataset(write_tif):
    with pytest.raises(SourceError, match="cannot open it"):
        open_source("GTIFF_DIR:7:" + str(write_tif(np.zeros((1, 4, 4), np.uint8))))


def test_subdataset_of_a_directory(shared_data, read):
    path = shared_data / "geotiff" / "PROJ/test_hgrid_with_subgrid.tif"
    inside = open_source(path).meta.attrs["subdatasets"]
    node = open_source(inside[1])
    with rasterio.open(inside[1]) as dataset:
        np.testing.assert_array_equal(read(node).data, dataset.read())


def test_zipped_file(write_tif, tmp_path, read):
    path = write_tif(np.arange(16, dtype=np.uint8).reshape(1, 4, 4))
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "a.tif")
    node = open_source(f"/vsizip/{archive}/a.tif")
    np.testing.assert_array_equal(read(node).data, read(open_source(path)).data)
    os.utime(archive, ns=(1, 1))
    with pytest.raises(SourceError, match="changed"):
        read(open_source(path).__class__(node.uri, node.header, (1,), override=9))


def test_tiles_are_whole_blocks(write_tif):
    striped = open_source(write_tif(np.zeros((3, 900, 700), np.uint8), "s.tif", blockysize=4)).meta.tile
    assert striped[1] == 700
    assert striped[0] % 4 == 0
    assert 250 <= striped[0] <= 512
    tiled = {"tiled": True, "blockxsize": 64, "blockysize": 64}
    assert open_source(write_tif(np.zeros((1, 900, 700), np.uint8), "t.tif", **tiled)).meta.tile == (512, 512)
    many = open_source(write_tif(np.zeros((200, 300, 300), np.float32), "m.tif", **tiled)).meta
    assert many.tile[0] % 64 == 0
    assert many.tile[0] * many.tile[1] * 200 * 4 <= 16 * 2**20


def test_threads_read_alike(shared_data, read):
    node = open_source(shared_data / "geotiff" / "rasterio/cogeo.tif")
    with rasterio.open(node.uri) as dataset:
        whole = dataset.read()
    rng = np.random.default_rng(1)
    corners = rng.integers(0, 700, (64, 2)).tolist()

    def same(corner):
        region = Region(corner[0], corner[0] + 300, corner[1], corner[1] + 200)
        tile = node.read(Region(0, 512, 512, 1024)).data
        return np.array_equal(read(node, region).data, whole[:, region.rows, region.cols]) and np.array_equal(
            tile, whole[:, :512, 512:]
        )

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(same, corners))


def _sum_of(node) -> int:
    return int(node.read(Region(0, 100, 0, 100)).data.sum())


def test_errors_come_back_from_workers(shared_data):
    node = open_source(shared_data / "geotiff" / "rasterio/corrupt.tif")
    with pytest.raises(SourceError, match=r"corrupt\.tif: cannot read rows") as caught:
        node.read(node.meta.grid.region)
    again = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(again, SourceError)
    assert str(again) == str(caught.value)
    distributed = pytest.importorskip("distributed")
    with (
        distributed.Client(processes=True, n_workers=1, threads_per_worker=1, dashboard_address=None),
        pytest.raises(SourceError, match=r"corrupt\.tif: cannot read rows"),
    ):
        to_numpy(node)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_fork_opens_its_own_handle(shared_data):
    node = open_source(shared_data / "geotiff" / "rasterio/RGB.byte.tif")
    expected = _sum_of(node)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map_async(_sum_of, [node] * 4).get(timeout=60) == [expected] * 4
    assert _sum_of(node) == expected


def test_block_cache_of_gdal_is_small(write_tif, read):
    read(open_source(write_tif(np.zeros((1, 4, 4), np.uint8))))
    if "GDAL_CACHEMAX" not in os.environ:
        with rasterio.Env():
            assert rasterio.env.get_gdal_config("GDAL_CACHEMAX") == BLOCK_CACHE_BYTES


def test_handles_can_be_closed(write_tif, read):
    node = open_source(write_tif(np.ones((1, 4, 4), np.uint8)))
    close_handles()
    assert read(node).data.sum() == 16


def test_mixed_types_come_out_as_one(tmp_path, read, write_tif):
    write_tif(np.full((1, 4, 4), 3, np.uint8), "a.tif")
    write_tif(np.full((1, 4, 4), 0.5, np.float32), "b.tif")
    bands = "".join(
        f'<VRTRasterBand dataType="{kind}" band="{i}"><SimpleSource><SourceFilename relativeToVRT="1">{name}</SourceFilename>'
        f"<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
        for i, (kind, name) in enumerate([("Byte", "a.tif"), ("Float32", "b.tif")], start=1)
    )
    (tmp_path / "mixed.vrt").write_text(f'<VRTDataset rasterXSize="4" rasterYSize="4">{bands}</VRTDataset>')
    node = open_source(tmp_path / "mixed.vrt")
    assert node.meta.dtype == np.float32
    assert read(node).data[:, 0, 0].tolist() == [3.0, 0.5]
