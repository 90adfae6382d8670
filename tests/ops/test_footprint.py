"""Mode, min, max and median: exact in every integer type, ties, order of floats, many values, each pixel counted once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weft.graph.block import Block
from weft.graph.grid import Grid, Region
from weft.graph.node import Meta
from weft.ops.coordinates import affine_need, affine_patches
from weft.ops.sampling import sample
from weft.ops.weighted_loops import covered, lanczos

PICKS = ("mode", "min", "max", "median")


def shrunk(pixels, factors, resampling, valid=None, nodata=None, shape=None):
    """The block of ``pixels`` with ``factors`` (rows, cols) of them to one."""
    shape = shape or tuple(-(-n // factor) for n, factor in zip(pixels.shape[1:], factors, strict=True))
    matrix, region = (float(factors[1]), 0, 0, 0, float(factors[0]), 0), Region(0, shape[0], 0, shape[1])
    meta = Meta(Grid(shape), tuple(f"b{k}" for k in range(len(pixels))), pixels.dtype, nodata, masked=True)
    need = affine_need(matrix, region, pixels.shape[1:], resampling, True)
    block = Block(pixels, valid).window(need.rows, need.cols)
    return sample(block, need, pixels.shape[1:], affine_patches(matrix, region), region, meta, resampling, True)


def boxes(pixels, factors):
    """The pixels that each output pixel of whole factors is made of, band by band, fewer at the end of an axis."""
    rows, cols = (-(-n // factor) for n, factor in zip(pixels.shape[1:], factors, strict=True))
    for i in range(rows):
        for j in range(cols):
            yield i, j, np.s_[i * factors[0] : (i + 1) * factors[0], j * factors[1] : (j + 1) * factors[1]]


def judged(values, resampling):
    values = values.ravel()
    if resampling == "mode":
        found, counts = np.unique(values, return_counts=True)
        return found[np.argmax(counts)]
    if resampling != "median":
        return values.min() if resampling == "min" else values.max()
    low, high = np.sort(values)[[(values.size - 1) // 2, values.size // 2]]
    if values.dtype.kind in "iu":
        return (int(low) + int(high) + 1) // 2
    return low if low == high else np.float64(low) / 2 + np.float64(high) / 2


@settings(max_examples=60, deadline=None)
@given(
    resampling=st.sampled_from(PICKS),
    dtype=st.sampled_from(["uint8", "int8", "uint16", "int16", "uint32", "int64", "uint64", "float16", "float32", "float64"]),
    shape=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    factors=st.tuples(st.integers(1, 18), st.integers(1, 18)),
    few=st.booleans(),
    masked=st.booleans(),
    seed=st.integers(0, 100),
)
def test_whole_factors_pick_from_squares(resampling, dtype, shape, factors, few, masked, seed):
    rng, kind = np.random.default_rng(seed), np.dtype(dtype)
    if kind.kind == "f":
        pixels = (rng.integers(-3, 4, (2, *shape)) if few else rng.normal(size=(2, *shape))).astype(dtype)
    else:
        limits = np.iinfo(dtype)
        low, high = (limits.max - 5, limits.max) if few else (limits.min, limits.max)
        pixels = rng.integers(low, high, (2, *shape), dtype=dtype, endpoint=True)
    valid = rng.random((2, *shape)) < 0.6 if masked else None
    result = shrunk(pixels, factors, resampling, valid)
    ok = np.ones(result.data.shape, bool) if result.valid is None else np.broadcast_to(result.valid, result.data.shape)
    for i, j, box in boxes(pixels, factors):
        for band in range(2):
            inside = pixels[band][box]
            used = inside if valid is None else inside[valid[band][box]]
            # Where an output pixel reaches over the edge, its centre may lie outside.
            centre = (i + 0.5) * factors[0] < shape[0] and (j + 0.5) * factors[1] < shape[1]
            assert ok[band, i, j] == (centre and used.size > 0 and 2 * used.size >= inside.size)
            if ok[band, i, j]:
                assert result.data[band, i, j] == np.array(judged(used, resampling)).astype(dtype)


def test_64_bits_are_exact():
    top = 2**63 - 1
    pixels = np.array([[[top, top - 1], [top - 3, top - 2]]], np.int64)
    for resampling, wanted in {"min": top - 3, "max": top, "median": top - 1, "mode": top - 3}.items():
        assert shrunk(pixels, (2, 2), resampling).data.item() == wanted
        turned = -pixels - 1  # the lowest numbers there are
        wanted = {"min": -top - 1, "max": -top + 2, "median": -top + 1, "mode": -top - 1}[resampling]
        assert shrunk(turned, (2, 2), resampling).data.item() == wanted
    ends = np.array([[[np.iinfo("u8").max, 0]]], np.uint64)
    assert shrunk(ends, (1, 2), "median").data.item() == 2**63


def test_medians_of_even_numbers_are_rounded_half_up():
    for pair, wanted in (((1, 2), 2), ((-2, -1), -1), ((-1, 0), 0), ((3, 5), 4)):
        assert shrunk(np.array([[pair]], np.int16), (1, 2), "median").data.item() == wanted
    assert shrunk(np.array([[[1.5e308, 1.7e308]]]), (1, 2), "median").data.item() == pytest.approx(1.6e308)


def test_a_computed_median_is_never_nodata_and_picks_are_left_as_they_are():
    pixels = np.array([[[7, 9]]], np.uint8)
    assert shrunk(pixels, (1, 2), "median", nodata=8).data.item() == 9
    assert shrunk(pixels, (1, 2), "max", nodata=9).data.item() == 9


def test_nan_is_the_greatest_and_infinities_keep_their_place():
    pixels = np.array([[[np.nan, -np.inf, -1.0, np.inf]]], np.float32)
    got = {how: shrunk(pixels, (1, 4), how).data.item() for how in PICKS}
    assert got["min"] == got["mode"] == -np.inf
    assert np.isnan(got["max"])
    assert got["median"] == np.inf
    zeros = np.array([[[-0.0, 0.0, 1.0, 1.0, 0.0]]])
    assert shrunk(zeros, (1, 5), "mode").data.item() == 0


@pytest.mark.parametrize("resampling", PICKS)
def test_classes_stay_classes_at_any_size(resampling):
    rng = np.random.default_rng(3)
    pixels = rng.choice([0, 3, 250], (1, 61, 53)).astype(np.uint8)
    for factors in ((2.7, 3.3), (1.0, 1.9), (0.4, 0.7), (9.3, 0.8)):
        shape = tuple(int(n / factor) for n, factor in zip(pixels.shape[1:], factors, strict=True))
        found = shrunk(pixels, factors, resampling, shape=shape)
        assert found.valid is None
        if resampling != "median":
            assert set(np.unique(found.data)) <= {0, 3, 250}


def test_shrinking_by_any_factor_counts_each_pixel_once():
    for factor in (1.0, 1.3, 2.0, 2.718, 6.5):
        size = int(60 // factor)
        seen = np.zeros(60, int)
        for k in range(60):
            pixels = np.zeros((1, 1, 60), np.uint8)
            pixels[0, 0, k] = 1
            seen[k] = shrunk(pixels, (1, factor), "max", shape=(1, size)).data.sum()
        covered_by_output = np.arange(60) + 0.5 < size * factor - 1e-6
        assert np.array_equal(seen, covered_by_output.astype(int))


def test_one_in_many_is_found():
    rng = np.random.default_rng(8)
    for dtype in ("uint8", "uint16", "int32", "float64"):
        pixels = rng.integers(10, 90, (1, 64, 96)).astype(dtype)
        pixels[0, 11, 70], pixels[0, 40, 3] = 5, 99
        assert shrunk(pixels, (64, 96), "min").data.item() == 5
        assert shrunk(pixels, (64, 96), "max").data.item() == 99
        for how in ("mode", "median"):
            assert shrunk(pixels, (64, 96), how).data.item() == np.array(judged(pixels[0], how)).astype(dtype)


def test_lanczos_is_sinc_times_sinc():
    t = np.linspace(0, 3, 5001)[:-1]
    got = np.array([lanczos(v) for v in t])
    assert np.abs(got - np.sinc(t) * np.sinc(t / 3)).max() < 1e-14


def test_a_box_covers_a_pixel_by_how_much_they_overlap():
    assert [covered(d, 2.0) for d in (0.0, 0.5, 1.0, 1.5, 2.0)] == [1, 1, 0.5, 0, 0]
    assert [covered(d, 0.5) for d in (0.0, 0.25, 0.5, 0.75)] == [0.5, 0.5, 0.25, 0]
    assert covered(0.5 + 1e-12, 2.0) == 1  # what rounding cuts off is no part
    assert covered(1.5 - 1e-12, 2.0) == 0
