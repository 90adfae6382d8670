"""Arithmetic against numpy itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from weft.graph.errors import ArgumentError, BandError, DtypeError, GridError
from weft.graph.flat import topological
from weft.graph.jsonio import from_json, to_json
from weft.graph.node import Node
from weft.ops.arithmetic import UFUNCS, apply_ufunc
from weft.ops.select import select

from .helpers import array_source, computed

DTYPES = ["u1", "i2", "i8", "f4", "f8", "?", "c8"]
NUMBERS = st.sampled_from([0, 1, -3, 7, 300, 0.5, -2.0, True, 1j, np.float32(2), np.int16(5), np.float64(0.1), np.uint8(9)])


@st.composite
def operand(draw: Any) -> Any:
    """(what apply_ufunc takes, what numpy takes, validity)."""
    kind = draw(st.sampled_from(["raster", "raster", "number", "list", "array"]))
    if kind == "number":
        number = draw(NUMBERS)
        return number, number, True
    if kind == "list":
        values = draw(st.sampled_from([[1, 2], [0.5, 2.0], [3], [True, False]]))
        return values, values, True
    if kind == "array":
        array = draw(arrays(draw(st.sampled_from(["u1", "f4"])), 2, elements=st.integers(0, 9)))
        return array, array[:, None, None], True
    bands = draw(st.sampled_from([1, 2]))
    data = draw(arrays("i1", (bands, 4, 6), elements=st.integers(-9, 9))).astype(draw(st.sampled_from(DTYPES)))
    valid = draw(st.none() | arrays(bool, (draw(st.sampled_from([1, bands])), 4, 6)))
    return array_source(data, valid, nodata=3), data, True if valid is None else valid


def by_numpy(ufunc: np.ufunc, operands: list[Any]) -> Any:
    """numpy's own answer; a list is weak, so it goes band by band as plain numbers."""
    bands = max(2 if isinstance(o, list) and len(o) == 2 else len(o) if np.ndim(o) == 3 else 1 for o in operands)
    result = []
    for band in range(bands):
        args = [o[min(band, len(o) - 1)] if isinstance(o, list) or np.ndim(o) == 3 else o for o in operands]
        with np.errstate(all="ignore"):
            result.append(ufunc(*args))
    return np.stack(np.broadcast_arrays(*result))


@given(name=st.sampled_from(sorted(UFUNCS)), draw=st.data())
@settings(max_examples=150, deadline=None)
def test_like_numpy(name: str, draw: Any) -> None:
    ufunc = UFUNCS[name]
    given_ = [draw.draw(operand()) for _ in range(ufunc.nin)]
    nodes = [each[0] for each in given_ if isinstance(each[0], Node)]
    most = max((len(node.meta.bands) for node in nodes), default=0)
    try:
        expected = by_numpy(ufunc, [each[1] for each in given_])
        fails = expected.dtype.kind not in "biufc" or not nodes or len(expected) > most
    except (TypeError, ValueError, OverflowError):
        fails = True
    if fails:
        try:
            node = apply_ufunc(name, *(each[0] for each in given_))
            computed(node)
        except (DtypeError, ArgumentError, BandError):
            return
        # The list as a whole has a type although one of its numbers alone would not fit, or the reverse.
        assert any(isinstance(each[0], (list, np.ndarray)) for each in given_)
        return
    node = apply_ufunc(name, *(each[0] for each in given_))
    got, valid = computed(node)
    assert got.dtype == expected.dtype
    ok = np.broadcast_to(np.True_, expected.shape)
    for _, _, flags in given_:
        ok = ok & flags
    ok = ok & ~np.isnan(expected)
    np.testing.assert_array_equal(valid, ok)
    np.testing.assert_array_equal(got[ok], expected[ok])
    np.testing.assert_array_equal(got[~ok], np.full((~ok).sum(), node.meta.fill, got.dtype))
    np.testing.assert_equal(node.meta.nodata, np.nan if got.dtype.kind in "fc" else None)
    assert from_json(to_json(node)) == node
    band = draw.draw(st.integers(0, most - 1))
    np.testing.assert_array_equal(computed(select(node, band))[0], got[[band]])


