"""The kernels against sums written out tap by tap, for every dtype, mask and window."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weft.graph.block import Block
from weft.graph.errors import ArgumentError, DtypeError
from weft.graph.grid import EMPTY, Grid, Region
from weft.graph.node import Meta
from weft.ops.coordinates import affine_need, affine_patches
from weft.ops.sampling import WIDEN_FROM, check_resampling, sample, taps

WEIGHING, PICKING = ("bilinear", "cubic", "lanczos", "average"), ("mode", "min", "max", "median")
RESAMPLINGS = ("nearest", *WEIGHING, *PICKING)
DIRECT = ("uint8", "uint16", "int16", "float32", "float64")
OTHERS = ("bool", "int8", "uint32", "int32", "int64", "uint64", "float16", "complex64", "complex128")


def pixels_of(rng, dtype, shape):
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind == "c":
        return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(dtype)
    if dtype.kind == "f":
        return (100 * rng.normal(size=shape)).astype(dtype)
    info = np.iinfo(dtype)
    return rng.integers(max(info.min, -(2**40)), min(info.max, 2**40), shape, dtype=np.int64).astype(dtype)


def rounded(values, dtype):
    """What the module promises: half up, saturating."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return values >= 0.5
    if dtype.kind in "iu":
        values = np.clip(np.floor(values + 0.5), np.iinfo(dtype).min, np.iinfo(dtype).max)
    return values.astype(dtype)


def run(pixels, valid, matrix, shape, resampling, antialias=False, nodata=None, region=None):
    meta = Meta(Grid(shape), tuple(f"b{k}" for k in range(len(pixels))), pixels.dtype, nodata, masked=True)
    region = region or Region(0, shape[0], 0, shape[1])
    need = affine_need(matrix, region, pixels.shape[1:], resampling, antialias)
    block = Block(pixels, valid).window(need.rows, need.cols)
    return sample(block, need, pixels.shape[1:], affine_patches(matrix, region), region, meta, resampling, antialias)


def coordinates(matrix, shape):
    i, j = np.mgrid[: shape[0], : shape[1]] + 0.5
    a, b, c, d, e, f = matrix
    return a * j + b * i + c, d * j + e * i + f


def widths_of(matrix, resampling, antialias):
    """How much wider than plain the kernel is along x and y, or how wide the footprint."""
    scale = np.hypot(*matrix[:2]), np.hypot(*matrix[3:5])
    if resampling in ("average", *PICKING):
        return scale
    return tuple(s if antialias and s > WIDEN_FROM else 1.0 for s in scale)


TURNED = (0.9, 0.31, -2.137, -0.28, 0.87, 3.519)


@pytest.mark.parametrize("resampling", RESAMPLINGS)
@pytest.mark.parametrize("dtype", DIRECT + OTHERS)
def test_every_dtype_equals_the_sum_by_hand(by_hand, dtype, resampling):
    rng = np.random.default_rng(3)
    pixels = pixels_of(rng, dtype, (2, 15, 13))
    if resampling in PICKING and pixels.dtype.kind == "c":
        with pytest.raises(DtypeError, match="order"):
            check_resampling(resampling, pixels.dtype)
        return
    result = run(pixels, None, TURNED, (17, 19), resampling)
    widths = widths_of(TURNED, resampling, False)
    values, ok = by_hand(pixels, np.ones(pixels.shape, bool), *coordinates(TURNED, (17, 19)), resampling, widths)
    assert result.data.dtype == pixels.dtype
    assert result.valid.shape[0] == 1
    assert np.array_equal(np.broadcast_to(result.valid, ok.shape), ok)
    assert 0.3 < ok.mean() < 1
    if resampling in PICKING:
        assert np.array_equal(result.data[ok], values[ok])
        return
    if resampling == "nearest":
        exact = run(np.arange(15 * 13).reshape(1, 15, 13), None, TURNED, (17, 19), "nearest")
        index = exact.data[0][exact.valid[0]]
        assert np.array_equal(result.data[:, exact.valid[0]], pixels.reshape(2, -1)[:, index])
        return
    expected = rounded(values, dtype)
    spread = 1.0 if pixels.dtype.kind in "iu" else {"float16": 0.2, "float32": 1e-4, "complex64": 1e-6}.get(dtype, 1e-11)
    if pixels.dtype.kind == "b":
        assert (result.data != expected)[ok].mean() < 0.01
    else:
        difference = np.abs(result.data.astype(values.dtype) - expected.astype(values.dtype))[ok]
        assert difference.max() <= spread
        if pixels.dtype.kind in "iu":
            assert (difference > 0).mean() < 0.01


