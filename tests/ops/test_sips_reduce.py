"""SIPS reduction against the standard's tables, against both steps in whole numbers, and tiled against whole."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

import weft
from weft import ops
from weft.graph.errors import ArgumentError, DtypeError
from weft.graph.grid import Region
from weft.graph.jsonio import from_json, to_json
from weft.ops import SIPS_ANTIALIAS_KERNEL_7x7, sips_reduce, sips_rrds_resample
from weft.ops.sips_reduce import SipsReduce

from .helpers import array_source, computed

TABLES = Path(__file__).parents[1] / "data" / "sips"
FIRST = np.round(SIPS_ANTIALIAS_KERNEL_7x7 * 1e8).astype(np.int64)
SECOND = np.outer([-1, 9, 9, -1], [-1, 9, 9, -1])
UTM = ((10, 0, 500000, 0, -10, 5200000), "EPSG:32633")


def table(name):
    return np.loadtxt(TABLES / f"{name}.csv", delimiter=",")


def summed(planes, kernel, before, after):
    """Sums of every pixel's mirrored surroundings weighed by ``kernel``, tap by tap."""
    padded = np.pad(planes, ((0, 0), (before, after), (before, after)), mode="reflect")
    _, rows, cols = planes.shape
    total = np.zeros(planes.shape, np.result_type(planes, kernel))
    for m, n in np.argwhere(kernel):
        total += kernel[m, n] * padded[:, m : m + rows, n : n + cols]
    return total


def step(pixels, valid, kernel, before, after):
    """(sums over the valid pixels, their weights, half of the weight of all reached); weights are whole where all are valid."""
    weights = summed(valid.astype(np.int64), kernel, before, after)
    full = kernel.sum() if kernel is SECOND else 10**8
    weights[weights == kernel.sum()] = full  # of the table as it is, which does not quite sum to one
    return summed(np.where(valid, pixels, 0), kernel, before, after), weights, 2 * weights >= kernel.sum()


def judged(pixels, valid, limits):
    """Both steps in whole numbers, divided once and rounded half up: (data, valid)."""
    pixels = pixels.astype(np.int64)
    for kernel, before, after in ((FIRST, 3, 3), (SECOND, 1, 2)):
        total, weight, valid = step(pixels, valid, kernel, before, after)
        weight = np.where(valid, weight, 1)
        pixels = np.clip((2 * total + weight) // (2 * weight), *limits)
    return pixels[:, ::2, ::2], valid[:, ::2, ::2]


def judged_floats(pixels, valid):
    """Both steps in float64 without rounding."""
    pixels = pixels.astype(float)
    for kernel, before, after in ((FIRST, 3, 3), (SECOND, 1, 2)):
        total, weight, valid = step(pixels, valid, kernel, before, after)
        pixels = total / np.where(valid, weight, 1)
    return pixels[:, ::2, ::2], valid[:, ::2, ::2]


def scene(shape, dtype, seed=0):
    """Noise with flat parts, saturated parts and, in small numbers, ties."""
    random = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    low, high = (-1000, 1000) if dtype.kind == "f" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    kinds = random.integers(0, 4, shape)
    few = random.integers(0, 3, shape)
    values = np.select([kinds == 0, kinds == 1], [low + few, high - few], random.uniform(low, high, shape))
    return (few if seed % 3 == 0 else values).astype(dtype)


def limits(dtype, bit_depth=None):
    return (0, 2**bit_depth - 1) if bit_depth else (np.iinfo(dtype).min, np.iinfo(dtype).max)


def resampled(image, **options):
    rows, cols = image.shape[-2:]
    return sips_rrds_resample(image, (rows + 1) // 2, (cols + 1) // 2, **options)


def test_the_first_kernel_in_whole_numbers_is_the_table():
    np.testing.assert_array_equal(FIRST / 1e8, SIPS_ANTIALIAS_KERNEL_7x7)
    assert FIRST.sum() == 100000036


@pytest.mark.parametrize("dtype", ["uint16", "int16", "int32", "float32", "float64"])
def test_tables_2_5_and_2_6(dtype):
    index = json.loads((TABLES / "table_2_5_2_6_index.json").read_text())
    corner = table("r0_corner_block_10x10")
    r0 = np.full((1026, 1026), 1024, dtype)
    for rows, down in ((slice(10), 1), (slice(-10, None), -1)):
        for cols, across in ((slice(10), 1), (slice(-10, None), -1)):
            r0[rows, cols] = corner[::down, ::across]
    r1 = sips_rrds_resample(r0, 513, 513, bit_depth=11)
    np.testing.assert_array_equal(r1[np.ix_(index["r1_rows"], index["r1_cols"])], table("table_2_5_r1"))
    r2 = sips_rrds_resample(r1, 257, 257, bit_depth=11)
    np.testing.assert_array_equal(r2[np.ix_(index["r2_rows"], index["r2_cols"])], table("table_2_6_r2"))
    lazy = weft.from_array(r0).sips_reduce(2, bit_depth=11)
    np.testing.assert_array_equal(lazy.to_dask(chunks=(100, 60)).compute()[0], r2)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 2), st.integers(1, 70), st.integers(1, 70)),
    dtype=st.sampled_from(["uint8", "uint16", "int16", "int32", "uint32"]),
    seed=st.integers(0, 999),
    clipped=st.booleans(),
)
def test_integers_equal_both_steps_in_whole_numbers(shape, dtype, seed, clipped):
    wide = dtype.endswith("32")
    image = scene(shape, dtype, seed) // (2**12 if wide else 1)
    before = image.copy()
    depth = 7 if clipped else None
    got = resampled(image, bit_depth=depth)
    expected, _ = judged(image, np.ones(shape, bool), limits(dtype, depth))
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(resampled(image[0], bit_depth=depth), expected[0])
    if not wide:
        expected, _ = judged(image, np.ones(shape, bool), (0, 32767))
        np.testing.assert_array_equal(resampled(image.astype(np.float32), bit_depth=15), expected)


