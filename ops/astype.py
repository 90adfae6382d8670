"""AsType: change the data type of the pixels.

Three ways, because a plain numpy cast turns 300 into 44 without a word:

- ``saturate`` (the default): floats are rounded half to even, then everything is clipped to the range of an integer
  target; NaN becomes invalid. To a float target it is the plain cast.
- ``wrap``: numpy's ``astype``: floats lose their fraction, integers wrap around, and what a float out of range gives
  depends on the machine.
- ``safe``: refuses, when the graph is built, a type that cannot hold every value (numpy's "safe").

To bool, everything but 0 is True.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from ..graph.block import Block
from ..graph.errors import ArgumentError, DtypeError
from ..graph.formula import BOOL, Formula, Pixel, Term, computable
from ..graph.grid import Region
from ..graph.node import Meta, Node, as_dtype, operation, rule, verb
from .common import filled, nodata_for, same_value
from .select import picked_bands

__all__ = ["astype"]

Casting = Literal["saturate", "wrap", "safe"]


@operation("astype")
@dataclass(frozen=True, eq=False)
class AsType(Node):
    """``source`` as ``dtype``; ``casting`` says what happens to values that do not fit."""

    source: Node
    dtype: np.dtype
    casting: str = "saturate"

    is_pointwise = True

    def _meta(self) -> Meta:
        meta = self.source.meta
        if self.casting not in get_args(Casting):
            raise ArgumentError(f"casting is one of {', '.join(get_args(Casting))}; got {self.casting!r}")
        as_dtype(self.dtype)
        if meta.dtype.kind == "c" and self.dtype.kind != "c":
            raise DtypeError(f"{meta.dtype} to {self.dtype} would drop the imaginary part; take abs() or the part wanted first")
        if self.casting == "safe" and not np.can_cast(meta.dtype, self.dtype, "safe"):
            raise DtypeError(f'{self.dtype} cannot hold every {meta.dtype}; say casting="saturate" or "wrap"')
        masked = meta.masked or self._nan_is_lost
        return meta.having(dtype=self.dtype, nodata=nodata_for(meta.nodata, self.dtype), masked=masked)

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        (block,) = blocks
        if self.dtype == self.source.meta.dtype:
            return block
        valid = block.valid
        if self._nan_is_lost:
            number = ~np.isnan(block.data)
            if not number.all():
                valid = number if valid is None else number & valid
        cast = _saturated if self.casting == "saturate" else _plain
        return filled(cast(block.data, self.dtype), valid, self.meta.fill)

    def scalar(self, formula: Formula, pixels: tuple[Pixel, ...]) -> Pixel | None:
        (pixel,) = pixels
        own = self.source.meta.dtype
        if not computable(own, self.dtype) or (own.kind == "f" and self.dtype.kind in "iu" and not self._nan_is_lost):
            return None  # what a float out of range gives is the machine's affair
        if self.dtype == own:
            return pixel
        valid = formula.both(pixel.valid, formula.number(pixel.value) if self._nan_is_lost else None)
        value = pixel.value
        if self.casting == "saturate" and self.dtype.kind in "iu":
            value = _saturated_step(formula, value, self.dtype)
        return formula.filled(formula.cast(value, self.dtype), valid, self.meta.fill)

    @rule("cast to the same type", exact=True)
    def _identity(self) -> Node | None:
        meta = self.source.meta
        return self.source if self.dtype == meta.dtype and same_value(self.meta.nodata, meta.nodata) else None

    @rule("cast of a widening cast", exact=True)
    def _compose(self) -> Node | None:
        inner = self.source
        if not isinstance(inner, AsType) or not _lossless(inner.source.meta.dtype, inner.dtype):
            return None
        first = inner.source
        # A wrapping cast from a float is not one from an integer; a cast back would leave what lies beneath the mask.
        if self.casting == "wrap" and first.meta.dtype.kind != inner.dtype.kind:
            return None
        if self.dtype == first.meta.dtype and first.meta.masked:
            return None
        direct = AsType(first, self.dtype, "saturate" if self.casting == "safe" else self.casting)
        return direct if same_value(direct.meta.nodata, self.meta.nodata) else None

    def select(self, bands: tuple[int, ...]) -> Node | None:
        return AsType(picked_bands(self.source, bands), self.dtype, self.casting)

    @property
    def _nan_is_lost(self) -> bool:
        return self.casting == "saturate" and self.source.meta.dtype.kind == "f" and self.dtype.kind in "biu"


@verb
def astype(raster: Node, dtype: Any, *, casting: Casting = "saturate") -> Node:
    """Change the data type.

    Parameters
    ----------
    raster : Raster, (band, y, x)
    dtype : bool, integer, float or complex numpy dtype
    casting : "saturate", "wrap" or "safe"
        "saturate" rounds floats half to even and clips to the range of an integer dtype, NaN becoming invalid; "wrap" is
        numpy's own ``astype``; "safe" refuses a dtype that cannot hold every value.

    Returns
    -------
    Raster of the dtype. The nodata value stays if the dtype can hold it, else it is NaN for floats and None for integers.

    Raises
    ------
    ArgumentError
        Not a dtype that pixels can have, or an unknown casting.
    DtypeError
        The cast would drop an imaginary part, or is not safe where that was asked for.
    """
    return AsType(raster, as_dtype(dtype), casting)


def _plain(data: np.ndarray, dtype: np.dtype) -> np.ndarray:
    with np.errstate(all="ignore"):
        return data.astype(dtype)


def _saturated(data: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if dtype.kind not in "iu" or data.dtype.kind == "b":
        return _plain(data, dtype)
    ends = np.iinfo(dtype)
    if data.dtype.kind in "iu":
        own = np.iinfo(data.dtype)
        if own.min >= ends.min and own.max <= ends.max:
            return data.astype(dtype)
        inside: np.ndarray = np.clip(data, max(own.min, ends.min), min(own.max, ends.max))
        return inside.astype(dtype)
    rounded: np.ndarray = np.rint(data)
    with np.errstate(all="ignore"):
        lowest, highest = data.dtype.type(ends.min), data.dtype.type(ends.max)
        if int(ends.max).bit_length() <= np.finfo(data.dtype).nmant:
            np.clip(rounded, lowest, highest, out=rounded)
            return rounded.astype(dtype)
        # The float next to the largest integer is one too many, so what reaches it is set rather than cast.
        result: np.ndarray = rounded.astype(dtype)
        result[rounded >= highest] = ends.max
        result[rounded <= lowest] = ends.min
    return result


def _saturated_step(formula: Formula, value: Term, dtype: np.dtype) -> Term:
    """``_saturated`` as steps of a formula; NaN becomes 0."""
    ends = np.iinfo(dtype)
    if value.dtype == BOOL:
        return value
    if value.dtype.kind in "iu":
        own = np.iinfo(value.dtype)
        if own.min < ends.min:
            value = formula.apply("most", value, formula.constant(ends.min, value.dtype))
        if own.max > ends.max:
            value = formula.apply("least", value, formula.constant(ends.max, value.dtype))
        return value
    value = formula.apply("rint", value)
    lowest, highest = (formula.constant(end, value.dtype) for end in (ends.min, ends.max))
    if int(ends.max).bit_length() <= np.finfo(value.dtype).nmant:
        value = formula.apply("least", formula.apply("most", value, lowest), highest)
        number = formula.apply("equal", value, value)
        return formula.cast(formula.select(number, value, formula.constant(0, value.dtype)), dtype)
    above, below = formula.apply("greater_equal", value, highest), formula.apply("less_equal", value, lowest)
    inside = formula.both(formula.apply("less", value, highest), formula.apply("greater", value, lowest))
    assert inside is not None
    whole = formula.cast(formula.select(inside, value, formula.constant(0, value.dtype)), dtype)
    whole = formula.select(above, formula.constant(ends.max, dtype), whole)
    return formula.select(below, formula.constant(ends.min, dtype), whole)


def _lossless(narrow: np.dtype, wide: np.dtype) -> bool:
    """Whether each value of one type is exactly one of the other; numpy calls int64 to float64 safe, which it is not."""
    if narrow.kind in "iu" and wide.kind in "fc":
        part = np.finfo(wide)
        return narrow.itemsize * 8 - (narrow.kind == "i") <= part.nmant + 1
    return np.can_cast(narrow, wide, "safe")
