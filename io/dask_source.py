"""Dask arrays as a source: the graph's tasks depend on the chunks they need, nothing is computed twice or early."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import dask.array as da
import numpy as np
from dask.base import tokenize

from ..graph.block import Block
from ..graph.errors import ArgumentError
from ..graph.grid import Grid
from ..graph.node import Meta, Node, as_dtype, operation
from ..graph.source import ChunkedSource
from .array import array_meta, as_three, band_names, check_shapes
from .validity import given_nodata, validated

__all__ = ["DaskSource"]


class DaskValue:
    """A dask array as a value: equal and hashed by its name, which stands for how it is made."""

    __slots__ = ("array", "token")

    def __init__(self, array: da.Array) -> None:
        self.array = array
        self.token: str = tokenize(array.name, array.chunks, str(array.dtype))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DaskValue) and self.token == other.token

    def __hash__(self) -> int:
        return hash(self.token)

    def __reduce__(self) -> tuple[Any, ...]:
        return DaskValue, (self.array,)

    def __repr__(self) -> str:
        return f"DaskValue({self.array.dtype}, {self.array.shape})"


@operation("dask")
@dataclass(frozen=True, eq=False)
class DaskSource(ChunkedSource):
    """Pixels in a dask array.

    Parameters
    ----------
    data : (band, y, x), all bands in one chunk
    mask : (band or 1, y, x) bool, True where valid, chunked like ``data`` along y and x, or None
    place : Grid
    bands : their names
    nodata : a value that marks pixels invalid, or None; so does NaN
    """

    data: DaskValue
    mask: DaskValue | None
    place: Grid
    bands: tuple[str, ...]
    nodata: int | float | complex | None = None

    def _meta(self) -> Meta:
        data, mask = self.array, self.valid
        as_dtype(data.dtype)
        check_shapes(data.shape, None if mask is None else mask.shape, self.place, self.bands)
        if data.numblocks[0] != 1 or (mask is not None and (mask.numblocks[0] != 1 or mask.chunks[1:] != data.chunks[1:])):
            raise ArgumentError("the chunks of a dask source hold all bands, and its mask has the same chunks")
        meta = array_meta(self.place, self.bands, data.dtype, self.nodata, masked=mask is not None)
        return meta.having(tile=(max(data.chunks[1]), max(data.chunks[2])))

    @property
    def array(self) -> da.Array:
        return self.data.array

    @property
    def valid(self) -> da.Array | None:
        return None if self.mask is None else self.mask.array

    @property
    def validator(self) -> Callable[[np.ndarray, np.ndarray | None], Block]:
        return partial(_validated, self.meta.dtype, self.nodata)

    def select(self, bands: tuple[int, ...]) -> Node:
        mask = self.mask
        if mask is not None and mask.array.shape[0] > 1:
            mask = DaskValue(mask.array[list(bands)])
        names = tuple(self.bands[b] for b in bands)
        return replace(self, data=DaskValue(self.array[list(bands)]), mask=mask, bands=names)


def from_dask(array: da.Array, *, transform: Any, crs: Any, bands: Any, nodata: complex | None, valid: Any) -> Node:
    """The dask part of ``from_array``."""
    if not isinstance(array, da.Array):
        raise ArgumentError(f"from_array takes a numpy or dask array, not dask's {type(array).__name__}")
    dtype = as_dtype(array.dtype)
    data = _known(as_three(array), "the array").astype(dtype)
    data = data.rechunk({0: -1})
    mask = None
    if valid is not None:
        mask = as_three(_known(da.asarray(valid), "valid"))
        if mask.dtype != bool:
            raise ArgumentError(f"valid is a bool array, True where pixels are valid; got {mask.dtype}")
        if mask.shape[1:] == data.shape[1:]:
            mask = mask.rechunk({0: -1, 1: data.chunks[1], 2: data.chunks[2]})
    grid = Grid(data.shape[1:], transform, crs)
    names = band_names(bands, data.shape[0])
    value = None if mask is None else DaskValue(mask)
    return DaskSource(DaskValue(data), value, grid, names, given_nodata(dtype, nodata))


def _validated(dtype: np.dtype, nodata: complex | None, data: np.ndarray, valid: np.ndarray | None) -> Block:
    return validated(np.asarray(data, dtype), valid, nodata)


def _known(array: da.Array, what: str) -> da.Array:
    if any(np.isnan(length) for length in array.shape):
        raise ArgumentError(f"{what} has chunks of unknown size; call its compute_chunk_sizes() first")
    return array
