"""Plain values that a node may hold beyond numbers and strings, and the digest that gives a node its token."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import fields
from functools import cached_property
from hashlib import blake2b
from typing import Any, Protocol

import numpy as np
from affine import Affine
from dask.base import tokenize

from .errors import PlanError
from .grid import Grid


class Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...


class FrozenArray:
    """A read-only array as a value: equal and hashed by content.

    Parameters
    ----------
    array : anything numpy takes
        Shared, not copied (unless its byte order is foreign); whoever passes it on must not change it afterwards.

    Raises
    ------
    PlanError
        The array holds Python objects.
    """

    __slots__ = ("array", "token")

    def __init__(self, array: Any) -> None:
        view = np.asarray(array).view()
        if view.dtype.hasobject:
            raise PlanError("a node may hold arrays of numbers or text, not of Python objects")
        view = view.astype(view.dtype.newbyteorder("="), copy=False)  # pickle would swap the bytes, and the token with them
        view.flags.writeable = False
        self.array = view
        contiguous = np.ascontiguousarray(view)
        h = blake2b(f"{view.dtype.str}{view.shape}".encode(), digest_size=16)
        h.update(contiguous.data if contiguous.size and view.dtype.kind not in "mM" else contiguous.tobytes())
        self.token = h.hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FrozenArray) and self.token == other.token

    def __hash__(self) -> int:
        return hash(self.token)

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenArray, (np.asarray(self.array),)

    def __repr__(self) -> str:
        return f"FrozenArray({self.array.dtype}, {self.array.shape})"


class Function:
    """A Python function as a value: equal and hashed by what dask's tokenizer sees of it.

    A graph that holds one runs anywhere it can be pickled to, but is not representable as JSON.
    """

    __slots__ = ("call", "token")

    def __init__(self, call: Callable[..., Any], token: str | None = None) -> None:
        self.call = call
        self.token: str = token or tokenize(call)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Function) and self.token == other.token

    def __hash__(self) -> int:
        return hash(self.token)

    def __reduce__(self) -> tuple[Any, ...]:
        return Function, (self.call, self.token)  # another process might see the function otherwise

    def __repr__(self) -> str:
        return getattr(self.call, "__qualname__", type(self.call).__name__)


class ByContent:
    """Base of a frozen dataclass of plain values that a node may hold as one: ``token`` is the digest of its fields."""

    @cached_property
    def token(self) -> str:
        h = blake2b(digest_size=16)
        for f in fields(self):  # type: ignore[arg-type]
            digest(getattr(self, f.name), h)
        return h.hexdigest()


def digest(value: Any, into: Hash) -> None:
    """Feed ``value`` into a hash so that different values, of whatever types, feed different bytes.

    Raises
    ------
    PlanError
        The value is not plain: a node may not hold it.
    """
    token = getattr(value, "token", None)
    if isinstance(token, str):
        into.update(b"t" + token.encode() + b";")
    elif value is None or isinstance(value, (bool, np.bool_)):
        into.update(f"n{value};".encode())
    elif isinstance(value, (int, np.integer)):
        into.update(f"i{int(value)};".encode())
    elif isinstance(value, (float, np.floating)):
        into.update(b"f" + _bits(float(value)))
    elif isinstance(value, (complex, np.complexfloating)):
        into.update(b"c" + _bits(float(value.real)) + _bits(float(value.imag)))
    elif isinstance(value, str):
        into.update(f"s{len(value)}:{value}".encode(errors="surrogatepass"))  # file names may hold surrogates
    elif isinstance(value, bytes):
        into.update(b"b%d:" % len(value) + value)
    elif isinstance(value, np.dtype):
        into.update(f"d{value.str};".encode())
    elif isinstance(value, Affine):
        into.update(b"a" + struct.pack("<6d", *value[:6]))
    elif isinstance(value, Grid):
        into.update(b"g")
        digest((value.shape, value.transform, value.crs), into)
    elif isinstance(value, tuple):
        into.update(b"(%d:" % len(value))
        for item in value:
            digest(item, into)
    else:
        raise PlanError(f"a node may hold plain values only, not {type(value).__name__}: {value!r}")


def _bits(value: float) -> bytes:
    return struct.pack("<d", math.nan if math.isnan(value) else value)  # NaN has many bit patterns and one meaning
