"""Mask against boolean algebra in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from weft.graph.errors import BandError, DtypeError, GridError
from weft.graph.jsonio import from_json, to_json
from weft.ops.mask import mask
from weft.ops.select import select

from .helpers import array_source, computed


@given(bands=st.sampled_from([1, 2]), kind=st.sampled_from(["bool", "integer", "array", "flat"]), draw=st.data())
@settings(max_examples=50, deadline=None)
def test_like_numpy(bands: int, kind: str, draw: Any) -> None:
    data = np.arange(2 * 4 * 5, dtype="i2").reshape(2, 4, 5)
    valid = draw.draw(st.none() | arrays(bool, (draw.draw(st.sampled_from([1, 2])), 4, 5)))
    keep = draw.draw(arrays(bool, (bands, 4, 5)))
    ok: Any = keep
    if kind in ("bool", "integer"):
        flags = draw.draw(st.none() | arrays(bool, (1, 4, 5)))
        by: Any = array_source(keep if kind == "bool" else keep * np.int8(-3), flags)
        ok = keep & (True if flags is None else flags)
    else:
        by = keep if kind == "array" else keep[0]
        ok = keep if kind == "array" else keep[:1]
    node = mask(array_source(data, valid, nodata=-7), by)
    ok = np.broadcast_to(ok & (True if valid is None else valid), data.shape)
    got, got_valid = computed(node)
    np.testing.assert_array_equal(got_valid, ok)
    np.testing.assert_array_equal(got, np.where(ok, data, -7))
    np.testing.assert_array_equal(computed(select(node, 1))[1], ok[1:])
    assert from_json(to_json(node)) == node


def test_the_array_is_copied() -> None:
    keep = np.ones((3, 3), bool)
    node = mask(array_source(np.ones((3, 3))), keep)
    keep[:] = False
    assert computed(node)[1].all()


def test_refusals() -> None:
    source = array_source(np.ones((3, 2, 2), "u1"))
    for keep, error in [
        (np.ones((2, 3), bool), GridError), (np.ones(2, bool), GridError), (np.ones((2, 2, 2), bool), BandError),
        (np.ones((2, 2)), DtypeError), (array_source(np.ones((2, 2))), DtypeError), (3, DtypeError),
        (array_source(np.ones((2, 3), bool)), GridError), (array_source(np.ones((2, 2, 2), bool)), BandError),
    ]:  # fmt: skip
        with pytest.raises(error):
            mask(source, keep)
