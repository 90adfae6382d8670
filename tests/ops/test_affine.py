"""Affine against sums by hand, real files, and itself in tiles, rewritten and in threads."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from affine import Affine as Transform
from hypothesis import given, settings
from hypothesis import strategies as st

from weft.graph.errors import ArgumentError, DtypeError, GridError
from weft.graph.grid import Grid, Region
from weft.graph.sweep import Program, evaluate
from weft.ops import affine
from weft.ops.affine import Affine, between, compose, inverse, snapped
from weft.ops.sampling import RESAMPLINGS

TURN = Transform.translation(9, -4) @ Transform.rotation(20) @ Transform.scale(0.8)
UTM = Grid((40, 50), (10, 0, 500000, 0, -10, 5200000), "EPSG:32633")


def source_coordinates(node):
    i, j = np.mgrid[: node.grid.shape[0], : node.grid.shape[1]] + 0.5
    a, b, c, d, e, f = node.matrix
    return a * j + b * i + c, d * j + e * i + f


def noise(shape, dtype=np.float64, seed=0):
    return (100 * np.random.default_rng(seed).normal(size=shape)).astype(dtype)


def applied(node, rule):
    """What the rule of that name makes of the node."""
    return next(r for r in node.rules if r.name == rule).apply(node)


READ_OVERVIEW, COMPOSE = "read the right overview", "resample once: affine of affine"


@pytest.mark.parametrize("resampling", list(RESAMPLINGS))
@pytest.mark.parametrize("path", ["geotiff/rasterio/RGB.byte.tif", "geotiff/solaris/pan1.tif", "geotiff/titiler/dem.tif"])
def test_real_files_equal_the_sum_by_hand(image_file, by_hand, path, resampling):
    source = image_file(path)
    node = affine(source, TURN, resampling=resampling, antialias=False)
    region = Region(200, 240, 150, 190)
    block = evaluate(Program(node), region)
    x, y = (v[region.rows, region.cols] for v in source_coordinates(node))
    corner = int(y.min()) - 5, int(x.min()) - 5
    window = np.s_[:, corner[0] : int(y.max()) + 5, corner[1] : int(x.max()) + 5]
    pixels = source.pixels.array[window]
    valid = np.ones(pixels.shape, bool) if source.valid is None else source.valid.array[window]
    width = (math.hypot(*node.matrix[:2]), math.hypot(*node.matrix[3:5])) if RESAMPLINGS[resampling].footprint else (1, 1)
    values, ok = by_hand(pixels, valid, x - corner[1], y - corner[0], resampling, width)
    values = values.astype(float)
    got = np.ones(ok.shape, bool) if block.valid is None else np.broadcast_to(block.valid, ok.shape)
    assert np.array_equal(got, ok)
    assert ok.any()
    limit = (0, 255) if block.data.dtype == np.uint8 else (-np.inf, np.inf)
    wanted = np.clip(values, *limit)
    nodata = node.meta.nodata
    beside = ok & (np.floor(wanted + 0.5) == nodata)  # a valid pixel never falls onto nodata: it goes to the next number
    assert np.abs(block.data.astype(float) - wanted)[ok & ~beside].max() <= 0.5 + 1e-4
    assert all(abs(value - nodata) == 1 for value in block.data[beside].astype(float))


@settings(max_examples=30, deadline=None)
@given(
    angle=st.floats(-180, 180),
    size=st.floats(0.3, 3),
    tile=st.tuples(st.integers(5, 90), st.integers(5, 90)),
    resampling=st.sampled_from(list(RESAMPLINGS)),
    masked=st.booleans(),
)
def test_tiles_are_bit_equal_to_the_whole(image, whole, in_tiles, angle, size, tile, resampling, masked):
    valid = np.random.default_rng(1).random((1, 60, 70)) < 0.9 if masked else None
    source = image(noise((2, 60, 70), np.float32), valid=valid)
    matrix = Transform.translation(30, 30) @ Transform.rotation(angle) @ Transform.scale(size) @ Transform.translation(-35, -30)
    node = affine(source, matrix, shape=(80, 75), resampling=resampling)
    full, tiled = whole(node), in_tiles(node, *tile)
    assert np.array_equal(full.data, tiled.data, equal_nan=True)
    for a, b in ((full.valid, tiled.valid),):
        ones = np.ones(full.data.shape, bool)
        assert np.array_equal(ones if a is None else a & ones, ones if b is None else b & ones)


def test_threads_are_bit_equal(image, whole):
    node = affine(image(noise((1, 300, 300), np.float32)), TURN, shape=(300, 300))
    program, full = Program(node), whole(node)
    tiles = [Region(r, r + 50, c, c + 50) for r in range(0, 300, 50) for c in range(0, 300, 50)]
    with ThreadPoolExecutor(8) as pool:
        blocks = list(pool.map(lambda tile: evaluate(program, tile), tiles))
    for tile, block in zip(tiles, blocks, strict=True):
        assert np.array_equal(block.data, full.data[:, tile.rows, tile.cols], equal_nan=True)


def test_the_matrix_says_where_input_pixels_go(image, whole):
    pixels = np.zeros((1, 10, 10))
    pixels[0, 2, 3] = 1
    moved = whole(affine(image(pixels), (1, 0, 4, 0, 1, 5), shape="keep", resampling="nearest")).data
    assert moved[0, 7, 7] == 1


def test_the_ground_stays_where_it_is(image):
    node = affine(image(noise((1, 40, 50)), UTM), TURN)
    x, y = TURN @ (12.0, 7.0)
    assert node.grid.transform @ (x, y) == pytest.approx(UTM.transform @ (12.0, 7.0), abs=1e-6)
    assert node.grid.crs == UTM.crs


def test_auto_shape_covers_positive_coordinates_only(image):
    source = image(noise((1, 40, 50)))
    assert affine(source, Transform.scale(2, 3)).grid.shape == (120, 100)
    assert affine(source, Transform.translation(-10, 5.5)).grid.shape == (46, 40)
    assert affine(source, TURN, shape="keep").grid.shape == (40, 50)
    assert affine(source, TURN, shape=(7, 8)).grid.shape == (7, 8)
    with pytest.raises(GridError, match="negative"):
        affine(source, Transform.translation(-100, 0))


@pytest.mark.parametrize("form", [tuple(TURN)[:6], np.array(TURN).reshape(3, 3), np.array(TURN).reshape(3, 3)[:2].tolist()])
def test_every_form_of_matrix_is_one(image, form):
    source = image(noise((1, 40, 50)))
    assert affine(source, form).token == affine(source, TURN).token


@pytest.mark.parametrize(
    ("matrix", "word"),
    [
        ((1, 2, 3), "six numbers"),
        ("turn", "six numbers"),
        ((1, 0, 0, 2, 0, 0), "inverted"),
        ((1, 0, math.nan, 0, 1, 0), "finite"),
        ([[1, 0, 0], [0, 1, 0], [0.1, 0, 1]], "projective"),
    ],
)
def test_impossible_matrices_are_refused(image, matrix, word):
    with pytest.raises(ArgumentError, match=word):
        affine(image(noise((1, 4, 5))), matrix)


def test_impossible_options_are_refused(image):
    source = image(noise((1, 4, 5)))
    with pytest.raises(ArgumentError, match="nearest, bilinear, cubic"):
        affine(source, TURN, resampling="sinc")
    with pytest.raises(ArgumentError, match="auto"):
        affine(source, TURN, shape="large")
    with pytest.raises(GridError):
        affine(source, TURN, shape=(0, 5))


def test_meta_knows_whether_pixels_can_be_invalid(image):
    source = image(noise((1, 40, 50), np.float32))
    assert not affine(source, Transform.scale(2)).meta.masked
    assert affine(source, TURN).meta.masked
    assert affine(image(noise((1, 4, 5)), valid=np.ones((1, 4, 5))), Transform.scale(2)).meta.masked
    assert math.isnan(affine(source, TURN).meta.nodata)
    assert affine(image(np.zeros((1, 4, 5), np.uint8)), TURN).meta.nodata is None
    assert affine(image(np.zeros((1, 4, 5), np.uint8), nodata=3), TURN).meta.nodata == 3
    assert affine(source, TURN).meta.attrs == source.meta.attrs


@pytest.mark.parametrize("resampling", list(RESAMPLINGS))
def test_whole_pixel_shift_is_a_copy(image, whole, in_tiles, resampling):
    pixels = noise((2, 20, 30))
    pixels[:, 5, 5] = np.inf
    valid = np.random.default_rng(0).random((2, 20, 30)) < 0.5
    for mask in (None, valid):
        node = affine(image(pixels, valid=mask, nodata=-1), (1, 0, 3, 0, 1, -2), shape=(25, 30), resampling=resampling)
        block = in_tiles(node, 7, 11)
        expected, ok = np.full((2, 25, 30), -1.0), np.zeros((2, 25, 30), bool)
        ok[:, :18, 3:] = True if mask is None else mask[:, 2:, :27]
        expected[:, :18, 3:] = pixels[:, 2:, :27]
        expected[~ok] = -1
        assert np.array_equal(block.data, expected)
        assert np.array_equal(np.broadcast_to(block.valid, ok.shape), ok)
        assert np.array_equal(whole(node).data, expected)


def test_identity_goes_away_and_changes_nothing(image, whole):
    source = image(noise((1, 20, 30)), valid=np.random.default_rng(0).random((1, 20, 30)) < 0.5)
    node = affine(source, Transform.identity())
    rule, result = node.rewrite(exact_only=True)
    assert rule.exact
    assert result is source
    assert np.array_equal(whole(node).data, whole(source).data)
    assert affine(source, Transform.identity(), shape=(19, 30)).rewrite(exact_only=True) is None


def test_two_affines_become_one(image, whole):
    smooth = np.add.outer(np.arange(60.0), 2 * np.arange(70.0))[None]
    source = image(smooth)
    inner = affine(source, Transform.translation(20, 20) @ Transform.rotation(10), shape=(120, 120))
    outer = affine(inner, Transform.translation(-10, 5) @ Transform.rotation(5), shape=(100, 100))
    once = applied(outer, COMPOSE)
    assert once.source is source
    assert once.grid == outer.grid
    a, b = whole(outer), whole(once)
    both = a.valid & b.valid
    assert both.sum() > 2000
    assert (a.valid != b.valid).sum() < 500
    assert np.abs(a.data - b.data)[both].max() < 1.5


def test_a_shrinking_or_cutting_inner_affine_stays(image):
    source = image(noise((1, 60, 70)))
    turn = Transform.rotation(5)
    assert applied(affine(affine(source, Transform.scale(0.5)), turn), COMPOSE) is None
    cut = affine(source, Transform.translation(-20, 0))
    assert applied(affine(cut, turn, shape=(60, 70)), COMPOSE) is None
    inside = affine(cut, Transform.translation(-10, -10), shape=(30, 30))
    assert applied(inside, COMPOSE).source is source
    other = affine(affine(source, Transform.scale(2)), turn, resampling="cubic")
    assert applied(other, COMPOSE) is None


def test_what_looks_at_an_area_stays_and_others_become_one(image):
    source = image(noise((1, 60, 70)))
    for resampling, kind in RESAMPLINGS.items():
        inner = affine(source, Transform.translation(20, 20) @ Transform.rotation(10), shape=(120, 120), resampling=resampling)
        outer = affine(inner, Transform.rotation(5), shape=(100, 100), resampling=resampling)
        assert (applied(outer, COMPOSE) is None) == kind.footprint


def test_up_and_down_again_is_the_source(image):
    source = image(noise((1, 60, 70)), UTM.resized((60, 70)))
    back = applied(affine(affine(source, Transform.scale(2)), Transform.scale(0.5)), COMPOSE)
    assert back.rewrite(exact_only=True)[1] is source


def test_the_right_overview_is_read(image, whole):
    source = image(noise((2, 64, 96)), halves=3)
    node = affine(source, Transform.scale(1 / 5))
    reading = applied(node, READ_OVERVIEW)
    assert reading.source.meta.grid.shape == (16, 24)
    assert reading.matrix == pytest.approx((1.25, 0, 0, 0, 1.25, 0))
    assert reading.grid == node.grid
    flat = image(np.full((1, 80, 160), 7.0), halves=3)
    assert np.allclose(whole(applied(affine(flat, Transform.scale(1 / 5)), READ_OVERVIEW)).data, 7)
    for suited in ("cubic", "lanczos", "average"):
        assert applied(affine(source, Transform.scale(1 / 5), resampling=suited), READ_OVERVIEW) is not None
    halves = affine(source, Transform.scale(1 / 4), resampling="average", antialias=False)
    assert np.allclose(whole(applied(halves, READ_OVERVIEW)).data, whole(halves).data)
    for unsuited in (
        affine(source, Transform.scale(1 / 5), antialias=False),
        *(affine(source, Transform.scale(1 / 5), resampling=how) for how in ("nearest", "mode", "min", "max", "median")),
        affine(source, Transform.scale(1 / 1.9)),
        affine(source, Transform.scale(1 / 8, 1)),
        affine(image(noise((1, 64, 96))), Transform.scale(1 / 5)),
    ):
        assert applied(unsuited, READ_OVERVIEW) is None


def test_reduced_is_the_same_image_on_coarser_pixels(image, whole):
    source = image(np.add.outer(np.arange(60.0), np.arange(70.0))[None], UTM.resized((60, 70)))
    node = affine(source, Transform.scale(2), shape=(121, 139))
    coarse = node.reduced(4)
    assert coarse.grid.shape == (31, 35)
    assert coarse.grid.bounds == pytest.approx(node.grid.bounds)
    middle = whole(node).data[0][:, :136].reshape(121, 34, 4).mean(axis=2)[8::4][:27]
    assert np.abs(whole(coarse).data[0, 2:29, :34] - middle).max() < 3
    assert node.reduced(1) is None
    assert affine(source, Transform.scale(2), resampling="nearest").reduced(4) is None


def test_complex_pixels_have_no_order(image):
    source = image(np.ones((1, 8, 9), np.complex64))
    for how in ("mode", "min", "max", "median"):
        with pytest.raises(DtypeError, match="abs"):
            affine(source, Transform.scale(2), resampling=how)
    assert affine(source, Transform.scale(0.5), resampling="average").meta.dtype == np.complex64


@pytest.mark.parametrize(
    ("resampling", "rows"), [("average", 32), ("max", 32), ("bilinear", 34), ("cubic", 38), ("lanczos", 42)]
)
def test_halving_reads_the_rows_it_is_made_of(image, resampling, rows):
    node = affine(image(noise((1, 200, 200))), Transform.scale(0.5), resampling=resampling)
    need = node.need(Region(32, 48, 32, 48))[0]
    assert need == Region(80 - rows // 2, 80 + rows // 2, 80 - rows // 2, 80 + rows // 2)


def test_bands_go_into_the_source(image, whole):
    node = affine(image(noise((4, 20, 30))), TURN)
    few = node.select((2, 0))
    assert len(few.source.meta.bands) == 2
    assert np.array_equal(whole(few).data, whole(node).data[[2, 0]], equal_nan=True)


def test_matrices_compose_invert_and_snap():
    first, second = (2.0, 0.5, 3.0, -0.5, 2.0, 1.0), (1.0, 0.1, 0.0, 0.2, 1.0, 7.0)
    assert compose(inverse(second), compose(second, first)) == pytest.approx(first)
    third = 1 / 3
    assert snapped((1 + 1e-12, 1e-13, 5 - 1e-9, 0, third + 1e-12, 0.5 + 1e-9), (100, 100)) == (1, 0, 5, 0, third, 0.5)
    assert snapped((1.001, 0.0, 5.1, 0.0, 0.4, 0.0), (100, 100)) == (1.001, 0.0, 5.1, 0.0, 0.4, 0.0)
    shifted = Grid((30, 30), (10, 0, 500030, 0, -10, 5199950), UTM.crs)
    assert between(UTM, shifted) == (1, 0, 3, 0, 1, 5)


def test_the_node_survives_pickling_of_its_parts(image):
    node = affine(image(noise((1, 4, 5))), TURN)
    assert Affine(node.source, **node.params()).token == node.token
