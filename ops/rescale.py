"""Rescale: map values linearly from one range to another, and clip what lies outside.

Computed in float64 as ``out_lo + (v - in_lo) * (out_hi - out_lo) / (in_hi - in_lo)``; 64-bit integers beyond 2**53 are
rounded to float64 first. Integer results are rounded half to even. NaN is invalid; infinities reach the ends of the range.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from ..graph.block import Block
from ..graph.errors import ArgumentError, BandError, DtypeError
from ..graph.formula import FLOAT64, Formula, Pixel, computable
from ..graph.grid import Region
from ..graph.node import Meta, Node, as_dtype, operation, verb
from .common import no_value, real_only
from .select import picked_bands

__all__ = ["rescale"]

Range = tuple[float, float]


@operation("rescale")
@dataclass(frozen=True, eq=False)
class Rescale(Node):
    """``source`` mapped from ``in_range`` to ``out_range``, each one (lo, hi) for all bands or one per band."""

    source: Node
    in_range: tuple[Range, ...]
    out_range: tuple[Range, ...]
    dtype: np.dtype

    is_pointwise = True

    def _meta(self) -> Meta:
        meta = self.source.meta
        as_dtype(self.dtype)
        real_only("rescale", meta.dtype)
        if self.dtype.kind not in "iuf":
            raise DtypeError(f"rescale gives integers or floats, not {self.dtype}")
        for what, ranges in (("in_range", self.in_range), ("out_range", self.out_range)):
            if len(ranges) not in (1, len(meta.bands)):
                raise BandError(f"{what} is one (lo, hi) or one per band; got {len(ranges)} for {len(meta.bands)} bands")
            for lo, hi in ranges:
                if not math.isfinite(lo) or not math.isfinite(hi) or not math.isfinite(hi - lo) or lo == hi:
                    raise ArgumentError(
                        f"{what} ({lo}, {hi}) is two different finite numbers, not further apart than floats reach"
                    )
        if self.dtype.kind in "iu":
            ends = np.iinfo(self.dtype)
            if any(round(end) < ends.min or round(end) > ends.max for pair in self.out_range for end in pair):
                raise ArgumentError(f"out_range {self.out_range} leaves {self.dtype}, which holds {ends.min} .. {ends.max}")
        masked = meta.masked or meta.dtype.kind == "f"
        return meta.having(dtype=self.dtype, nodata=no_value(self.dtype), masked=masked, attrs={})

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        (block,) = blocks
        data = block.data.astype(np.float32) if block.data.dtype == np.float16 else block.data
        half = self.dtype == np.float16
        out = np.empty(data.shape, np.float32 if half else self.dtype)
        may_nan = data.dtype.kind == "f"
        number = np.ones(data.shape, bool) if may_nan else np.ones((1, 1, 1), bool)
        all_numbers = True
        for band in range(len(data)):
            (lo, hi), (low, high) = (ranges[min(band, len(ranges) - 1)] for ranges in (self.in_range, self.out_range))
            flags = number[band if may_nan else 0]
            whole = self.dtype.kind != "f"
            all_numbers &= _linear(data[band], (lo, hi, low, high), whole, may_nan, out[band], flags)
        valid = block.valid
        if not all_numbers:
            valid = number if valid is None else number & valid
        if half:
            out = out.astype(np.float16)
        if valid is None or valid.all():
            return Block(out)
        np.copyto(out, np.asarray(self.meta.fill).astype(self.dtype), where=~valid)
        return Block(out, valid)

    def scalar(self, formula: Formula, pixels: tuple[Pixel, ...]) -> Pixel | None:
        (pixel,) = pixels
        if not computable(self.source.meta.dtype, self.dtype):
            return None
        lo, hi = np.array(self.in_range).T
        low, high = np.array(self.out_range).T
        ends = (lo, hi - lo, low, high - low, np.minimum(low, high), np.maximum(low, high))
        start, span, out_start, spread, least, most = (formula.constant(end, FLOAT64) for end in ends)
        above = formula.apply("subtract", formula.cast(pixel.value, FLOAT64), start)
        moved = formula.apply("divide", formula.apply("multiply", above, spread), span)
        value = formula.apply("least", formula.apply("most", formula.apply("add", out_start, moved), least), most)
        number = formula.number(pixel.value)
        if self.dtype.kind != "f":
            value = formula.apply("rint", value)
            if number is not None:
                value = formula.select(number, value, formula.constant(0, FLOAT64))
        return formula.filled(formula.cast(value, self.dtype), formula.both(number, pixel.valid), self.meta.fill)

    def select(self, bands: tuple[int, ...]) -> Node | None:
        in_range = self.in_range if len(self.in_range) == 1 else tuple(self.in_range[band] for band in bands)
        out_range = self.out_range if len(self.out_range) == 1 else tuple(self.out_range[band] for band in bands)
        return Rescale(picked_bands(self.source, bands), in_range, out_range, self.dtype)


@verb
def rescale(raster: Node, in_range: Any, out_range: Any = (0.0, 1.0), dtype: Any = None) -> Node:
    """Map values linearly from one range to another, values outside clipped to the ends.

    Parameters
    ----------
    raster : Raster, (band, y, x), integer, bool or float
    in_range : (lo, hi), or a sequence of one such pair per band
        In the raster's values. ``lo`` above ``hi`` turns the scale round.
    out_range : (lo, hi), or a sequence of one such pair per band
        In the result's values.
    dtype : integer or float numpy dtype, optional
        Of the result; float32 when left out, float64 for float64 input. Integers are rounded half to even.

    Returns
    -------
    Raster of the same grid and bands. Computed in float64. NaN is invalid. Its nodata value is NaN for floats and None
    for integers, whose invalid pixels hold 0.

    Raises
    ------
    ArgumentError
        A range is empty or not finite, or ``out_range`` does not fit ``dtype``.
    BandError
        A number of pairs that is neither 1 nor the number of bands.
    DtypeError
        Complex pixels, or a ``dtype`` that is neither integer nor float.
    """
    own = np.dtype(np.float64 if raster.meta.dtype == np.float64 else np.float32)
    target = own if dtype is None else as_dtype(dtype)
    return Rescale(raster, _ranges(in_range, "in_range"), _ranges(out_range, "out_range"), target)


def _ranges(given: Any, what: str) -> tuple[Range, ...]:
    try:
        pairs = np.atleast_2d(np.asarray(given, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{what} is (lo, hi) or one such pair per band; got {given!r}") from error
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not len(pairs):
        raise ArgumentError(f"{what} is (lo, hi) or one such pair per band; got {given!r}")
    return tuple((float(lo), float(hi)) for lo, hi in pairs)


@njit(nogil=True, cache=True)
def _linear(data: Any, ranges: Any, whole: bool, may_nan: bool, out: Any, number: Any) -> bool:  # pragma: no cover
    """Write ``data`` (rows, cols) mapped into ``out``; clear ``number`` at NaN, and say whether there was none."""
    lo, hi, low, high = ranges
    span, spread = hi - lo, high - low
    least, most = min(low, high), max(low, high)
    all_numbers = True
    for r in range(data.shape[0]):
        for c in range(data.shape[1]):
            v = np.float64(data[r, c])
            if may_nan and np.isnan(v):
                number[r, c] = False
                all_numbers = False
                out[r, c] = 0
                continue
            value = min(max(low + (v - lo) * spread / span, least), most)
            out[r, c] = np.rint(value) if whole else value
    return all_numbers
