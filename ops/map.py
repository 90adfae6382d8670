"""Map: apply a Python function to blocks of pixels, with as many neighbours around as it asks for.

The function gets the pixels as stored, invalid ones too. Beyond the image's border the halo is its mirror image, the
border row not repeated (the border repeated where the image is not larger than the halo). The answer for a pixel must
depend on nothing but that neighbourhood: which block it comes in is the engine's choice.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..graph.block import Block
from ..graph.errors import ArgumentError, DtypeError
from ..graph.grid import Region
from ..graph.node import Meta, Node, as_dtype, operation, verb
from ..graph.values import Function
from .common import finished, no_value, spread

__all__ = ["map"]


@operation("map")
@dataclass(frozen=True, eq=False)
class Map(Node):
    """``func`` of blocks of ``source`` with ``halo`` (rows, cols) around; ``bands`` and ``dtype`` are what it returns."""

    source: Node
    func: Function
    dtype: np.dtype
    halo: tuple[int, int] = (0, 0)
    bands: tuple[str, ...] | None = None
    valid: bool = False

    cost = 8.0

    def _meta(self) -> Meta:
        meta = self.source.meta
        as_dtype(self.dtype)
        if min(self.halo) < 0:
            raise ArgumentError(f"a halo is not negative; got {self.halo}")
        bands = meta.bands if self.bands is None else self.bands
        if not bands or len(set(bands)) != len(bands) or not all(isinstance(name, str) and name for name in bands):
            raise ArgumentError(f"bands are different non-empty names; got {bands}")
        masked = meta.masked or self.valid or self.dtype.kind in "fc"
        return meta.having(bands=bands, dtype=self.dtype, nodata=no_value(self.dtype), masked=masked, attrs={})

    def need(self, region: Region) -> tuple[Region, ...]:
        return (region.grown(*self.halo).intersect(self.source.meta.grid.region),)

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        block, wide = blocks[0], region.grown(*self.halo)
        covered = self.need(region)[0]
        shape = self.source.meta.grid.shape
        rows = _mirrored(wide.row0, wide.row1, shape[0], self.halo[0]) - covered.row0
        cols = _mirrored(wide.col0, wide.col1, shape[1], self.halo[1]) - covered.col0
        data = _read_only(_taken(block.data, rows, cols))
        valid = None if block.valid is None else _taken(block.valid, rows, cols)
        if not self.valid:
            result = self._checked(self.func.call(data), region, "an array")
            return finished(result, None if valid is None else _all_around(valid, self.halo), self.meta.fill)
        answer = self.func.call(data, _read_only(spread(valid, data.shape)))
        if not isinstance(answer, tuple) or len(answer) != 2:
            raise ArgumentError(f"map with valid=True: {self.func!r} must return (data, valid); got {type(answer).__name__}")
        result = self._checked(answer[0], region, "data")
        flags = answer[1]
        if flags is not None:
            flags = self._trimmed(flags, region, "valid", {1, len(self.meta.bands)})
            if flags.dtype != bool:
                raise DtypeError(f"map: {self.func!r} returned valid as {flags.dtype}, not bool")
        return finished(result, flags, self.meta.fill)

    def _checked(self, result: Any, region: Region, what: str) -> np.ndarray:
        """``result`` without its halo, as an array of our own, because ``func`` may have returned what it was given."""
        array = self._trimmed(result, region, what, {len(self.meta.bands)})
        if array.dtype != self.dtype:
            raise DtypeError(f"map: {self.func!r} returned {array.dtype}, not {self.dtype}; name the type with dtype=")
        return array.copy()

    def _trimmed(self, result: Any, region: Region, what: str, bands: set[int]) -> np.ndarray:
        (high, wide), (rows, cols) = self.halo, region.shape
        shape = getattr(result, "shape", None)
        if isinstance(result, np.ndarray) and result.ndim == 3 and len(result) in bands:
            if result.shape[1:] == (rows, cols):
                return result
            if result.shape[1:] == (rows + 2 * high, cols + 2 * wide):
                return result[:, high : high + rows, wide : wide + cols]
        raise ArgumentError(
            f"map: {self.func!r} must return {what} of shape ({max(bands)}, {rows}, {cols}), or the same with a halo of "
            f"{self.halo} around; got {type(result).__name__} of shape {shape}"
        )


@verb
def map(
    raster: Node,
    func: Callable[..., Any],
    dtype: Any = None,
    halo: int | tuple[int, int] = 0,
    *,
    bands: Sequence[str] | None = None,
    valid: bool = False,
) -> Node:
    """Apply a function to blocks of pixels.

    Parameters
    ----------
    raster : Raster, (band, y, x)
    func : callable
        Gets a read-only array (bands, rows + 2 * halo, cols + 2 * halo) of pixels as stored and returns a new array
        (result bands, rows, cols), with or without the halo. It is called from several threads, must give the same answer
        for a pixel whatever the block, and must be picklable to run on a cluster. A graph that holds one is not
        representable as JSON.
    dtype : numpy dtype, optional
        Of what ``func`` returns; the raster's when left out.
    halo : int or (rows, cols)
        Neighbouring pixels on each side of the block; mirrored beyond the image's border.
    bands : names of the result's bands, optional
        As many as ``func`` returns; the raster's when left out.
    valid : bool
        Give ``func`` (data, valid), the second a bool array of the same shape, and take (data, valid) from it, where
        ``valid`` may have one band or be None for "all".

    Returns
    -------
    Raster on the same grid. Without ``valid``, a pixel is invalid in every band if any band of its input pixel, or of any
    pixel in the halo around it, is invalid. NaN is invalid. The nodata value is NaN for floats and None for integers.

    Raises
    ------
    ArgumentError
        ``func`` is not callable, ``halo`` is negative, or band names repeat; while computing, a result of a wrong shape.
    DtypeError
        While computing, a result of another dtype than announced.
    """
    if not callable(func):
        raise ArgumentError(f"map needs a callable; got {type(func).__name__}")
    try:
        high, wide = (operator.index(side) for side in ((halo, halo) if np.ndim(halo) == 0 else halo))  # type: ignore[union-attr, arg-type]
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"a halo is a whole number or (rows, cols); got {halo!r}") from error
    names = None if bands is None else ((bands,) if isinstance(bands, str) else tuple(bands))
    target = raster.meta.dtype if dtype is None else as_dtype(dtype)
    return Map(raster, Function(func), target, (high, wide), names, bool(valid))


def _mirrored(start: int, stop: int, length: int, halo: int) -> np.ndarray:
    """Indices start .. stop - 1 folded back into 0 .. length - 1."""
    indices = np.arange(start, stop)
    if halo >= length:
        return np.clip(indices, 0, length - 1)
    indices = np.abs(indices)
    return np.where(indices >= length, 2 * (length - 1) - indices, indices)


def _taken(array: np.ndarray, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    if rows.size == array.shape[1] and cols.size == array.shape[2]:
        return array
    return array[:, rows[:, None], cols]


def _read_only(array: np.ndarray) -> np.ndarray:
    view = array.view()
    view.flags.writeable = False
    return view


def _all_around(valid: np.ndarray, halo: tuple[int, int]) -> np.ndarray:
    """(1, rows, cols): whether every pixel of the window around is valid in every band; ``valid`` has the halo around."""
    missing = ~valid.all(axis=0, keepdims=True)
    for axis, reach in enumerate(halo, start=1):
        if reach:
            counts = np.cumsum(missing, axis=axis, dtype=np.int32)
            counts = np.concatenate((np.zeros_like(counts.take([0], axis=axis)), counts), axis=axis)
            width = 2 * reach + 1
            last = counts.shape[axis]
            missing = np.not_equal(counts.take(range(width, last), axis=axis), counts.take(range(last - width), axis=axis))
    return np.logical_not(missing)
