from __future__ import annotations

import math
import pickle
import struct
import uuid
from hashlib import blake2b
from typing import Any

import cloudpickle
import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from weft.graph.errors import PlanError
from weft.graph.grid import Grid
from weft.graph.values import FrozenArray, Function, digest


def hashed(value: Any) -> str:
    h = blake2b(digest_size=16)
    digest(value, h)
    return h.hexdigest()


def typed(value: Any) -> Any:
    """A key that tells values apart as digest must: by type and bits, all the way down."""
    if isinstance(value, tuple):
        return "tuple", tuple(map(typed, value))
    return type(value).__name__, value.hex() if isinstance(value, float) else repr(value)


DIFFERENT = [
    *(None, True, False, 0, 1, -1, 10, 2**70, 0.0, -0.0, 1.0, math.nan, math.inf, 1j, complex(1, 0), complex(0, math.nan)),
    *(
        "",
        "1",
        "True",
        "None",
        "n",
        "1;",
        b"",
        b"1",
        "i1;",
        (),
        (1,),
        ((1,),),
        (1, 2),
        ((1, 2),),
        ((1,), 2),
        (1, (2,)),
        (1, ()),
        ((), 1),
    ),
    *((True,), (1.0,), ("1",), ("ab", "c"), ("a", "bc"), ("abc",), ("a", "b", "c"), ("a;s1:b",), ("a", "b")),
    *(np.dtype("f4"), np.dtype("f8"), np.dtype(">f4"), np.dtype("u1"), "f4", "<f4"),
    *(Affine(1, 2, 3, 4, 5, 6), (1.0, 2.0, 3.0, 4.0, 5.0, 6.0), Affine(1, 2, 3, 4, 5, 7)),
    *(
        Grid((2, 3)),
        Grid((3, 2)),
        Grid((2, 3), None, "EPSG:4326"),
        Grid((2, 3), (2, 0, 0, 0, 1, 0)),
        ((2, 3), Affine.identity(), None),
    ),
    *(
        FrozenArray([1, 2]),
        FrozenArray([1.0, 2.0]),
        FrozenArray([[1, 2]]),
        FrozenArray([[1], [2]]),
        FrozenArray([2, 1]),
        (1, 2, 3),
    ),
    *(
        FrozenArray(1),
        FrozenArray([1]),
        FrozenArray(["a"]),
        FrozenArray([]),
        FrozenArray(np.zeros((0, 3))),
        FrozenArray(np.zeros((3, 0))),
    ),
    *("é", "e\u0301", "\ud800", "\udc80"),
]


def test_different_values_never_digest_alike() -> None:
    seen: dict[str, Any] = {}
    for value in DIFFERENT:
        assert seen.setdefault(hashed(value), value) is value
    assert len(seen) == len(DIFFERENT)


leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary(), st.sampled_from("01;:()nis")
)
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=4).map(tuple), max_leaves=8)


@given(values, values)
def test_digests_are_equal_exactly_for_equal_values(a: Any, b: Any) -> None:
    assert (hashed(a) == hashed(b)) == (typed(a) == typed(b))


@pytest.mark.parametrize(
    ("scalar", "plain"),
    [
        (np.int16(5), 5),
        (np.uint64(5), 5),
        (np.float32(0.5), 0.5),
        (np.float64(0.1), 0.1),
        (np.bool_(True), True),
        (np.complex64(1j), 1j),
    ],
)
def test_numpy_scalars_digest_like_the_numbers_that_they_are(scalar: Any, plain: Any) -> None:
    assert hashed(scalar) == hashed(plain)
    assert hashed((scalar,)) == hashed((plain,))


def test_every_nan_digests_alike() -> None:
    odd = [struct.unpack("<d", struct.pack("<Q", bits))[0] for bits in (0x7FF8000000000001, 0xFFF8000000000000)]
    assert all(math.isnan(value) for value in odd)
    assert {hashed(value) for value in odd} == {hashed(math.nan)}
    assert {hashed(complex(1, value)) for value in odd} == {hashed(complex(1, math.nan))}


@pytest.mark.parametrize("value", [[1], {1: 2}, {1}, np.zeros(3), object(), len, slice(1), (1, [2]), Ellipsis, range(3)])
def test_what_is_not_plain_is_refused(value: Any) -> None:
    with pytest.raises(PlanError, match="plain values only"):
        hashed(value)


def test_frozen_array_is_a_read_only_value() -> None:
    array = np.arange(6).reshape(2, 3)
    frozen = FrozenArray(array)
    assert np.shares_memory(frozen.array, array)
    with pytest.raises(ValueError, match="read-only"):
        frozen.array[0, 0] = 5
    array[0, 0] = 0  # the caller's own array is as writable as before
    assert frozen == FrozenArray(np.asfortranarray(array))
    assert hash(frozen) == hash(FrozenArray(array.copy()))
    assert frozen != FrozenArray(array.astype("f8"))
    assert frozen != array.tobytes()
    assert repr(frozen) == "FrozenArray(int64, (2, 3))"


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24).reshape(2, 3, 4)[:, ::2, ::-1],
        np.array(5.0),
        np.array(["ab", "c"]),
        np.array(["2020-01-01"], "M8[D]"),
        np.zeros((0, 3), "f4"),
        np.array([True, False]),
        np.arange(3, dtype=">i4"),
        np.array([np.nan, 1j]),
    ],
)
def test_frozen_array_survives_pickling(array: np.ndarray) -> None:
    again = pickle.loads(pickle.dumps(FrozenArray(array)))
    assert again == FrozenArray(array)
    assert not again.array.flags.writeable
    np.testing.assert_array_equal(again.array, array)


def test_frozen_array_refuses_objects() -> None:
    with pytest.raises(PlanError, match="Python objects"):
        FrozenArray([object()])


def test_functions_are_equal_by_what_they_do() -> None:
    def times(factor: int) -> Any:
        return lambda x: x * factor

    assert Function(times(2)) == Function(times(2))
    assert Function(times(2)) != Function(times(3))
    assert Function(len) != Function(max)
    assert hash(Function(len)) == hash(Function(len))
    assert hashed(Function(times(2))) != hashed(Function(times(3)))
    assert repr(Function(len)) == "len"
    assert Function(len) != len


class Unsteady:
    """A callable that dask's tokenizer sees differently every time."""

    def __call__(self, x: int) -> int:
        return x + 1

    def __dask_tokenize__(self) -> str:
        return uuid.uuid4().hex


def test_a_function_keeps_its_token_wherever_it_is_sent() -> None:
    function = Function(Unsteady())
    again = cloudpickle.loads(cloudpickle.dumps(function))
    assert again == function
    assert again.call(1) == 2
    assert "Unsteady" in repr(again)
    anonymous = Function(lambda x: x + 2)
    assert cloudpickle.loads(cloudpickle.dumps(anonymous)) == anonymous
