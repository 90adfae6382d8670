"""Where against numpy.where."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from weft.graph.errors import ArgumentError, BandError, DtypeError, GridError
from weft.graph.jsonio import from_json, to_json
from weft.ops.select import select
from weft.ops.where import where

from .helpers import array_source, computed

SHAPE = (4, 6)


def masks(bands: int) -> st.SearchStrategy[Any]:
    return st.none() | st.sampled_from([1, bands]).flatmap(lambda count: arrays(bool, (count, *SHAPE)))


def all_of(valid: Any) -> Any:
    return True if valid is None else valid


@given(
    dtype=st.sampled_from(["u1", "i2", "f4", "?"]),
    kind=st.sampled_from(["invalid", "number", "raster"]),
    cond_bands=st.sampled_from([1, 2]),
    nodata=st.sampled_from([None, 4]),
    draw=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_like_numpy(dtype: str, kind: str, cond_bands: int, nodata: Any, draw: Any) -> None:
    data, valid = draw.draw(arrays("u1", (2, *SHAPE))).astype(dtype), draw.draw(masks(2))
    cond, cond_valid = draw.draw(arrays(bool, (cond_bands, *SHAPE))), draw.draw(masks(cond_bands))
    source = array_source(data, valid, nodata=nodata)
    other: Any = None
    values, elsewhere = data, np.False_
    if kind == "number":
        other = values = draw.draw(st.sampled_from([0, 1, 7.5, np.nan, 4]))
        elsewhere = ~np.isnan(other) & (other != nodata)
    elif kind == "raster":
        values, other_valid = draw.draw(arrays("i2", (cond_bands, *SHAPE))), draw.draw(masks(cond_bands))
        other, elsewhere = array_source(values, other_valid, nodata=nodata), all_of(other_valid)
    node = where(source, array_source(cond, cond_valid), other)
    expected = (
        np.where(cond, data, values)
        if kind != "number"
        else np.where(cond, data, np.result_type(data.dtype, other).type(other))
    )
    ok = np.broadcast_to(np.where(cond, all_of(valid), elsewhere) & all_of(cond_valid), data.shape)
    got, got_valid = computed(node)
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got_valid, ok)
    np.testing.assert_array_equal(got[ok], expected[ok])
    np.testing.assert_array_equal(got[~ok], np.full((~ok).sum(), node.meta.fill, got.dtype))
    np.testing.assert_array_equal(computed(select(node, 1))[0], got[1:])
    assert from_json(to_json(node)) == node


def test_refusals() -> None:
    source, cond = array_source(np.ones((3, 2, 2), "u1")), array_source(np.ones((2, 2), bool))
    with pytest.raises(DtypeError, match="compare"):
        where(source, source)
    for what in (True, np.ones((3, 2, 2), bool), None):
        with pytest.raises(DtypeError, match="condition is a raster"):
            where(source, what)
    with pytest.raises(GridError, match="inputs 0 and 1"):
        where(source, array_source(np.ones((3, 2), bool)))
    with pytest.raises(BandError, match="condition"):
        where(source, array_source(np.ones((2, 2, 2), bool)))
    with pytest.raises(BandError, match="other raster"):
        where(source, cond, array_source(np.ones((2, 2, 2))))
    for other in (300, -1, "a", np.ones(3)):
        with pytest.raises(ArgumentError):
            where(source, cond, other)
