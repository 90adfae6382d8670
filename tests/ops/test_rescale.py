"""Rescale against the formula in exact fractions."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from weft.graph.errors import ArgumentError, BandError, DtypeError
from weft.graph.jsonio import from_json, to_json
from weft.ops.rescale import rescale
from weft.ops.select import select

from .helpers import array_source, computed


def exact(value: Any, in_range: Any, out_range: Any) -> Fraction:
    lo, hi, low, high = map(Fraction, (*in_range, *out_range))
    return min(max(low + (Fraction(value) - lo) * (high - low) / (hi - lo), min(low, high)), max(low, high))


@given(
    dtype=st.sampled_from(["u1", "i2", "u4", "i8", "?"]),
    draw=st.data(),
    in_range=st.tuples(st.integers(-300, 300), st.integers(-300, 300)).filter(lambda r: r[0] != r[1]),
    out_range=st.sampled_from([(0, 255), (255, 0), (10, 20)]),
)
@settings(max_examples=50, deadline=None)
def test_integers_to_integers_round_half_to_even(dtype: str, draw: Any, in_range: Any, out_range: Any) -> None:
    data = draw.draw(arrays(dtype, (2, 4, 5)))
    data = np.where(draw.draw(arrays(bool, data.shape)), data, data % 7 if dtype != "?" else data).astype(dtype)
    got, valid = computed(rescale(array_source(data), in_range, out_range, "u1"))
    assert valid.all()
    assert got.tolist() == [
        [[round(exact(int(v), in_range, out_range)) for v in row] for row in band] for band in data.tolist()
    ]


@given(data=arrays("f4", (1, 3, 4)), valid=arrays(bool, (1, 3, 4)))
@settings(max_examples=40, deadline=None)
def test_floats_with_nan_infinities_and_masks(data: np.ndarray, valid: np.ndarray) -> None:
    with np.errstate(all="ignore"):
        wide = data.astype("f8")
        expected = np.clip((wide + 1.5) * 4 / 3, 0, 4)
    ok = valid & ~np.isnan(data)
    for dtype, fill in (("f8", np.nan), ("i2", 0), ("f2", np.nan)):
        node = rescale(array_source(data, valid, nodata=7), (-1.5, 1.5), (0, 4), dtype)
        got, got_valid = computed(node)
        np.testing.assert_array_equal(got_valid, ok)
        same = np.rint(expected) if dtype == "i2" else expected
        np.testing.assert_allclose(got[ok], same[ok], rtol=1e-3 if dtype == "f2" else 1e-14)
        np.testing.assert_array_equal(got[~ok], np.full((~ok).sum(), fill))
        np.testing.assert_equal(node.meta.nodata, None if dtype == "i2" else np.nan)


def test_default_types_and_ends_are_exact() -> None:
    for dtype, result in (("u1", "f4"), ("f2", "f4"), ("f4", "f4"), ("f8", "f8")):
        data, _ = computed(rescale(array_source(np.array([[2, 5, 8, 11]], dtype)), (2, 8)))
        assert data.dtype == result
        np.testing.assert_array_equal(data[0], [[0, 0.5, 1, 1]])


def test_ranges_per_band() -> None:
    source = array_source(np.array([[[5, 10]], [[5, 10]]], "u2"))
    node = rescale(source, [(0, 10), (5, 10)], [(0, 100), (100, 200)], "u1")
    np.testing.assert_array_equal(computed(node)[0], [[[50, 100]], [[100, 200]]])
    np.testing.assert_array_equal(computed(select(node, 1))[0], [[[100, 200]]])
    assert from_json(to_json(node)) == node


def test_refusals() -> None:
    source = array_source(np.ones((2, 2, 2), "u1"))
    for bad in [(1, 1), (0, np.nan), (0, np.inf), (-1e308, 1e308), 5, (1, 2, 3), "ab", [], None]:
        with pytest.raises(ArgumentError):
            rescale(source, bad, (0, 1))
        with pytest.raises(ArgumentError):
            rescale(source, (0, 1), bad)
    for out, dtype in [((0, 256), "u1"), ((-1, 5), "u2"), ((0, 2**63), "i8"), ((0, 2**64), "u8")]:
        with pytest.raises(ArgumentError, match="leaves"):
            rescale(source, (0, 1), out, dtype)
    for dtype in ("?", "c8"):
        with pytest.raises(DtypeError):
            rescale(source, (0, 1), (0, 1), dtype)
    with pytest.raises(DtypeError):
        rescale(array_source(np.ones((2, 2), "c8")), (0, 1), (0, 1))
    with pytest.raises(BandError):
        rescale(source, [(0, 1)] * 3, (0, 1))
