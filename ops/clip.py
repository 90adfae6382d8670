"""Clip: limit values to a range. The dtype stays, NaN stays NaN, invalid pixels stay invalid."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..graph.block import Block
from ..graph.errors import ArgumentError, DtypeError
from ..graph.formula import Formula, Pixel, computable
from ..graph.grid import Region
from ..graph.node import Meta, Node, operation, rule, verb
from .common import filled, no_value, plain_number
from .select import picked_bands

__all__ = ["clip"]


@operation("clip")
@dataclass(frozen=True, eq=False)
class Clip(Node):
    """``source`` limited to ``lo`` .. ``hi``, numbers of its dtype; None is no limit."""

    version: ClassVar[int] = 2

    source: Node
    lo: int | float | None = None
    hi: int | float | None = None

    is_pointwise = True

    def _meta(self) -> Meta:
        meta = self.source.meta
        if meta.dtype.kind not in "iuf":
            raise DtypeError(f"clip works on integers and floats, not {meta.dtype}")
        if self.lo is not None and self.hi is not None and not self.lo <= self.hi:
            raise ArgumentError(f"clip to {self.lo} .. {self.hi}: lo is above hi")
        # A valid pixel that meets the nodata value at an end of the range would read as invalid.
        collides = meta.nodata is not None and meta.nodata in (self.lo, self.hi)
        return meta.having(nodata=no_value(meta.dtype)) if collides else meta

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        (block,) = blocks
        if self.lo is None and self.hi is None:
            return block
        lo, hi = self.lo, self.hi
        if self.meta.dtype.kind == "f":
            # A single limit makes np.clip an np.maximum, which is slower and whose choice of zeros is the machine's.
            lo, hi = -math.inf if lo is None else lo, math.inf if hi is None else hi
        return filled(np.clip(block.data, lo, hi), block.valid, self.meta.fill)

    def scalar(self, formula: Formula, pixels: tuple[Pixel, ...]) -> Pixel | None:
        (pixel,) = pixels
        if not computable(self.meta.dtype):
            return None
        if self.lo is None and self.hi is None:
            return pixel
        value = pixel.value
        for word, limit in (("less", self.lo), ("greater", self.hi)):
            if limit is not None:
                end = formula.constant(limit, self.meta.dtype)
                value = formula.select(formula.apply(word, value, end), end, value)
        return formula.filled(value, pixel.valid, self.meta.fill)

    @rule("clip to the whole range", exact=True)
    def _identity(self) -> Node | None:
        return self.source if self.lo is None and self.hi is None else None

    def select(self, bands: tuple[int, ...]) -> Node | None:
        return Clip(picked_bands(self.source, bands), self.lo, self.hi)


@verb
def clip(raster: Node, lo: float | None = None, hi: float | None = None) -> Node:
    """Limit values to ``lo`` .. ``hi``.

    Parameters
    ----------
    raster : Raster, (band, y, x), integer or float
    lo, hi : numbers, either may be left out
        For integers the limits are the whole numbers within them; a limit beyond the dtype's range is none.

    Returns
    -------
    Raster of the same dtype. NaN stays NaN. The nodata value stays unless it is one of the limits, where valid pixels
    would take it too; then it is NaN for floats and None for integers.

    Raises
    ------
    ArgumentError
        ``lo`` is above ``hi``, both are left out, one is NaN, or no value of the dtype lies between them.
    DtypeError
        Bool or complex pixels.
    """
    if lo is None and hi is None:
        raise ArgumentError("clip needs lo, hi or both")
    dtype = raster.meta.dtype
    if lo is not None and hi is not None and _real(lo, "lo") > _real(hi, "hi"):
        raise ArgumentError(f"clip to {lo} .. {hi}: lo is above hi")
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            low = None if lo is None or lo == -math.inf else float(dtype.type(_real(lo, "lo")))
            high = None if hi is None or hi == math.inf else float(dtype.type(_real(hi, "hi")))
        return Clip(raster, low, high)
    if dtype.kind not in "iu":
        raise DtypeError(f"clip works on integers and floats, not {dtype}")
    ends = np.iinfo(dtype)
    least = ends.min if lo is None else _whole(_real(lo, "lo"), math.ceil)
    most = ends.max if hi is None else _whole(_real(hi, "hi"), math.floor)
    if least > min(most, ends.max) or most < ends.min:
        raise ArgumentError(f"no {dtype} lies between {lo} and {hi}; it holds {ends.min} .. {ends.max}")
    # A limit beyond the dtype is an infinity or an integer that would not fit its arrays: none at all.
    return Clip(raster, int(least) if least > ends.min else None, int(most) if most < ends.max else None)


def _real(value: object, what: str) -> int | float:
    number = plain_number(value, f"clip's {what}")
    if isinstance(number, complex) or number != number:
        raise ArgumentError(f"clip's {what} is a real number; got {value!r}")
    return number


def _whole(value: float, rounding: Callable[[float], int]) -> float:
    return value if math.isinf(value) else rounding(value)