def test_ties_go_up():
    """Lone pixels of 2 modulo 4, above and below zero: the first step weighs them by a quarter; the second meets halves too."""
    image = np.zeros((1, 240, 240), np.int16)
    image[:, ::8, ::8] = 4 * np.random.default_rng(5).integers(-7000, 7000, (30, 30)) + 2
    total = summed(image.astype(np.int64), FIRST, 3, 3)
    first = (2 * total + 10**8) // (2 * 10**8)
    assert (total % 10**8 == 5 * 10**7).sum() >= 30**2
    assert (summed(first, SECOND, 1, 2)[:, ::2, ::2] % 256 == 128).sum() > 5
    np.testing.assert_array_equal(resampled(image), judged(image, image == image, limits("int16"))[0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 2, 5), (2, 7, 8), (1, 70, 69)])
def test_floats_equal_both_steps_without_rounding(dtype, shape):
    image = scene(shape, dtype, seed=1)
    expected, _ = judged_floats(image, np.ones(shape, bool))
    # The composed line squared is the table within 1.2e-7 a tap, whose 25 taps meet the second step's weights.
    np.testing.assert_allclose(resampled(image), expected, rtol=0, atol=1000 * (25 * 1.2e-7 * 1.5625 + 1e-7))


def test_floats_of_a_bit_depth_are_rounded_and_clipped():
    image = np.random.default_rng(0).uniform(-30, 90, (1, 40, 40))
    got = resampled(image, bit_depth=6)
    assert np.array_equal(got, np.floor(got))
    assert got.min() == 0
    assert got.max() == 63
    total = summed(image, SIPS_ANTIALIAS_KERNEL_7x7, 3, 3)
    first = np.clip(np.floor(total + 0.5), 0, 63)
    second = np.clip(np.floor(summed(first, SECOND / 256, 1, 2) + 0.5), 0, 63)
    np.testing.assert_array_equal(got, second[:, ::2, ::2])


