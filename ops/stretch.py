"""Stretch: map the range between two percentiles linearly onto the whole range of a smaller type, for display.

The range comes from a histogram over the whole image and is a table in the graph, so every chunk is stretched alike.
With [lo, hi] the range and [low, high] that of the output type, a pixel v becomes::

    share = (min(max(v, lo), hi) - lo) / (hi - lo)          in float64
    out   = floor(share * (high - low) + low + 0.5)         or share itself for float types

NaN becomes invalid; infinities go to the ends. Where the range has no width, the values below it go to the low end, those above
it to the high end and those equal to it to the middle; where nothing was measured, everything goes to the middle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ..graph.block import Block, both_valid
from ..graph.errors import ArgumentError, DtypeError, PlanError
from ..graph.grid import Region
from ..graph.node import Meta, Node, as_dtype, operation, verb
from .counting import look_up, map_linear, plain
from .histogram import Histogram, values_of
from .statistics import table_meta

__all__ = ["stretch"]

_ROUNDING = {"nearest": 1, "down": 2}

# Attributes that say what stored numbers mean; they do not hold for stretched ones.
_UNITS = ("scales", "offsets", "units")


@operation("percent_range")
@dataclass(frozen=True, eq=False)
class PercentRange(Node):
    """Table (bands, 1, 2): the values at two percentiles of a histogram, in data units; NaN where nothing was counted.

    Parameters
    ----------
    histogram : the table of a Histogram
    low, high : percent
    per_band : whether each band has its own range, or all share that of their counts together
    discrete : whether each bin holds one value, its lower edge; percentiles are then exact and equal numpy's
    """

    histogram: Node
    low: float
    high: float
    per_band: bool
    discrete: bool

    def _meta(self) -> Meta:
        if not 0 <= self.low < self.high <= 100:
            raise ArgumentError(f"percent goes from low to high within 0 and 100; got ({self.low}, {self.high})")
        return table_meta(self.histogram, 1, 2, "a percentile")

    def need(self, region: Region) -> tuple[Region, ...]:
        return (self.histogram.meta.grid.region,)

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        bands = blocks[0].data
        edges, counts = bands[:, 0], bands[:, 1, :-1].astype(np.int64)
        if not self.per_band:
            # Bands without a valid pixel have no edges, and no counts either.
            edges = np.broadcast_to(np.fmin.reduce(edges), edges.shape)
            counts = np.broadcast_to(counts.sum(axis=0), counts.shape)
        value_at = _exact_percentile if self.discrete else _percentile_within_bin
        shares = (self.low / 100, self.high / 100)
        table = np.empty((len(bands), 1, 2))
        for band, extremes in enumerate(bands[:, 2:]):
            low, high, apart = extremes[0, :3] if len(extremes) else (-math.inf, math.inf, 0.0)
            ends = edges[band, :-1], edges[band, 1:] - apart
            table[band] = [min(max(value_at(*ends, counts[band], share), low), high) for share in shares]
        return Block(table).cut(self.meta.grid.region, region)

    def describe(self) -> str:
        return f"{self.low:g} to {self.high:g} %{'' if self.per_band else ', one range for all bands'}"


@operation("linear_stretch")
@dataclass(frozen=True, eq=False)
class LinearStretch(Node):
    """``source`` with the range of each band mapped onto ``target``; see the module for the formula.

    Parameters
    ----------
    source : Node
    span : table (bands, 1, 2) of the range per band
    dtype : of the result
    target : the values that the ends of the range become
    rounding : "nearest" (half up) or "down" (cut off, towards zero); nothing for float types
    parted : whether a range without width parts what is below it from what is above it, or sends all to the middle
    """

    source: Node
    span: Node
    dtype: np.dtype
    target: tuple[float, float]
    rounding: str = "nearest"
    parted: bool = True

    def _meta(self) -> Meta:
        meta = self.source.meta
        if meta.dtype.kind == "c":
            raise DtypeError(f"a stretch needs real pixels and these are {meta.dtype}; take abs() of the raster first")
        if self.rounding not in _ROUNDING:
            raise ArgumentError(f"a stretch rounds {' or '.join(_ROUNDING)}; got {self.rounding!r}")
        _checked_target(self.dtype, self.target)
        if self.span.meta.grid.shape != (1, 2) or len(self.span.meta.bands) != len(meta.bands):
            raise PlanError(f"a stretch of {len(meta.bands)} bands needs a table of as many ranges")
        attrs = {key: value for key, value in meta.attrs.items() if key not in _UNITS}
        return meta.having(dtype=self.dtype, nodata=None, masked=meta.masked or meta.dtype.kind == "f", attrs=attrs)

    def need(self, region: Region) -> tuple[Region, ...]:
        return region, self.span.meta.grid.region

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        image, spans = blocks
        valid = image.valid
        if image.data.dtype.kind == "f":
            nan = np.isnan(image.data)
            valid = both_valid(valid, ~nan) if nan.any() else valid
        out = np.empty(image.data.shape, self.dtype)
        rounding = rounding_of(self.rounding, self.dtype)
        values = values_of(image.data.dtype)
        fill = self.dtype.type(self.meta.fill)
        for band, (lo, hi) in enumerate(spans.data[:, 0].tolist()):
            pixels = plain(image.data[band])
            mask = None if valid is None else valid[band if valid.shape[0] > 1 else 0]
            if values is None:
                map_linear(pixels, mask, (lo, hi), self.target, rounding, self.parted, fill, out[band])
            else:
                table = stretch_table(values, (lo, hi), self.target, self.rounding, self.parted, self.dtype)
                look_up(pixels, mask, table, values.start, fill, out[band])
        return Block(out, valid)

    def describe(self) -> str:
        return f"to {self.target[0]:g} ... {self.target[1]:g}"

    def reduced(self, factor: float) -> Node | None:
        coarse = self.source.reduced(factor)
        return None if coarse is None else self.with_inputs((coarse, self.span))


def display_range(dtype: np.dtype) -> tuple[float, float]:
    """The whole range of an integer type of at most 32 bits, 0 to 1 for floats.

    Raises
    ------
    DtypeError
        The type is another one.
    """
    if dtype.kind == "f" and dtype.itemsize in (4, 8):
        return 0.0, 1.0
    if dtype.kind not in "iu" or dtype.itemsize > 4:
        raise DtypeError(f"a stretch makes integers of at most 32 bits, float32 or float64, not {dtype}")
    return float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)


def rounding_of(rounding: str, dtype: np.dtype) -> int:
    """What ``map_linear`` calls a way of rounding; floats are not rounded."""
    return 0 if dtype.kind == "f" else _ROUNDING[rounding]


def _checked_target(dtype: np.dtype, target: tuple[float, float]) -> None:
    lowest, highest = display_range(dtype)
    if not lowest <= target[0] < target[1] <= highest:
        raise ArgumentError(f"a stretch to {dtype} ends within {lowest:g} and {highest:g}; got {target}")


@lru_cache(maxsize=64)
def stretch_table(
    values: range, span: tuple[float, float], target: tuple[float, float], rounding: str, parted: bool, dtype: np.dtype
) -> np.ndarray:
    """What each value of a small type becomes, by the very loop that other types go through; see ``LinearStretch``.

    The table is shared and read-only.
    """
    table = np.empty((1, len(values)), dtype)
    every = np.arange(values.start, values.stop, dtype=np.int32).reshape(1, -1)
    map_linear(every, None, span, target, rounding_of(rounding, dtype), parted, dtype.type(0), table)
    table.flags.writeable = False
    row: np.ndarray = table[0]
    return row


def _exact_percentile(values: np.ndarray, _: np.ndarray, counts: np.ndarray, share: float) -> float:
    """As numpy's "linear" method on the pixels themselves, to the last bit."""
    cumulative = np.cumsum(counts)
    total = int(cumulative[-1])
    if total == 0:
        return math.nan
    place = (total - 1) * share
    rank = math.floor(place)
    below, above = (float(values[np.searchsorted(cumulative, k, side="right")]) for k in (rank, min(rank + 1, total - 1)))
    part = place - rank
    # The form that numpy uses on either side of one half, so that rounding agrees.
    return above - (above - below) * (1 - part) if part >= 0.5 else below + (above - below) * part


