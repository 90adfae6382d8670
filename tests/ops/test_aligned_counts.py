"""Counts in bins of powers of two against exact fractions, and the same from every partition."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from weft.ops.aligned_counts import MOST_BINS, AlignedCounts, aligned_counts, bin_of, exponent_of
from weft.ops.histogram import joined_counts

pytestmark = pytest.mark.filterwarnings("error")

TINY = 5e-324
LARGEST = 1.7976931348623157e308


def exponent_by_search(values: list[int] | list[float]) -> int:
    """The rule of the module, tried out exponent by exponent."""
    low, high = Fraction(min(values)), Fraction(max(values))
    greatest = max(abs(low), abs(high))
    exponent = 0 if isinstance(values[0], int) else -1074
    while high - low > 8192 * Fraction(2) ** exponent or greatest >= Fraction(2) ** (exponent + 53):
        exponent += 1
    return exponent


def counts_by_fractions(values: list[int] | list[float], exponent: int) -> dict[int, int]:
    counts: dict[int, int] = {}
    for value in values:
        place = math.floor(Fraction(value) / Fraction(2) ** exponent)
        counts[place] = counts.get(place, 0) + 1
    return counts


def judge(data: np.ndarray, valid: np.ndarray | None, found: AlignedCounts | None) -> None:
    keep = np.isfinite(data) if data.dtype.kind == "f" else np.ones(data.shape, bool)
    values = data[keep if valid is None else keep & valid].tolist()
    if not values:
        assert found is None
        return
    assert found is not None
    assert (found.low, found.high) == (min(values), max(values))
    assert found.exponent == exponent_by_search(values)
    filled = {found.first + k: int(n) for k, n in enumerate(found.counts) if n}
    assert filled == counts_by_fractions(values, found.exponent)
    assert found.counts[0] > 0
    assert found.counts[-1] > 0
    assert found.counts.size <= MOST_BINS


FLOATS = (
    st.floats(-1e3, 1e3)
    | st.sampled_from([np.nan, np.inf, -np.inf, 0.0, -0.0, TINY, -TINY, 1e-300, -1e-300, 1e300, LARGEST, -LARGEST])
    | st.integers(-5, 5).map(lambda k: k * 0.125)
    | st.floats()
)


@st.composite
def bands(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray | None]:
    dtype = np.dtype(draw(st.sampled_from(["i4", "u4", "i8", "u8", "f4", "f8"])))
    shape = draw(st.tuples(st.integers(1, 6), st.integers(1, 70)))
    elements = None
    if dtype == np.float64:
        elements = draw(st.sampled_from([FLOATS, st.floats(-1e3, 1e3), st.sampled_from([-1e-300, 1e-300, TINY, -TINY])]))
    elif dtype.kind != "f" and draw(st.booleans()):
        middle = draw(st.integers(int(np.iinfo(dtype).min) + 9, int(np.iinfo(dtype).max) - 9))
        elements = st.integers(middle - 9, middle + 9)
    data = draw(arrays(dtype, shape, elements=elements))
    return data, draw(st.none() | arrays(bool, shape))


@settings(max_examples=60, deadline=None)
@given(bands())
def test_counts_are_those_of_exact_division(band: tuple[np.ndarray, np.ndarray | None]) -> None:
    judge(*band, aligned_counts(*band))


@settings(max_examples=60, deadline=None)
@given(bands(), st.integers(1, 6), st.integers(1, 70), st.randoms())
def test_every_partition_in_every_order_gives_the_same(
    band: tuple[np.ndarray, np.ndarray | None], height: int, width: int, chance: object
) -> None:
    data, valid = band
    parts = [
        aligned_counts(data[r : r + height, c : c + width], None if valid is None else valid[r : r + height, c : c + width])
        for r in range(0, data.shape[0], height)
        for c in range(0, data.shape[1], width)
    ]
    chance.shuffle(parts)  # type: ignore[attr-defined]
    while len(parts) > 1:  # a tree, not a row
        parts = [joined_counts(parts[k : k + 2]) for k in range(0, len(parts), 2)]
    judge(data, valid, parts[0])
    whole = aligned_counts(data, valid)
    assert (whole is None) == (parts[0] is None)
    if whole is not None and parts[0] is not None:
        assert (whole.exponent, whole.first) == (parts[0].exponent, parts[0].first)
        np.testing.assert_array_equal(whole.counts, parts[0].counts)


@pytest.mark.parametrize(
    "values",
    [
        [-LARGEST, LARGEST],
        [-1e-300, 1e300],  # divided by the width of a bin this is too small for a float, and lies below zero all the same
        [-TINY, 1e5, -1e5],
        [TINY],
        [-TINY, TINY],
        [0.0, -0.0],
        [0.0, 8192.0],
        [0.0, 8192.0000000001],
        [1.0, 1.0 + 2**-52],
        [1.0 - 2**-53, 1.0],
        [1e9, 1e9 + 1e-6],
    ],
)
def test_floats_at_the_ends_of_their_range(values: list[float]) -> None:
    data = np.array([values])
    judge(data, None, aligned_counts(data, None))


@pytest.mark.parametrize(
    "values",
    [[2**63 - 1, -(2**63)], [2**53 + 1, 2**53 + 3], [2**62, 2**62 + 8192], [-7], [0, 8192], [0, 8193], [-(2**63)]],
)
def test_integers_that_floats_do_not_hold(values: list[int]) -> None:
    data = np.array([values], np.int64)
    judge(data, None, aligned_counts(data, None))
    if min(values) >= 0:
        above = np.array([values], np.uint64) + np.uint64(2**63)
        judge(above, None, aligned_counts(above, None))


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_a_bin_is_narrower_than_a_4096th_of_the_range_unless_floats_end_there(one: float, other: float) -> None:
    low, high = sorted([one, other])
    exponent = exponent_of(low, high)
    spread, width = Fraction(high) - Fraction(low), Fraction(2) ** exponent
    assert spread <= 8192 * width
    finest = max(math.ulp(low), math.ulp(high))
    assert width < spread / 4096 or exponent == -1074 or width == Fraction(finest)
    assert bin_of(high, exponent) - bin_of(low, exponent) < MOST_BINS


def test_edges_are_exact_and_finite() -> None:
    found = aligned_counts(np.array([[-3.3, 100.0]]), None)
    assert found is not None
    edges = found.edges(MOST_BINS)
    width = 2.0**found.exponent
    assert (np.diff(edges) == width).all()
    assert (edges % width == 0).all()
    assert edges[0] <= -3.3 < edges[1]
    wide = aligned_counts(np.array([[-LARGEST, LARGEST]]), None)
    assert wide is not None
    assert np.isfinite(wide.edges(MOST_BINS)).all()
    assert (np.diff(wide.edges(MOST_BINS)) >= 0).all()


def test_strided_bands_and_many_rows() -> None:
    noise = np.random.default_rng(3).normal(size=(300, 130, 2)).astype(np.float32)
    judge(noise[..., 1], None, aligned_counts(noise[..., 1], None))
    judge(noise[..., 0], noise[..., 1] > 0, aligned_counts(noise[..., 0], noise[..., 1] > 0))
