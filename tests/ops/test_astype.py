"""AsType against rounding and clipping written out in Python integers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays, from_dtype

from weft.graph.errors import ArgumentError, DtypeError
from weft.graph.jsonio import from_json, to_json
from weft.graph.optimize import optimize
from weft.ops.astype import AsType, astype

from .helpers import array_source, computed

INTEGERS = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8"]
ALL = [*INTEGERS, "f2", "f4", "f8", "?"]


@st.composite
def pixels(draw: Any) -> np.ndarray:
    dtype = np.dtype(draw(st.sampled_from(ALL)))
    ends = [0, 1, 127, 128, 255, 256, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1, 0.5, 1.5, 2.5, 1e9]
    with np.errstate(all="ignore"):
        special = [np.array([s * e], object).astype("f8").astype(dtype).item() for e in ends for s in (1, -1)]
    return draw(arrays(dtype, (1, 4, 6), elements=from_dtype(dtype) | st.sampled_from(special)))


@given(data=pixels(), dtype=st.sampled_from(INTEGERS))
@settings(max_examples=60, deadline=None)
def test_saturate_to_integers(data: np.ndarray, dtype: str) -> None:
    ends = np.iinfo(dtype)
    got, valid = computed(astype(array_source(data), dtype))
    for value, result, ok in zip(data.ravel().tolist(), got.ravel().tolist(), valid.ravel().tolist(), strict=True):
        assert ok == (not math.isnan(value))
        if math.isinf(value):
            assert result == (ends.max if value > 0 else ends.min)
        elif ok:
            assert result == min(max(round(value), ends.min), ends.max)
        else:
            assert result == 0


@given(data=pixels(), dtype=st.sampled_from(["f2", "f4", "f8", "?", "c8"]), casting=st.sampled_from(["saturate", "wrap"]))
@settings(max_examples=40, deadline=None)
def test_other_types_as_numpy_does(data: np.ndarray, dtype: str, casting: Any) -> None:
    got, valid = computed(astype(array_source(data), dtype, casting=casting))
    with np.errstate(all="ignore"):
        expected = data.astype(dtype)
    seen = valid if dtype == "?" else np.ones_like(valid)
    np.testing.assert_array_equal(got[seen], expected[seen])


@given(data=pixels().filter(lambda a: a.dtype.kind in "biu"), dtype=st.sampled_from(INTEGERS))
@settings(max_examples=30, deadline=None)
def test_wrap_is_numpy(data: np.ndarray, dtype: str) -> None:
    np.testing.assert_array_equal(computed(astype(array_source(data), dtype, casting="wrap"))[0], data.astype(dtype))


@given(data=pixels(), valid=arrays(bool, (1, 4, 6)), chain=st.lists(st.tuples(st.sampled_from(ALL), st.booleans()), max_size=4))
@settings(max_examples=60, deadline=None)
def test_chains_survive_the_exact_rules(data: np.ndarray, valid: np.ndarray, chain: Any) -> None:
    node: Any = array_source(data, valid, nodata=1)
    for dtype, wrap in chain:
        if not (wrap and node.meta.dtype.kind == "f"):
            node = astype(node, dtype, casting="wrap" if wrap else "saturate")
    got, got_valid = computed(node)
    assert not got_valid[~valid].any()
    assert got.dtype == node.meta.dtype


def test_nodata_goes_along_where_it_fits() -> None:
    source = array_source(np.array([[1.0, -9999.0]]), np.array([[True, False]]), nodata=-9999.0)
    for dtype, nodata, beneath in [("i2", -9999, -9999), ("u1", None, 0), ("f4", -9999.0, -9999.0), ("?", None, False)]:
        node = astype(source, dtype)
        assert node.meta.nodata == nodata
        data, valid = computed(node)
        np.testing.assert_array_equal(data[0], np.array([[1, beneath]], dtype))
        np.testing.assert_array_equal(valid[0], [[True, False]])
    assert np.isnan(astype(array_source(np.ones((2, 2)), nodata=1e300), "f4").meta.nodata)


def test_refusals() -> None:
    for dtype in ("f8", "u1", "?"):
        for casting in ("saturate", "wrap"):
            with pytest.raises(DtypeError, match="imaginary"):
                astype(array_source(np.ones((2, 2), "c8")), dtype, casting=casting)
    with pytest.raises(DtypeError, match="saturate"):
        astype(array_source(np.ones((2, 2), "i2")), "u1", casting="safe")
    for dtype in ("U3", "nonsense", object):
        with pytest.raises(ArgumentError):
            astype(array_source(np.ones((2, 2))), dtype)
    with pytest.raises(ArgumentError):
        astype(array_source(np.ones((2, 2))), "u1", casting="same_kind")


def test_rules() -> None:
    source = array_source(np.arange(12, dtype="u1").reshape(3, 4))
    assert optimize(astype(source, "u1"), "exact").node == source
    assert optimize(astype(astype(source, "f4"), "i2"), "exact").node == AsType(source, np.dtype("i2"))
    assert optimize(astype(astype(source, "i4"), "u1"), "exact").node == source
    narrowing = astype(astype(array_source(np.ones((2, 2))), "u1"), "f4")
    assert optimize(narrowing, "exact").node == narrowing
    lossy = astype(astype(array_source(np.full((2, 2), 2**53 + 1)), "f8"), "i8")
    assert optimize(lossy, "exact").node == lossy
    assert from_json(to_json(narrowing)) == narrowing
