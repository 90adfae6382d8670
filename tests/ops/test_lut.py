"""Lut against numpy indexing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from weft.graph.errors import ArgumentError, DtypeError
from weft.graph.jsonio import from_json, to_json
from weft.ops.lut import lut
from weft.ops.select import select

from .helpers import array_source, computed


@given(
    dtype=st.sampled_from(["u1", "i1", "i4", "u8", "i8", "?"]),
    result=st.sampled_from(["u1", "f2", "f8", "c16", "?"]),
    first=st.integers(-200, 200),
    per_band=st.booleans(),
    draw=st.data(),
)
@settings(max_examples=50, deadline=None)
def test_like_indexing(dtype: str, result: str, first: int, per_band: bool, draw: Any) -> None:
    data, valid = draw.draw(arrays(dtype, (2, 4, 5))), draw.draw(arrays(bool, (1, 4, 5)))
    table = draw.draw(arrays(result, (2, 17) if per_band else 17))
    node = lut(array_source(data, valid, nodata=3), table, first=first)
    places = np.array([[[min(max(int(v) - first, 0), 16) for v in row] for row in band] for band in data])
    expected = np.stack([table[band] if per_band else table for band in range(2)])
    expected = np.stack([expected[band][places[band]] for band in range(2)])
    ok = valid & ~np.isnan(expected)
    got, got_valid = computed(node)
    np.testing.assert_array_equal(got_valid, ok)
    np.testing.assert_array_equal(got[ok], expected[ok])
    np.testing.assert_array_equal(got[~ok], np.full((~ok).sum(), node.meta.fill, result))
    np.testing.assert_array_equal(computed(select(node, 1))[0], got[1:])
    assert from_json(to_json(node)) == node


def test_the_table_is_copied() -> None:
    table = np.arange(4, dtype="u1")
    node = lut(array_source(np.array([[0, 1, 9]], "u1")), table)
    table[:] = 99
    np.testing.assert_array_equal(computed(node)[0], [[[0, 1, 3]]])


def test_refusals() -> None:
    source = array_source(np.ones((2, 2, 2), "u1"))
    for dtype in ("f4", "c8"):
        with pytest.raises(DtypeError):
            lut(array_source(np.ones((2, 2), dtype)), [1, 2])
    for table in ([], [[]], [[1], [2], [3]], [[[1]]], 5, ["a"], [[1, 2], [3]]):
        with pytest.raises(ArgumentError):
            lut(source, table)
    for first in (1.5, True, 2**63):
        with pytest.raises(ArgumentError):
            lut(source, [1, 2], first=first)
