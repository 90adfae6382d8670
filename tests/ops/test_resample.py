"""Resampling of plain arrays against sums by hand and the lazy resize."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import weft
from weft.graph.errors import ArgumentError, DtypeError
from weft.ops import area_resample, bilinear_resample, cubic_resample, lanczos_resample, nearest_neighbor_resample

FUNCTIONS = {
    "nearest": nearest_neighbor_resample,
    "bilinear": bilinear_resample,
    "average": area_resample,
    "lanczos": lanczos_resample,
    "cubic": cubic_resample,
}
DTYPES = ("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "int64", "float16", "float32", "float64", "complex64")


def noise(shape, dtype, seed=0):
    rng, dtype = np.random.default_rng(seed), np.dtype(dtype)
    if dtype.kind in "bui":
        low, high = (0, 2) if dtype.kind == "b" else (max(np.iinfo(dtype).min, -1000), min(np.iinfo(dtype).max, 1000))
        return rng.integers(low, high, shape, endpoint=dtype.kind != "b").astype(dtype)
    values = 100 * rng.normal(size=shape)
    return (values + 100j * rng.normal(size=shape) if dtype.kind == "c" else values).astype(dtype)


def by_sums(image, rows, cols, how, by_hand):
    """Values, not rounded, and validity of (C, H, W) pixels, NaN invalid."""
    i, j = np.mgrid[:rows, :cols] + 0.5
    scale = image.shape[2] / cols, image.shape[1] / rows
    return by_hand(image, ~np.isnan(image), j * scale[0], i * scale[1], how, scale if how == "average" else (1, 1))


@pytest.mark.parametrize("how", FUNCTIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_is_the_sum_by_hand(by_hand, how, dtype):
    image = noise((2, 17, 13), dtype)
    before = image.copy()
    for rows, cols in ((8, 6), (5, 20), (23, 29)):
        result = FUNCTIONS[how](image, rows, cols)
        assert result.dtype == image.dtype
        assert result.shape == (2, rows, cols)
        values, ok = by_sums(image, rows, cols, how, by_hand)
        assert ok.all()
        if image.dtype.kind == "b":
            values, spread = values >= 0.5, 0.01
            assert (result != values).mean() < spread
            continue
        if image.dtype.kind in "iu":
            values = np.clip(values, np.iinfo(dtype).min, np.iinfo(dtype).max)
        spread = {"f": 1e-3 if dtype != "float16" else 0.2, "c": 1e-3}.get(image.dtype.kind, 0.5 + 1e-9)
        assert np.abs(result.astype(values.dtype) - values).max() <= spread
    assert np.array_equal(image, before)


@settings(max_examples=40, deadline=None)
@given(
    how=st.sampled_from(list(FUNCTIONS)),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 70), st.integers(1, 70)),
    target=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    dtype=st.sampled_from(["uint8", "int16", "uint32", "float32", "complex64"]),
    holes=st.booleans(),
)
def test_it_is_the_lazy_resize_bit_for_bit(how, shape, target, dtype, holes):
    image = noise(shape, dtype, seed=shape[1])
    if holes and image.dtype.kind in "fc":
        image[np.random.default_rng(1).random(shape) < 0.3] = np.nan
    result = FUNCTIONS[how](image, *target)
    lazy = weft.from_array(image).resize(target, resampling=how, antialias=False).to_numpy()
    assert np.array_equal(result, lazy, equal_nan=True)


@pytest.mark.parametrize("how", FUNCTIONS)
def test_nan_is_invalid_and_comes_out_where_it_prevails(by_hand, how):
    image = noise((1, 31, 37), "float64")  # odd, so that no valid weight is half of the whole
    image[0, 5:20, 7:28] = np.nan
    image[0, ::7, ::5] = np.nan
    result = FUNCTIONS[how](image, 20, 23)
    values, ok = by_sums(image, 20, 23, how, by_hand)
    assert np.array_equal(np.isfinite(result), ok)
    assert 0.3 < ok.mean() < 0.95
    assert np.allclose(result[ok], values[ok], rtol=0, atol=1e-9)


@pytest.mark.parametrize("how", FUNCTIONS)
def test_layout_and_identity(how):
    image = noise((3, 20, 30), "int16")
    resample = FUNCTIONS[how]
    assert resample(image, 20, 30) is image
    assert resample(image[0], 7, 9).shape == (7, 9)
    assert np.array_equal(resample(image[0], 7, 9), resample(image, 7, 9)[0])
    strided = np.asfortranarray(image)[:, ::2, ::-1]
    assert np.array_equal(resample(strided, 7, 9), resample(strided.copy(), 7, 9))
    swapped = resample(image.astype(">i2"), np.int64(7), 9)
    assert swapped.dtype == np.dtype(">i2")
    assert np.array_equal(swapped, resample(image, 7, 9))
    frozen = image.copy()
    frozen.setflags(write=False)
    assert np.array_equal(resample(frozen, 7, 9), resample(image, 7, 9))


def test_halves_are_means_of_squares_and_nothing_is_lost():
    image = noise((2, 64, 48), "uint16")
    squares = image.reshape(2, 32, 2, 24, 2).astype(int).sum(axis=(2, 4))
    assert np.array_equal(area_resample(image, 32, 24), (squares + 2) // 4)
    real = noise((1, 60, 70), "float64")
    assert area_resample(real, 7, 9).mean() == pytest.approx(real.mean(), rel=1e-9)
    assert np.array_equal(area_resample(image, 64 * 3, 48 * 5), image.repeat(3, axis=1).repeat(5, axis=2))


@pytest.mark.parametrize("how", FUNCTIONS)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_constant_stays_one(how, dtype):
    image = np.full((33, 41), 113, dtype)
    for rows, cols in ((1, 1), (16, 20), (70, 50), (32, 42)):
        assert (FUNCTIONS[how](image, rows, cols) == 113).all()


@pytest.mark.parametrize(
    ("shape", "rows", "cols", "word"),
    [
        ((4,), 2, 2, "rows, cols"),
        ((1, 2, 3, 4), 2, 2, "rows, cols"),
        ((0, 4), 2, 2, "pixels"),
        ((4, 4), 0, 2, "target_rows"),
        ((4, 4), 2, -1, "target_cols"),
        ((4, 4), 2.0, 2, "target_rows"),
        ((4, 4), 2, "2", "target_cols"),
        ((4, 4), True, 2, "target_rows"),
    ],
)
def test_what_makes_no_sense_is_refused(shape, rows, cols, word):
    for resample in FUNCTIONS.values():
        with pytest.raises(ArgumentError, match=word):
            resample(np.zeros(shape), rows, cols)
    assert issubclass(ArgumentError, ValueError)


def test_only_numbers_are_resampled():
    for dtype in ("datetime64[s]", "U3", object):
        with pytest.raises(DtypeError):
            area_resample(np.zeros((4, 4), dtype), 2, 2)
