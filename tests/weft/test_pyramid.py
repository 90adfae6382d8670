"""``Pyramid``: one pass gives what each level gives alone and what the array functions give by hand."""

from __future__ import annotations

import dask
import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.enums import Resampling

import weft
from weft import Pyramid
from weft.graph.errors import ArgumentError
from weft.ops.halve import METHODS as HALVINGS
from weft.ops.sips_reduce import sips_rrds_resample

METHODS = ("sips", *HALVINGS)
PLACE = (10, 0, 500000, 0, -10, 5000000)


def raster(rows, cols, dtype="uint16", masked=False, seed=0):
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 4000, (2, rows, cols)).astype(dtype)
    valid = random.random((2, rows, cols)) > 0.3 if masked else None
    return weft.from_array(pixels, transform=PLACE, crs="EPSG:32633", valid=valid)


@settings(max_examples=40)
@given(
    rows=st.integers(1, 70),
    cols=st.integers(1, 70),
    method=st.sampled_from(METHODS),
    masked=st.booleans(),
    dtype=st.sampled_from(["uint8", "uint16", "int16", "float32"]),
)
def test_one_pass_is_every_level_alone(rows, cols, method, masked, dtype):
    pyramid = raster(rows, cols, dtype, masked).pyramid(method, 4)
    kept = pyramid.persist()
    for level, pixels, keeping in zip(pyramid, pyramid.to_numpy(), kept, strict=True):
        alone = level.to_numpy(masked=True)
        np.testing.assert_array_equal(pixels, alone.data)
        np.testing.assert_array_equal(keeping.to_numpy(masked=True).mask, alone.mask)
        assert keeping.grid == level.grid


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (1500, 2100), (1025, 1027), (4100, 70)])
@pytest.mark.parametrize("method", ["sips", "average", "cubic"])
def test_many_chunks_make_the_same_levels(shape, method):
    pyramid = raster(*shape).pyramid(method, 16)
    for level, pixels in zip(pyramid, pyramid.to_numpy(), strict=True):
        np.testing.assert_array_equal(pixels, level.to_numpy())


def test_sips_levels_are_those_of_the_array_function():
    pyramid = raster(1100, 900).pyramid(min_size=100)
    assert pyramid.method == "sips"
    pixels = pyramid[0].to_numpy()
    for level in pyramid.to_numpy()[1:]:
        pixels = sips_rrds_resample(pixels, *level.shape[1:])
        np.testing.assert_array_equal(level, pixels)


def test_average_levels_are_means_of_means():
    pyramid = raster(64, 96).pyramid("average", 8)
    pixels = pyramid[0].to_numpy().astype(int)
    for level in pyramid.to_numpy()[1:]:
        pixels = (pixels[:, ::2, ::2] + pixels[:, 1::2, ::2] + pixels[:, ::2, 1::2] + pixels[:, 1::2, 1::2] + 2) // 4
        np.testing.assert_array_equal(level, pixels)


@pytest.mark.parametrize("scheduler", ["sync", "threads"])
def test_schedulers_agree(scheduler):
    pyramid = raster(2100, 1500, masked=True).pyramid("bilinear", 64)
    with dask.config.set(scheduler=scheduler):
        for level, pixels in zip(pyramid, pyramid.to_numpy(), strict=True):
            np.testing.assert_array_equal(pixels, level.to_numpy())


def test_it_is_a_sequence_of_rasters():
    pyramid = raster(1000, 700).pyramid("average")
    assert len(pyramid) == pyramid.num_levels == 3
    assert [level.shape for level in pyramid] == [(2, 1000, 700), (2, 500, 350), (2, 250, 175)]
    assert pyramid.level(1).token == pyramid[1].token == pyramid.levels[1].token
    assert pyramid[-1].resolution == (40, 40)
    assert pyramid.image_shape_at_level(2) == (2, 250, 175)
    assert pyramid.tile_grid_at_level(1) == (1, 1)
    reduced = pyramid[1:]
    assert isinstance(reduced, Pyramid)
    assert [level.token for level in reduced] == [level.token for level in pyramid][1:]
    for wrong in (3, -1):
        with pytest.raises(IndexError, match="levels 0 to 2"):
            pyramid.level(wrong)