def masks(kind, shape, seed):
    random = np.random.default_rng(seed + 1)
    if kind == "none":
        return None
    valid = random.random((1 if kind == "shared" else shape[0], *shape[1:])) < random.choice([0.3, 0.8, 0.99])
    valid[:, : shape[1] // 3] = True
    return valid


@settings(max_examples=50, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 2), st.integers(1, 70), st.integers(1, 70)),
    dtype=st.sampled_from(["uint8", "uint16", "int16", "float32", "float64"]),
    kind=st.sampled_from(["none", "shared", "each"]),
    seed=st.integers(0, 999),
)
def test_invalid_pixels_take_no_part(shape, dtype, kind, seed):
    pixels, valid = scene(shape, dtype, seed), masks(kind, shape, seed)
    shown = np.broadcast_to(True if valid is None else valid, shape)
    hidden = pixels.copy()
    hidden[~shown] = np.nan if np.dtype(dtype).kind == "f" else 77
    node = sips_reduce(array_source(hidden, valid))
    data, ok = computed(node)  # also in tiles of odd sizes
    if np.dtype(dtype).kind == "f":
        expected, wanted = judged_floats(pixels, shown)
        # Where barely half of the weight is left, what the composed line is off is divided by that half.
        np.testing.assert_allclose(data[ok], expected[ok], rtol=0, atol=2e-2)
        assert np.isnan(data[~ok]).all()
        np.testing.assert_array_equal(resampled(hidden), data)
    else:
        expected, wanted = judged(pixels, shown, limits(dtype))
        np.testing.assert_array_equal(data, np.where(wanted, expected, 0))
    np.testing.assert_array_equal(ok, wanted)
    clear = summed(shown.astype(np.int64), np.ones((10, 10), np.int64), 4, 5)[:, ::2, ::2] == 100
    np.testing.assert_array_equal(data[clear], resampled(pixels)[clear])


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 2), st.integers(1, 70), st.integers(1, 70)),
    tile=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    dtype=st.sampled_from(["uint8", "uint16", "int16", "float32", "float64"]),
    kind=st.sampled_from(["none", "shared", "each"]),
    levels=st.integers(1, 3),
    depth=st.sampled_from([None, 5]),
    seed=st.integers(0, 999),
)
def test_tiles_are_bit_equal_to_the_whole(whole, in_tiles, shape, tile, dtype, kind, levels, depth, seed):
    node = sips_reduce(array_source(scene(shape, dtype, seed), masks(kind, shape, seed), nodata=3), levels, bit_depth=depth)
    full, tiled = whole(node), in_tiles(node, *tile)
    np.testing.assert_array_equal(full.data, tiled.data)
    spread = [np.broadcast_to(True if block.valid is None else block.valid, full.data.shape) for block in (full, tiled)]
    np.testing.assert_array_equal(*spread)
    assert not (full.data == 3)[spread[0]].any()
    assert (full.data == 3)[~spread[0]].all()


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
@pytest.mark.parametrize("kind", ["none", "each"])
def test_images_larger_than_the_kernels_own_tiles(whole, in_tiles, dtype, kind):
    shape = (2, 201, 1301)
    pixels = scene(shape, dtype, 1)
    valid = np.ones(shape, bool)
    valid[0, 90:100, 500:520] = False
    valid[1, 3, 1297] = False
    valid = None if kind == "none" else valid
    node = sips_reduce(array_source(pixels, valid))
    full, tiled = whole(node), in_tiles(node, 37, 290)
    np.testing.assert_array_equal(full.data, tiled.data)
    if dtype == "uint16":
        expected, ok = judged(pixels, np.broadcast_to(True if valid is None else valid, shape), limits(dtype))
        np.testing.assert_array_equal(full.data, np.where(ok, expected, 0))


def test_views_are_read_as_they_lie():
    base = scene((3, 90, 120), "uint16", 1)
    for view in (base[:, 3:60, 7:90], base[::2], base[:, ::-1], base[:, :, ::3], base.transpose(0, 2, 1), base[:, ::2]):
        np.testing.assert_array_equal(resampled(view), resampled(view.copy()))
        np.testing.assert_array_equal(computed(sips_reduce(array_source(view)))[0], resampled(view))


def test_nan_takes_no_part_in_arrays_either():
    image = scene((1, 40, 40), "float32", 1)
    image[0, 20, 20] = np.nan
    got, without = resampled(image), resampled(np.where(np.isnan(image), 0, image))
    assert not np.isnan(got).any()
    assert (got != without).sum() == 25  # all that weigh it, not one more
    assert not np.isnan(resampled(image, bit_depth=8)).any()
    assert np.isnan(resampled(np.full((5, 5), np.nan))).all()


def test_infinities_reach_what_weighs_them():
    image = np.ones((1, 40, 40), np.float32)
    image[0, 20, 20] = np.inf
    got = resampled(image)[0]
    rows, cols = np.nonzero(~np.isfinite(got))
    assert (rows.min(), rows.max(), cols.min(), cols.max()) == (8, 12, 8, 12)  # 2 k - 4 .. 2 k + 5 hold 20
    assert np.isinf(got[8:13, 8:13]).all()
    assert np.isin(resampled(image, bit_depth=4), np.arange(16)).all()
    image[0, 21, 21] = -np.inf
    data, valid = computed(sips_reduce(array_source(image)))
    assert np.isnan(data[~valid]).all()
    assert not np.isnan(data[valid]).any()
    assert (~valid).any()


