"""Lut: replace each value by the entry of a table. Integers only; values beyond the table take the entry at its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from ..graph.block import Block
from ..graph.errors import ArgumentError, DtypeError
from ..graph.formula import INT64, Formula, Pixel, computable
from ..graph.grid import Region
from ..graph.node import Meta, Node, as_dtype, operation, verb
from ..graph.values import FrozenArray
from .common import finished, no_value
from .select import picked_bands

__all__ = ["lut"]

_FURTHEST = 2**62


@operation("lut")
@dataclass(frozen=True, eq=False)
class Lut(Node):
    """``source`` looked up in ``table``, (entries,) or (bands, entries), whose entry 0 stands for the value ``first``."""

    source: Node
    table: FrozenArray
    first: int = 0

    is_pointwise = True

    def _meta(self) -> Meta:
        meta, table = self.source.meta, self.table.array
        if meta.dtype.kind not in "biu":
            raise DtypeError(f"lut looks up integers, not {meta.dtype}; rescale() or astype() to integers first")
        as_dtype(table.dtype)
        if table.ndim not in (1, 2) or table.size == 0:
            raise ArgumentError(f"a table is (entries,) or (bands, entries) and not empty; got shape {table.shape}")
        if table.ndim == 2 and len(table) != len(meta.bands):
            raise ArgumentError(f"a table of {len(table)} rows does not fit {len(meta.bands)} bands")
        if abs(self.first) > _FURTHEST:
            raise ArgumentError(f"first={self.first} is beyond what pixels hold")
        masked = meta.masked or table.dtype.kind in "fc"
        return meta.having(dtype=table.dtype, nodata=no_value(table.dtype), masked=masked, attrs={})

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        (block,) = blocks
        data, table = block.data, self.table.array
        if data.dtype == bool:
            data = data.view(np.uint8)
        elif data.dtype == np.uint64:
            data = np.minimum(data, np.uint64(2**63 - 1)).view(np.int64)
        # The loop only moves entries, so it takes them as bytes of their size: one compiled loop serves every type.
        moved = table.view(_CARRIERS[table.dtype.itemsize]) if table.dtype.itemsize in _CARRIERS else table
        out = np.empty(data.shape, table.dtype)
        target = out.view(moved.dtype)
        for band in range(len(data)):
            _look_up(data[band], moved if moved.ndim == 1 else moved[band], self.first, target[band])
        return finished(out, block.valid, self.meta.fill)

    def scalar(self, formula: Formula, pixels: tuple[Pixel, ...]) -> Pixel | None:
        (pixel,) = pixels
        table = self.table.array
        if not computable(table.dtype):
            return None
        value = pixel.value
        if value.dtype == np.uint64:
            value = formula.apply("least", value, formula.constant(np.uint64(2**63 - 1), value.dtype))
        last = self.first + table.shape[-1] - 1
        lowest, highest = (0, 1) if value.dtype.kind == "b" else (np.iinfo(value.dtype).min, np.iinfo(value.dtype).max)
        value, first = formula.cast(value, INT64), formula.constant(self.first, INT64)
        if lowest < self.first:
            value = formula.apply("most", value, first)
        if highest > last:
            value = formula.apply("least", value, formula.constant(last, INT64))
        entry = formula.look_up(table, formula.apply("subtract", value, first))
        return formula.finished(entry, pixel.valid, self.meta.fill)

    def select(self, bands: tuple[int, ...]) -> Node | None:
        table = self.table if self.table.array.ndim == 1 else FrozenArray(self.table.array[list(bands)])
        return Lut(picked_bands(self.source, bands), table, self.first)


_CARRIERS = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


@verb
def lut(raster: Node, table: Any, *, first: int = 0) -> Node:
    """Replace each value by the entry of a table.

    Parameters
    ----------
    raster : Raster, (band, y, x), integer or bool
    table : array-like, (entries,) for all bands or (bands, entries)
        The result takes its dtype. Values beyond either end take the entry at that end. Copied.
    first : int
        The value that entry 0 stands for; negative for signed data.

    Returns
    -------
    Raster of the same grid and bands. NaN entries make pixels invalid. Its nodata value is NaN for float tables and None
    for integer ones, whose invalid pixels hold 0.

    Raises
    ------
    DtypeError
        The raster is neither integer nor bool.
    ArgumentError
        The table is empty, is not of numbers, or has a wrong number of rows.
    """
    try:
        entries = np.array(table, order="C")
    except ValueError as error:
        raise ArgumentError(f"a table is (entries,) or (bands, entries): {error}") from error
    entries = entries.astype(as_dtype(entries.dtype), copy=False)
    if isinstance(first, bool) or not isinstance(first, (int, np.integer)):
        raise ArgumentError(f"first is a whole number; got {first!r}")
    return Lut(raster, FrozenArray(entries), int(first))


@njit(nogil=True, cache=True)
def _look_up(data: Any, table: Any, first: int, out: Any) -> None:  # pragma: no cover
    last = first + table.size - 1
    for r in range(data.shape[0]):
        for c in range(data.shape[1]):
            v = min(max(np.int64(data[r, c]), first), last)
            out[r, c] = table[v - first]