def test_python_numbers_are_weak_and_numpy_ones_are_not() -> None:
    source = array_source(np.array([[250, 3]], "u1"))
    for other, dtype in [
        (10, "u1"),
        (0.5, "f8"),
        (np.int32(1), "i4"),
        ([10], "u1"),
        (np.array([10]), "i8"),
        (np.array(2, "i2"), "i2"),
    ]:
        assert apply_ufunc("add", source, other).meta.dtype == dtype
    assert apply_ufunc("add", array_source(np.ones((1, 2), "f4")), 0.5).meta.dtype == "f4"
    assert apply_ufunc("add", array_source(np.ones((1, 2), "f4")), np.float64(0.5)).meta.dtype == "f8"
    np.testing.assert_array_equal(computed(apply_ufunc("add", source, 10))[0], [[[4, 13]]])
    np.testing.assert_array_equal(computed(apply_ufunc("less", source, 300))[0], [[[True, True]]])
    np.testing.assert_array_equal(computed(apply_ufunc("subtract", 255, source))[0], [[[5, 252]]])


def test_a_constant_that_does_not_fit_fails_at_the_call() -> None:
    source = array_source(np.ones((2, 2, 2), "u1"))
    for other in (300, -1, [1, 300]):
        with pytest.raises(ArgumentError):
            apply_ufunc("add", source, other)
    with pytest.raises(ArgumentError, match="negative"):
        apply_ufunc("power", array_source(np.ones((2, 2), "i4")), -1)
    with pytest.raises(ArgumentError, match="negative"):
        computed(apply_ufunc("power", array_source(np.ones((2, 2), "i4")), array_source(np.full((2, 2), -1))))


def test_refusals() -> None:
    source = array_source(np.ones((3, 2, 2), "u1"), crs="EPSG:4326")
    with pytest.raises(GridError, match=r"inputs 0 and 1.*EPSG:4326"):
        apply_ufunc("add", source, array_source(np.ones((3, 2, 2)), transform=Affine.scale(3), crs="EPSG:4326"))
    with pytest.raises(BandError):
        apply_ufunc("add", source, array_source(np.ones((2, 2, 2)), crs="EPSG:4326"))
    for other in ([1, 2], np.ones(2), [1, 2, 3, 4]):
        with pytest.raises(BandError):
            apply_ufunc("add", source, other)
    with pytest.raises(DtypeError):
        apply_ufunc("subtract", array_source(np.ones((2, 2), "?")), array_source(np.ones((2, 2), "?")))
    for call in [
        ("system", source), ("add", source), ("sqrt", source, source), ("add", 1, 2), ("add", source, "a"),
        ("add", source, np.ones((2, 2))), ("add", source, []), ("add", source, None), ("add", source, [[1], [2], [3]]),
    ]:  # fmt: skip
        with pytest.raises(ArgumentError):
            apply_ufunc(*call)


def test_common_parts_are_one_node_and_names_are_canonical() -> None:
    a, b = array_source(np.ones((2, 2)), bands=["a"]), array_source(np.full((2, 2), 2.0), bands=["b"])
    total = apply_ufunc("divide", apply_ufunc("subtract", a, b), apply_ufunc("add", apply_ufunc("subtract", a, b), b))
    assert len(topological(total)) == 5
    assert total.meta.bands == ("a",)
    assert apply_ufunc("true_divide", a, b) == apply_ufunc("divide", a, b)
    assert apply_ufunc("add", a, 2) != apply_ufunc("add", 2, a)
    assert apply_ufunc("add", a, 2.0) != apply_ufunc("add", a, np.float32(2))