@pytest.mark.parametrize("resampling", RESAMPLINGS)
@pytest.mark.parametrize("masks", [1, 3])
@pytest.mark.parametrize("scale", [1.0, 2.3])
def test_masks_drop_taps_and_never_bleed(by_hand, resampling, masks, scale):
    rng = np.random.default_rng(5)
    pixels = rng.normal(size=(3, 21, 18))
    valid = rng.random((masks, 21, 18)) < 0.7
    pixels[~np.broadcast_to(valid, pixels.shape)] = np.nan
    matrix = tuple(v * scale if k % 3 != 2 else v for k, v in enumerate(TURNED))
    result = run(pixels, valid, matrix, (16, 16), resampling, antialias=True, nodata=-9.0)
    x, y = coordinates(matrix, (16, 16))
    widths = widths_of(matrix, resampling, True)
    full = np.broadcast_to(valid, pixels.shape)
    values, ok = by_hand(pixels, full, x, y, resampling, widths)
    assert result.valid.shape[0] == masks
    assert np.array_equal(np.broadcast_to(result.valid, ok.shape), ok)
    assert np.allclose(result.data[ok], values[ok], rtol=0, atol=1e-10)
    assert (result.data[~ok] == -9.0).all()
    assert 0.02 < ok.mean() < 0.98


@settings(max_examples=40, deadline=None)
@given(
    matrix=st.tuples(*[st.floats(-3, 3)] * 2, st.floats(-20, 20), *[st.floats(-3, 3)] * 2, st.floats(-20, 20)),
    resampling=st.sampled_from(RESAMPLINGS),
    antialias=st.booleans(),
    seed=st.integers(0, 100),
)
def test_any_matrix_equals_the_sum_by_hand(by_hand, matrix, resampling, antialias, seed):
    rng = np.random.default_rng(seed)
    pixels = rng.normal(size=(1, 12, 14))
    valid = rng.random((1, 12, 14)) < 0.8
    result = run(pixels, valid, matrix, (9, 11), resampling, antialias)
    x, y = coordinates(matrix, (9, 11))
    widths = widths_of(matrix, resampling, antialias)
    if min(widths) < 2**-9:
        return
    values, ok = by_hand(pixels, valid, x, y, resampling, widths)
    near_edge = np.zeros(x.shape, bool)
    for v, w in ((x, widths[0]), (y, widths[1])):
        ends = (v, v - w / 2 - 0.5, v + w / 2 - 0.5, v - w / 2, v + w / 2)
        near_edge |= np.any([np.abs(end - np.round(end)) < 1e-5 for end in ends], axis=0)
    got = np.ones((1, 9, 11), bool) if result.valid is None else result.valid
    # Where the valid weight is half of the whole but for rounding, or a coordinate lies on an edge, either answer is right.
    settled = ~near_edge[None] & (ok == got)
    assert (ok != got)[~near_edge[None]].mean() < 0.02 if (~near_edge).any() else True
    assert np.allclose(result.data[settled & ok], values[settled & ok], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("resampling", RESAMPLINGS)
@pytest.mark.parametrize("scale", [0.7, 1.0, 3.1])
@pytest.mark.parametrize("masked", [None, 0.02, 0.5])
@pytest.mark.parametrize("turned", [False, True])
def test_tiles_of_any_size_are_bit_equal_to_the_whole(resampling, scale, masked, turned):
    rng = np.random.default_rng(7)
    pixels = rng.normal(size=(2, 90, 110)).astype(np.float32)
    valid = None if masked is None else rng.random((1, 90, 110)) >= masked
    if valid is not None:
        valid[:, :45] = True  # a half where the mask has nothing to say
    if turned:
        matrix = tuple(v * scale if k % 3 != 2 else v * 5 for k, v in enumerate(TURNED))
    else:
        matrix = (0.97 * scale, 0, 3.3, 0, -0.83 * scale, 87)
    shape = (100, 97)
    full = run(pixels, valid, matrix, shape, resampling, antialias=True)
    for size in (13, 64, 71):
        for row in range(0, shape[0], size):
            for col in range(0, shape[1], size):
                tile = Region(row, min(row + size, shape[0]), col, min(col + size, shape[1]))
                part = run(pixels, valid, matrix, shape, resampling, antialias=True, region=tile)
                assert np.array_equal(part.data, full.data[:, tile.rows, tile.cols], equal_nan=True)
                whole_valid = np.ones((1, *shape), bool) if full.valid is None else full.valid
                part_valid = np.ones((1, *tile.shape), bool) if part.valid is None else part.valid
                assert np.array_equal(part_valid, whole_valid[:, tile.rows, tile.cols])


@settings(max_examples=50, deadline=None)
@given(
    resampling=st.sampled_from(RESAMPLINGS),
    dtype=st.sampled_from(["uint8", "uint16", "int16", "int32", "float32", "float64"]),
    factors=st.tuples(*[st.sampled_from([1.0, 2.0, 3.0, 4.0, 6.0, 0.5, -2.0, 1.5])] * 2),
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    offset=st.tuples(*[st.sampled_from([0.0, 1.0, -2.0, 0.5])] * 2),
    tile=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    masked=st.sampled_from([None, 0.05, 0.5]),
    seed=st.integers(0, 100),
)
def test_simple_ratios_are_bit_equal_in_any_tiling(resampling, dtype, factors, size, offset, tile, masked, seed):
    rng = np.random.default_rng(seed)
    pixels = pixels_of(rng, dtype, (2, *size))
    valid = None if masked is None else rng.random((2, *size)) >= masked
    matrix = (factors[1], 0, offset[1] if factors[1] > 0 else size[1], 0, factors[0], offset[0] if factors[0] > 0 else size[0])
    shape = tuple(max(1, min(70, int(n / abs(factor)))) for n, factor in zip(size, factors, strict=True))
    full = run(pixels, valid, matrix, shape, resampling, antialias=True)
    whole_valid = np.broadcast_to(True if full.valid is None else full.valid, full.data.shape)
    for row in range(0, shape[0], tile[0]):
        for col in range(0, shape[1], tile[1]):
            part_of = Region(row, min(row + tile[0], shape[0]), col, min(col + tile[1], shape[1]))
            part = run(pixels, valid, matrix, shape, resampling, antialias=True, region=part_of)
            assert np.array_equal(part.data, full.data[:, part_of.rows, part_of.cols], equal_nan=True)
            here = np.broadcast_to(True if part.valid is None else part.valid, part.data.shape)
            assert np.array_equal(here, whole_valid[:, part_of.rows, part_of.cols])


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "uint32", "float64"])
@pytest.mark.parametrize("factors", [(2, 2), (3, 3), (6, 6), (4, 8), (1, 5)])
def test_means_of_whole_squares_are_exact(dtype, factors):
    rng, (ny, nx) = np.random.default_rng(6), factors
    shape = 150, 130
    pixels = rng.integers(0, 200, (2, shape[0] * ny, shape[1] * nx)).astype(dtype)
    sums = pixels.reshape(2, shape[0], ny, shape[1], nx).astype(np.int64).sum(axis=(2, 4))
    wanted = sums / (ny * nx) if dtype == "float64" else (2 * sums + ny * nx) // (2 * ny * nx)
    matrix = (float(nx), 0, 0, 0, float(ny), 0)
    assert np.array_equal(run(pixels, None, matrix, shape, "average").data, wanted)
    few = np.ones((1, *pixels.shape[1:]), bool)
    few[0, ny * 20, nx * 30] = False  # one window takes the other path
    result = run(pixels, few, matrix, shape, "average").data
    untouched = np.ones(shape, bool)
    untouched[20, 30] = False
    assert np.array_equal(result[:, untouched], wanted[:, untouched])


