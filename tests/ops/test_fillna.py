"""Fillna against numpy.where."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from weft.graph.errors import ArgumentError, BandError
from weft.graph.jsonio import from_json, to_json
from weft.graph.optimize import optimize
from weft.ops.fillna import fillna
from weft.ops.select import select

from .helpers import array_source, computed


@given(dtype=st.sampled_from(["u1", "f4", "c8", "?"]), value=st.sampled_from([1, [0, 1]]), draw=st.data())
@settings(max_examples=40, deadline=None)
def test_like_numpy(dtype: str, value: Any, draw: Any) -> None:
    data = draw.draw(arrays(dtype, (2, 4, 5)))
    valid = draw.draw(st.none() | arrays(bool, (draw.draw(st.sampled_from([1, 2])), 4, 5)))
    node = fillna(array_source(data, valid, nodata=1), value)
    missing = np.isnan(data) | (False if valid is None else ~valid)
    expected = np.where(missing, np.array(value, dtype).reshape(-1, 1, 1), data)
    got, ok = computed(node)
    assert ok.all()
    assert not node.meta.masked
    assert node.meta.nodata is None
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(computed(select(node, 1))[0], expected[1:])
    assert from_json(to_json(node)) == node


def test_refusals_and_identity() -> None:
    source = array_source(np.ones((2, 3, 3), "u1"))
    for value in (256, -1, 0.5, np.nan, "a", None, [1, 999]):
        with pytest.raises(ArgumentError):
            fillna(source, value)
    with pytest.raises(ArgumentError):
        fillna(array_source(np.ones((3, 3))), np.nan)
    for value in ([], [1, 2, 3]):
        with pytest.raises(BandError):
            fillna(source, value)
    assert optimize(fillna(source, 3), "exact").node == source
    assert fillna(array_source(np.ones((3, 3), "f4")), 0.1).values == (float(np.float32(0.1)),)
