"""Clip against comparisons in Python numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from weft.graph.errors import ArgumentError, DtypeError
from weft.graph.jsonio import from_json, to_json
from weft.graph.optimize import optimize
from weft.ops.clip import clip

from .helpers import array_source, computed

LIMITS = st.none() | st.integers(-300, 70_000) | st.floats(-300, 70_000)


@given(dtype=st.sampled_from(["u1", "i2", "u8", "f4"]), draw=st.data(), lo=LIMITS, hi=LIMITS)
@settings(max_examples=60, deadline=None)
def test_every_result_lies_within_and_moves_no_further_than_it_must(dtype: str, draw: Any, lo: Any, hi: Any) -> None:
    data = draw.draw(arrays(dtype, (1, 3, 5)))
    source = array_source(data)
    ends = np.iinfo(dtype) if dtype != "f4" else None
    low, high = -np.inf if lo is None else lo, np.inf if hi is None else hi
    possible: Any = [0]
    if ends:
        least, most = ends.min if lo is None else math.ceil(lo), ends.max if hi is None else math.floor(hi)
        possible = range(max(ends.min, least), min(ends.max, most) + 1)
    if (lo is None and hi is None) or low > high or not possible:
        with pytest.raises(ArgumentError):
            clip(source, lo, hi)
        return
    got, valid = computed(clip(source, lo, hi))
    assert valid.all()
    for value, result in zip(data.ravel(), got.ravel(), strict=True):
        if dtype == "f4":
            limited = min(max(value, np.float32(low)), np.float32(high))
            assert np.isnan(result) if np.isnan(value) else result == limited
        else:
            inside = low <= int(value) <= high
            assert result == value if inside else int(result) in (possible[0], possible[-1])


def test_the_nodata_value_is_not_met_by_valid_pixels() -> None:
    source = array_source(np.array([[-5, 7, -1]], "i2"), np.array([[True, True, False]]), nodata=-1)
    assert clip(source, 0, 9).meta.nodata == -1
    np.testing.assert_array_equal(computed(clip(source, 0, 9))[0], [[[0, 7, -1]]])
    assert clip(source, -1).meta.nodata is None
    np.testing.assert_array_equal(computed(clip(source, -1))[0], [[[-1, 7, 0]]])


def test_no_limit_within_the_type_is_nothing() -> None:
    source = array_source(np.ones((2, 2), "u1"))
    assert optimize(clip(source, -5, 300.5), "exact").node == source
    node = clip(source, 0.5, 3.5)
    assert (node.lo, node.hi) == (1, 3)
    assert from_json(to_json(node)) == node


def test_refusals() -> None:
    source = array_source(np.ones((2, 2), "u1"))
    for lo, hi in [(None, None), (5, 4), (np.nan, 1), (None, np.nan), (256, None), (None, -1), (0.2, 0.8), ("a", 1), (1j, 2)]:
        with pytest.raises(ArgumentError):
            clip(source, lo, hi)
    for dtype in ("c8", "?"):
        with pytest.raises(DtypeError):
            clip(array_source(np.ones((2, 2), dtype)), 0, 1)