@pytest.mark.parametrize("resampling", [*WEIGHING, "max"])
@pytest.mark.parametrize("matrix", [(2.0, 0, 0.25, 0, -1.7, 88), (1.9, 0.4, -20, -0.4, 1.9, 9)])
@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_values_that_are_not_finite_stay_where_they_are_in_any_tiling(by_hand, resampling, matrix, odd):
    pixels = np.random.default_rng(2).normal(size=(1, 90, 110)).astype(np.float32)
    pixels[0, 30:60:7, 20:90:5] = odd
    valid = np.random.default_rng(3).random((1, 90, 110)) > 0.001
    for mask in (None, valid):
        full = run(pixels, mask, matrix, (50, 52), resampling, antialias=True)
        for row in range(0, 50, 9):
            for col in range(0, 52, 11):
                tile = Region(row, min(row + 9, 50), col, min(col + 11, 52))
                part = run(pixels, mask, matrix, (50, 52), resampling, antialias=True, region=tile)
                assert np.array_equal(part.data, full.data[:, tile.rows, tile.cols], equal_nan=True)
        clean = np.isfinite(full.data).mean()
        assert 0.05 < clean < 0.98


def test_whole_image_valid_to_its_corners():
    pixels = np.arange(12.0).reshape(1, 3, 4)
    for resampling in RESAMPLINGS:
        result = run(pixels, None, (0.25, 0, 0, 0, 0.25, 0), (12, 16), resampling)
        assert result.valid is None
        assert result.data[0, 0, 0] == pytest.approx(0, abs=1)
        assert result.data[0, -1, -1] == pytest.approx(11, abs=1)


def test_nearest_ties_go_right_and_down_whatever_the_rounding():
    pixels = np.arange(16).reshape(1, 4, 4)
    for noise in (-1e-9, 0.0, 1e-9):
        result = run(pixels, None, (1, 0, 0.5 + noise, 0, 1, 0.5 + noise), (3, 3), "nearest")
        assert np.array_equal(result.data, pixels[:, 1:, 1:])


