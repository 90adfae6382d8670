"""SIPS filters and coefficients against the standard's own tables and sums written out tap by tap."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weft import ops
from weft.graph.errors import ArgumentError, DtypeError

TABLES = Path(__file__).parents[1] / "data" / "sips"


def table(name, head=0):
    return np.loadtxt(TABLES / f"{name}.csv", delimiter=",", skiprows=head)


def test_the_antialias_kernel_is_table_2_2():
    kernel = ops.SIPS_ANTIALIAS_KERNEL_7x7
    assert kernel.dtype == np.float64
    np.testing.assert_array_equal(kernel, table("table_2_2_antialias_7x7"))
    with pytest.raises(ValueError, match="read-only"):
        kernel[0, 0] = 1


def test_lagrange_coefficients_are_table_2_7():
    """The table file holds the formula to ten decimals, the standard prints five: four of its rows are here as printed."""
    rows = table("table_2_7_lagrange", head=1)
    assert len(rows) == 32
    for _, spacing, *weights in rows:
        np.testing.assert_allclose(ops.compute_lagrange_coefficients(spacing), weights, rtol=0, atol=5.1e-11)
    printed = {
        1: (-0.00993, 0.98341, 0.03172, -0.00520),
        4: (-0.03418, 0.92285, 0.13184, -0.02051),
        8: (-0.05469, 0.82031, 0.27344, -0.03906),
        16: (-0.0625, 0.5625, 0.5625, -0.0625),
    }
    for k, weights in printed.items():
        np.testing.assert_array_equal(np.round(ops.compute_lagrange_coefficients(k / 32), 5), weights)


@given(st.floats(0, 1, exclude_max=True))
def test_coefficients_sum_to_one(spacing):
    assert ops.compute_lagrange_coefficients(spacing).sum() == pytest.approx(1, abs=1e-15)
    assert ops.compute_compromise_coefficients(spacing).sum() == pytest.approx(1, abs=5.1e-6)


def test_compromise_coefficients_are_table_2_8():
    rows = table("table_2_8_compromise", head=1)
    assert len(rows) == 64
    for k, spacing, *weights in rows:
        for within in (spacing, np.nextafter((k + 1) / 64, 0)):
            np.testing.assert_array_equal(ops.compute_compromise_coefficients(within), weights)


@pytest.mark.parametrize("compute", [ops.compute_lagrange_coefficients, ops.compute_compromise_coefficients])
@pytest.mark.parametrize("spacing", [-0.01, 1, 1.5, float("nan"), "half", None])
def test_spacings_lie_within_a_sample(compute, spacing):
    with pytest.raises(ArgumentError, match="spacing"):
        compute(spacing)


def test_the_2d_kernel_is_an_outer_product():
    np.testing.assert_array_equal(
        ops.build_lagrange_kernel_2d(0.5, 0.5) * 256,
        [[1, -9, -9, 1], [-9, 81, 81, -9], [-9, 81, 81, -9], [1, -9, -9, 1]],
    )
    kernel = ops.build_lagrange_kernel_2d(0.25, 0.5)
    np.testing.assert_allclose(kernel, table("table_2_9_lagrange_kernel_4x4"), rtol=0, atol=3e-6)


@pytest.mark.parametrize("dtype", ["int16", "uint16", "float64"])
@pytest.mark.parametrize(
    ("apply", "kernel", "image", "result"),
    [
        (ops.sips_correlate, "table_2_9_lagrange_kernel_4x4", "table_2_11_input_10x10", "table_2_15_correlate_out_11bit"),
        (ops.sips_convolve, "table_2_17_kernel_5x5", "table_2_18_input_10x10", "table_2_25_conv5x5_out_11bit"),
        (ops.sips_convolve, "table_2_19_kernel_4x4", "table_2_20_input_10x10", "table_2_26_conv4x4_out_11bit"),
    ],
)
def test_filters_give_the_tables_of_the_standard(apply, kernel, image, result, dtype):
    got = apply(table(image).astype(dtype), table(kernel))
    assert got.dtype == dtype
    got = np.floor(got + 0.5) if dtype == "float64" else got
    np.testing.assert_array_equal(np.clip(got, 0, 2047), table(result))


def correlated(image, kernel):
    m, n = kernel.shape
    around = ((0, 0), ((m - 1) // 2, m // 2), ((n - 1) // 2, n // 2))
    padded = np.pad(image.astype(float), around, mode="reflect")
    return np.array(
        [
            [
                [(plane[i : i + m, j : j + n] * kernel).sum() for j in range(image.shape[2])]
                for i in range(image.shape[1])
            ]
            for plane in padded
        ]
    )  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 2), st.integers(1, 9), st.integers(1, 9)),
    size=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    dtype=st.sampled_from(["int8", "uint8", "int16", "uint16", "int32", "uint32", "float16", "float32", "float64", ">i2"]),
    seed=st.integers(0, 99),
)
def test_filters_equal_sums_by_hand(shape, size, dtype, seed):
    random = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    image = (random.random(shape) * 200 - (100 if dtype.kind != "u" else 0)).astype(dtype)
    kernel = random.integers(-8, 9, size) / 16  # sums of integers are exact, ties among them
    before = image.copy()
    got, expected = ops.sips_correlate(image, kernel), correlated(image, kernel)
    if dtype.kind == "f":
        np.testing.assert_allclose(got, expected.astype(dtype), rtol=0, atol=2e-2 if dtype == "f2" else 1e-4)
    else:
        expected = np.clip(np.floor(expected + 0.5), np.iinfo(dtype).min, np.iinfo(dtype).max)
        np.testing.assert_array_equal(got, expected)
    assert got.dtype == dtype
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(ops.sips_convolve(image, kernel[::-1, ::-1]), got)
    np.testing.assert_array_equal(ops.sips_correlate(image[0], kernel), got[0])


def test_what_weighs_nothing_does_not_count():
    image = np.ones((5, 5), np.float32)
    image[2, 2] = np.inf
    got = ops.sips_correlate(image, [[0, 1, 0], [1, 0, 1], [0, 1, 0]])
    expected = np.full((5, 5), 4.0)
    expected[[1, 2, 2, 3], [2, 1, 3, 2]] = np.inf
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("apply", [ops.sips_convolve, ops.sips_correlate])
def test_images_and_kernels_that_do_not_serve(apply):
    kernel = np.ones((3, 3))
    for image in (np.ones(4), np.ones((1, 1, 4, 4)), np.ones((0, 4))):
        with pytest.raises(ArgumentError, match="image"):
            apply(image, kernel)
    for wrong in (np.ones(3), np.ones((0, 3)), [[np.nan]], "kernel"):
        with pytest.raises(ArgumentError, match="kernel"):
            apply(np.ones((4, 4)), wrong)
    for dtype in (bool, complex, np.int64, np.uint64):
        with pytest.raises(DtypeError, match="SIPS"):
            apply(np.ones((4, 4), dtype), kernel)