def _percentile_within_bin(lowest: np.ndarray, highest: np.ndarray, counts: np.ndarray, share: float) -> float:
    """Where the counts, spread evenly over their bins, reach ``share``: off by less than one bin.

    Parameters
    ----------
    lowest, highest : (bins,), the ends of what a bin may hold
    """
    filled = np.flatnonzero(counts)
    if filled.size == 0:
        return math.nan
    cumulative = np.cumsum(counts[filled])
    place = share * float(cumulative[-1])
    k = min(int(np.searchsorted(cumulative, place, side="left")), filled.size - 1)
    part = 1 - (float(cumulative[k]) - place) / float(counts[filled[k]])
    low, high = float(lowest[filled[k]]), float(highest[filled[k]])
    return low * (1 - part) + high * part


@verb
def stretch(
    raster: Node,
    percent: tuple[float, float] = (2, 98),
    *,
    dtype: Any = "uint8",
    per_band: bool = True,
    approximate: bool = True,
) -> Node:
    """Map the range between two percentiles onto the whole range of ``dtype``, clipping what lies beyond.

    Parameters
    ----------
    raster : (band, y, x), bool, integer or float
    percent : (low, high)
        Of the valid pixels. Exact (numpy's "linear" percentiles) for integers of at most 16 bits; for other types from a
        histogram whose bins are narrower than a 4096th of the range, within which pixels are taken to lie evenly; 0 and 100
        are minimum and maximum.
    dtype : an integer type of at most 32 bits, or float32, float64 (0 to 1)
    per_band : bool
        False uses one range for all bands, which keeps colours true to each other.
    approximate : bool
        Take the percentiles from the cheapest overview with at least ten million pixels where the image is larger and has
        one. False reads every pixel.

    Returns
    -------
    (band, y, x) of ``dtype`` without nodata value. Invalid pixels stay invalid; NaN becomes invalid.

    Raises
    ------
    ArgumentError
        ``percent`` is not two increasing numbers within 0 and 100.
    DtypeError
        The pixels are complex, or ``dtype`` is not one of those above.
    """
    try:
        low, high = (float(value) for value in percent)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"percent is (low, high), two numbers; got {percent!r}") from error
    target_dtype = as_dtype(dtype)
    target = display_range(target_dtype)
    histogram = Histogram.of(raster, shared=not per_band, approximate=approximate)
    span = PercentRange(histogram, low, high, per_band, histogram.is_discrete)
    return LinearStretch(raster, span, target_dtype, target)