def test_integers_saturate_and_round_half_up():
    steps = np.array([[[0, 0, 255, 255]]], np.uint8)
    result = run(steps, None, (0.25, 0, 0, 0, 1, 0), (1, 16), "cubic").data
    assert result.min() == 0
    assert result.max() == 255
    halves = run(np.array([[[1, 2, -2, -1]]], np.int16), None, (1, 0, 0.5, 0, 1, 0), (1, 3), "bilinear").data
    assert halves.ravel().tolist() == [2, 0, -1]
    big = np.array([[[2**63 - 1, 2**63 - 1]]], np.int64)
    assert run(big, None, (0.5, 0, 0.25, 0, 1, 0), (1, 2), "bilinear").data.tolist() == big.tolist()


def test_antialias_counts_every_pixel():
    rng = np.random.default_rng(1)
    pixels = rng.normal(size=(1, 64, 64))
    smooth = run(pixels, None, (8, 0, 0, 0, 8, 0), (8, 8), "bilinear", antialias=True).data
    coarse = run(pixels, None, (8, 0, 0, 0, 8, 0), (8, 8), "bilinear", antialias=False).data
    assert smooth.std() < 0.3 * coarse.std()


def test_nothing_of_the_source_gives_fill_everywhere():
    pixels = np.ones((2, 5, 5), np.uint8)
    assert affine_need((1, 0, 100, 0, 1, 0), Region(0, 4, 0, 4), (5, 5), "cubic", True) == EMPTY
    result = run(pixels, None, (1, 0, 100, 0, 1, 0), (4, 4), "cubic", nodata=7)
    assert not result.valid.any()
    assert (result.data == 7).all()


def test_fill_that_the_dtype_cannot_hold_is_zero():
    result = run(np.ones((1, 5, 5), np.uint8), None, (1, 0, 100, 0, 1, 0), (4, 4), "bilinear", nodata=-9999)
    assert (result.data == 0).all()


@pytest.mark.parametrize(
    ("dtype", "nodata", "line", "resampling"),
    [
        *((dtype, 8, (7, 9, 7, 9), how) for dtype in ("u1", "i2", "i4", "f2", "f4", "f8") for how in ("bilinear", "cubic")),
        ("f4", 0, (-1, 1, -1, 1), "bilinear"),
        ("f8", -8, (-7, -9, -7, -9), "bilinear"),
        ("u1", 255, (250, 254, 254, 200), "cubic"),
        ("u1", 0, (1, 1, 80, 80), "cubic"),
    ],
)
def test_a_valid_result_is_never_nodata(dtype, nodata, line, resampling):
    pixels = np.tile(np.array(line, dtype), (1, 4, 1))
    matrix, shape = (0.25, 0, 0.125, 0, 1, 0), (4, 15)
    plain = run(pixels, None, matrix, shape, resampling).data
    apart = run(pixels, None, matrix, shape, resampling, nodata=nodata).data
    meets = plain == nodata
    assert meets.any()
    assert not (apart == nodata).any()
    assert np.array_equal(apart[~meets], plain[~meets])
    np.testing.assert_allclose(apart[meets].astype("f8"), nodata, rtol=0.02, atol=1)


@pytest.mark.parametrize("scale", [40.0, 2.0**15, 1e12, 1e300])
@pytest.mark.parametrize("upright", [True, False])
@pytest.mark.parametrize("resampling", ["bilinear", "cubic", "lanczos", *RESAMPLINGS[4:]])
def test_where_a_pixel_holds_the_whole_image_it_is_of_the_whole_image(resampling, upright, scale):
    pixels = np.random.default_rng(9).integers(0, 50, (1, 20, 30)).astype(np.uint8)
    patches = next(affine_patches((1e-3, 0 if upright else 1e-3, 15, 0, 1e-3, 10), Region(0, 2, 0, 2)))
    patches.maps[:, 10:12] = scale
    meta = Meta(Grid((2, 2)), ("b0",), pixels.dtype, None, masked=True)
    assert taps(patches, (20, 30), resampling, True) == Region(0, 20, 0, 30)
    result = sample(Block(pixels), Region(0, 20, 0, 30), (20, 30), [patches], Region(0, 2, 0, 2), meta, resampling, True)
    values = np.sort(pixels.ravel())
    wanted = {"mode": np.bincount(values).argmax(), "min": values[0], "max": values[-1], "median": values[300]}
    slack = (2 if scale > 100 else 8) if resampling in WEIGHING[:3] else 1
    assert result.valid is None
    assert (np.abs(result.data - wanted.get(resampling, values.mean())) <= (0 if resampling in wanted else slack)).all()


def test_unknown_resampling_lists_those_there_are():
    with pytest.raises(ArgumentError, match="nearest, bilinear, cubic"):
        check_resampling("lanczos9")