def test_nothing_is_computed_before_it_is_wanted(monkeypatch):
    from weft.ops.halve import Halve

    monkeypatch.setattr(Halve, "kernel", lambda *_: pytest.fail("computed"))
    pyramid = raster(1000, 1000).pyramid("average")
    assert "from level 0" in repr(pyramid)
    assert "<table>" in pyramid._repr_html_()
    assert pyramid.best_level_for((1000, 1000), (200, 200)) == 2


@pytest.mark.parametrize(
    ("source", "wanted", "level"),
    [
        ((1000, 700), (1000, 700), 0),
        ((1000, 700), (501, 350), 0),
        ((1000, 700), (500, 350), 1),
        ((1000, 700), (500, 200), 1),
        ((1000, 700), (250, 175), 2),
        ((1000, 700), (1, 1), 2),
        ((100, 100), (2000, 2000), 0),
    ],
)
def test_the_best_level_never_has_to_be_enlarged(source, wanted, level):
    assert raster(700, 1000).pyramid("average").best_level_for(source, wanted) == level


@pytest.mark.parametrize("sizes", [((0, 5), (5, 5)), ((5, 5), (5, -1)), ((5,), (5, 5))])
def test_sizes_above_nought_are_wanted(sizes):
    with pytest.raises(ArgumentError, match="above 0"):
        raster(10, 10).pyramid("average").best_level_for(*sizes)


@pytest.fixture
def with_overviews(tmp_path):
    """A file of 1001 x 900 pixels whose overviews are its pixels picked, which no averaging would give."""
    path = tmp_path / "a.tif"
    pixels = np.random.default_rng(3).integers(0, 4000, (1, 1001, 900)).astype("uint16")
    profile = {"driver": "GTiff", "height": 1001, "width": 900, "count": 1, "dtype": "uint16", "tiled": True}
    place = rasterio.Affine(*PLACE)
    with rasterio.open(path, "w", **profile, transform=place, crs="EPSG:32633") as target:
        target.write(pixels)
    with rasterio.open(path, "r+") as target:
        target.build_overviews([2, 4], Resampling.nearest)
    return path


def test_native_levels_come_first(with_overviews):
    image = weft.open(with_overviews)
    native = image.pyramid("average", 100, use_native_levels=True)
    assert [level.shape[1:] for level in native] == [(1001, 900), (501, 450), (251, 225), (126, 113), (63, 57)]
    for k in (0, 1, 2):
        assert native[k].token == image.overview(k).token
    assert native[3].token == image.overview(2).halve("average").token
    assert ["from level" in row for row in repr(native).splitlines()[1:]] == [False, False, False, True, True]
    for level, pixels in zip(native, native.to_numpy(), strict=True):
        np.testing.assert_array_equal(pixels, level.to_numpy())
    own = image.pyramid("average", 100)
    assert own[1].token == image.halve("average").token


def test_statistics_come_from_the_cheapest_level_that_is_stored(with_overviews):
    pyramid = weft.open(with_overviews).pyramid("average", 100, use_native_levels=True)
    assert pyramid.level_for_statistics(50_000) == 2
    assert pyramid.level_for_statistics(200_000) == 1
    assert pyramid.level_for_statistics(10**9) == 0
    assert pyramid.statistics(max_pixels=50_000) == pyramid[2].statistics(approximate=False)
    assert pyramid.statistics(3) == pyramid[3].statistics(approximate=False)
    assert weft.open(with_overviews).pyramid("average", 100).level_for_statistics(50_000) == 0


def test_levels_that_do_not_belong_together_are_refused():
    image = raster(40, 40)
    with pytest.raises(ArgumentError, match="at least one"):
        Pyramid([])
    with pytest.raises(ArgumentError, match="alike"):
        Pyramid([image, image.halve().select([0])])
    with pytest.raises(ArgumentError, match="alike"):
        Pyramid([image, image.halve().astype("int32")])
    with pytest.raises(ArgumentError, match="finest first"):
        Pyramid([image.halve(), image])


def test_a_chain_of_operations_has_a_pyramid_too():
    image = raster(600, 500)
    view = image.warp("EPSG:3857").rescale((0, 4000), (0, 255), "uint8")
    pyramid = view.pyramid("average", 100)
    for level, pixels in zip(pyramid, pyramid.to_numpy(), strict=True):
        np.testing.assert_array_equal(pixels, level.to_numpy())