@given(size=st.integers(1, 70), first=st.integers(0, 34), count=st.integers(1, 35))
def test_need_is_the_box_of_the_mirrored_taps(size, first, count):
    rows = (size + 1) // 2
    stop = min(first + count, rows)
    if first >= stop:
        return
    node = SipsReduce(array_source(np.zeros((size, 9), np.uint8)))
    taps = np.pad(np.arange(size), (4, 6), mode="reflect")[2 * first : 2 * stop + 8]
    (need,) = node.need(Region(first, stop, 1, 2))
    assert need == Region(taps.min(), taps.max() + 1, 0, 8)
    assert node.need(Region(2, 2, 0, 1))[0].is_empty


def test_grid_and_meta():
    source = array_source(np.zeros((2, 41, 50), np.uint8), None, None, *UTM)
    node = sips_reduce(source)
    assert node.meta.grid.shape == (21, 25)
    assert node.meta.grid.transform == Affine(*UTM[0]) @ Affine.scale(2)
    assert node.meta.grid.crs == source.meta.grid.crs
    assert (node.meta.dtype, node.meta.nodata, node.meta.masked) == (np.uint8, None, False)
    assert sips_reduce(source, 3).meta.grid.shape == (6, 7)
    assert sips_reduce(source, 0) is source
    assert sips_reduce(array_source(np.zeros((4, 4), np.float32))).meta.masked
    one = sips_reduce(array_source(np.full((1, 1), 9, np.uint8)), 3)
    assert computed(one)[0].tolist() == [[[9]]]


@pytest.mark.parametrize(("nodata", "beside"), [(0, 1), (100, 101), (255, 254)])
def test_a_valid_result_steps_beside_nodata(nodata, beside):
    valid = np.ones((1, 20, 20), bool)
    valid[0, 0] = False
    data, ok = computed(sips_reduce(array_source(np.full((1, 20, 20), nodata, np.uint8), valid, nodata)))
    assert (data[ok] == beside).all()
    assert ok.all()


def test_nodata_at_the_end_of_the_bit_depth_is_left_downwards():
    data, _ = computed(sips_reduce(array_source(np.full((1, 9, 9), 2047, np.uint16), None, 2047), bit_depth=11))
    assert (data == 2046).all()


def test_selecting_bands_reads_only_these():
    source = array_source(scene((3, 30, 30), "uint16", 1), masks("each", (3, 30, 30), 4))
    node = sips_reduce(source, bit_depth=12)
    data, valid = computed(node)
    some, some_valid = computed(node.select((2, 0)))
    np.testing.assert_array_equal(some, data[[2, 0]])
    np.testing.assert_array_equal(some_valid, valid[[2, 0]])


def test_json_and_pickle():
    node = sips_reduce(array_source(scene((1, 20, 20), "uint16")), 2, bit_depth=np.int64(11))
    assert from_json(to_json(node)) == node
    assert pickle.loads(pickle.dumps(node)) == node
    assert sips_reduce(array_source(scene((1, 20, 20), "uint16")), 2) != node


def test_what_makes_no_sense_is_refused():
    image = np.zeros((8, 9), np.uint8)
    for target in ((4, 4), (8, 9), (5, 5)):
        with pytest.raises(ArgumentError, match=r"gives \(4, 5\)"):
            sips_rrds_resample(image, *target)
    for shape in ((9,), (1, 1, 8, 9)):
        with pytest.raises(ValueError, match="axes"):
            sips_rrds_resample(np.zeros(shape), 4, 5)
    for dtype in (bool, complex, np.int64, np.uint64):
        with pytest.raises(DtypeError, match="SIPS"):
            resampled(np.zeros((8, 9), dtype))
        with pytest.raises(DtypeError, match="SIPS"):
            sips_reduce(array_source(np.zeros((8, 9), dtype)), 0)
    for depth in (0, -1, 9, 1.5, True, "8"):
        with pytest.raises(ArgumentError, match="bit_depth"):
            resampled(image, bit_depth=depth)
    for dtype, most in (("int16", 15), ("float32", 24), ("float64", 53), ("float16", 11)):
        resampled(image.astype(dtype), bit_depth=min(most, 24))
        with pytest.raises(ArgumentError, match="bit_depth"):
            ops.sips_reduce(array_source(image.astype(dtype)), bit_depth=most + 1)
    for levels in (-1, 1.5, True, None):
        with pytest.raises(ArgumentError, match="levels"):
            sips_reduce(array_source(image), levels)
