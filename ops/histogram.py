"""Histogram: counts per bin of every band, as a small table in the graph.

Bool and integer bands of at most 16 bits are counted value by value over the whole range of their type: nothing is lost
and nothing depends on the data. Other types are counted in bins of equal width, a power of two, whose edges are multiples of
it: the smallest that covers the band's range with at most 8192 times its width (see ``aligned_counts``). Either takes one pass.

When ``bins`` or ``range`` is given, any type is counted in bins of equal width between two limits: ``range``, or the band's own
minimum and maximum, which cost a pass of their own.
A value v goes into bin floor((v - low) / (high - low) * bins), v == high into the last; what lies outside is not counted.

Invalid pixels, NaN and infinities do not count. Counts are exact and the same for every partition into blocks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..graph.block import Block
from ..graph.errors import ArgumentError, PlanError
from ..graph.node import Meta, Node, Reduction, operation, rule, verb
from .aligned_counts import MOST_BINS, AlignedCounts, aligned_counts
from .counting import band_of, count_linear, count_values
from .statistics import COLUMNS, Statistics, coarser, pixels_read, table_meta

__all__ = ["histogram", "histogram_of"]

DEFAULT_BINS = 4096
MAX_BINS = 2**24


class Counts(NamedTuple):
    """Counts (bands, k) of the bins from ``first`` on; those before and after are zero. ``limits``: (bands, 2)."""

    first: int
    counts: np.ndarray
    limits: np.ndarray


@operation("histogram")
@dataclass(frozen=True, eq=False)
class Histogram(Reduction):
    """Table (bands, 2, bins + 1), float64: the bins' edges, then the bins' counts (and a closing 0).

    Where the bins follow from the values by powers of two it is (bands, 3, bins + 1). The third row begins with the minimum,
    the maximum and how far the values of the type lie apart, 1 for integers and 0 for floats. There are always as many bins as
    may ever be needed; those above the maximum are empty.

    Parameters
    ----------
    source : Node
    limits : the Statistics of ``source`` if a number of bins lies between minimum and maximum, else None
    bins : number of bins of equal width; None for the default
    span : first and last edge; None for one bin per value, for the limits, or for powers of two
    shared : whether all bands use the limits of all bands together
    """

    version: ClassVar[int] = 2

    source: Node
    limits: Node | None = None
    bins: int | None = None
    span: tuple[float, float] | None = None
    shared: bool = False
    approximate: bool = False

    @classmethod
    def of(
        cls,
        source: Node,
        bins: int | None = None,
        span: tuple[float, float] | None = None,
        *,
        shared: bool = False,
        approximate: bool = False,
    ) -> Histogram:
        """The histogram of ``source`` with the statistics it depends on."""
        span = None if span is None else _checked_range(span)
        limits = Statistics(source, approximate) if span is None and bins is not None else None
        depends = span is None and (bins is not None or values_of(source.meta.dtype) is None)
        return cls(source, limits, bins, span, shared and depends, approximate)

    def _meta(self) -> Meta:
        if self.bins is not None and not 1 <= self.bins <= MAX_BINS:
            raise ArgumentError(f"a histogram has 1 to {MAX_BINS} bins; got {self.bins}")
        if self.span is not None:
            _checked_range(self.span)
        if self.limits is None and self.span is None and self.bins is not None:
            raise PlanError(f"a histogram of {self.bins} bins needs a range or the statistics of its source")
        if self.limits is not None and self.limits.meta.grid.shape != (1, len(COLUMNS)):
            raise PlanError("the limits of a histogram are a statistics table")
        return table_meta(self.source, 3 if self.is_aligned else 2, self.bin_count + 1, "a histogram")

    @property
    def is_discrete(self) -> bool:
        """Whether each bin holds one value, which is then the bin's lower edge."""
        return self._values is not None

    @property
    def is_aligned(self) -> bool:
        """Whether the bins follow from the values by powers of two."""
        return not self._given and self._values is None

    @property
    def bin_count(self) -> int:
        if self.bins is not None or self.is_aligned:
            return self.bins or MOST_BINS
        return DEFAULT_BINS if self._values is None else len(self._values)

    @property
    def _given(self) -> bool:
        return self.limits is not None or self.bins is not None or self.span is not None

    @property
    def _values(self) -> range | None:
        return None if self._given else values_of(self.source.meta.dtype)

    def partial(self, blocks: tuple[Block, ...]) -> Counts | list[AlignedCounts | None]:
        image = blocks[0]
        bands = [band_of(image, band) for band in range(image.data.shape[0])]
        if self.is_aligned:
            return [aligned_counts(*band) for band in bands]
        limits = self._limits(blocks[1] if self.limits is not None else None)
        counts = np.zeros((len(bands), self.bin_count), np.int64)
        for band, (data, valid) in enumerate(bands):
            if self._values is None:
                low, high = limits[band]
                count_linear(data, valid, low, high, counts[band])
            else:
                counts[band] = count_values(data, valid, self._values.start, len(self._values))
        return _trimmed(counts, limits)

    def combine(self, states: list[Any]) -> Counts | list[AlignedCounts | None]:
        if self.is_aligned:
            return [joined_counts(band) for band in zip(*states, strict=True)]
        first = min(state.first for state in states)
        last = max(state.first + state.counts.shape[1] for state in states)
        counts = np.zeros((states[0].counts.shape[0], last - first), np.int64)
        for state in states:
            counts[:, state.first - first : state.first - first + state.counts.shape[1]] += state.counts
        return Counts(first, counts, states[0].limits)

    def finish(self, state: Any) -> Block:
        if self.is_aligned:
            return Block(aligned_table(state, self.shared))
        n = self.bin_count
        table = np.zeros((state.counts.shape[0], 2, n + 1))
        share = np.arange(n + 1) / n
        for band, (low, high) in enumerate(state.limits):
            table[band, 0] = np.arange(low, high + 1) if self.is_discrete else low * (1 - share) + high * share
        table[:, 0, -1] = state.limits[:, 1]
        table[:, 1, state.first : state.first + state.counts.shape[1]] = state.counts
        return Block(table)

    def describe(self) -> str:
        if self.is_discrete:
            bins = "one bin per value"
        else:
            bins = "bins of a power of two" if self.is_aligned else f"{self.bin_count} bins"
        between = f" in {self.span[0]:g} to {self.span[1]:g}" if self.span else " shared by all bands" if self.shared else ""
        return f"{bins}{between}, {pixels_read(self.source)}"

    @rule("statistics from an overview", exact=False)
    def from_overview(self) -> Node | None:
        coarse = coarser(self.source) if self.approximate else None
        if coarse is None:
            return None
        limits = None if self.limits is None else Statistics(coarse)
        return Histogram(coarse, limits, self.bins, self.span, self.shared)

    def _limits(self, table: Block | None) -> np.ndarray:
        bands = len(self.meta.bands)
        if table is None:
            values = self._values
            span = self.span if values is None else (values.start, values.stop)
            return np.tile(np.array(span, np.float64), (bands, 1))
        limits = table.data[:, 0, 1:3]
        if self.shared:
            limits = np.tile([np.fmin.reduce(limits[:, 0]), np.fmax.reduce(limits[:, 1])], (bands, 1))
        return limits


@dataclass(frozen=True, eq=False)
class ImageHistogram:
    """The histogram of an image.

    Parameters
    ----------
    bands : names
    counts : (bands, bins) int64
    edges : (bands, bins + 1) float64
        Bin i holds edges[i] <= v < edges[i + 1]; where ``bins`` or ``range`` was given, the last one its upper edge too; for
        integers of at most 16 bits, counted value by value, it holds the value edges[i]. Other types without ``bins`` and
        ``range`` have 8193 bins a band, of which those above the band's maximum are empty. NaN for a band without valid pixels
        whose edges follow from them.
    """

    bands: tuple[str, ...]
    counts: np.ndarray
    edges: np.ndarray


def values_of(dtype: np.dtype) -> range | None:
    """Every value of a bool or an integer type of at most 16 bits; None for other types."""
    if dtype.kind == "b":
        return range(2)
    if dtype.kind not in "iu" or dtype.itemsize > 2:
        return None
    info = np.iinfo(dtype)
    return range(int(info.min), int(info.max) + 1)


def histogram_of(table: Block, bands: Sequence[str]) -> ImageHistogram:
    """A histogram table as an ``ImageHistogram``.

    Parameters
    ----------
    table : Block
        The whole result of a ``histogram`` node, (bands, 2 or 3, bins + 1).
    bands : names, in the table's order
    """
    return ImageHistogram(tuple(bands), table.data[:, 1, :-1].astype(np.int64), table.data[:, 0, :].copy())


def joined_counts(parts: Iterable[AlignedCounts | None]) -> AlignedCounts | None:
    """The counts of several parts together; None stands for a part without valid pixels."""
    found = [part for part in parts if part is not None]
    return reduce(AlignedCounts.joined, found) if found else None


def aligned_table(bands: Sequence[AlignedCounts | None], shared: bool = False) -> np.ndarray:
    """The table (bands, 3, MOST_BINS + 1) of counts in aligned bins, all bands in the same ones if ``shared``."""
    table = np.zeros((len(bands), 3, MOST_BINS + 1))
    table[:, 0] = table[:, 2, :2] = math.nan
    together = joined_counts(bands) if shared else None
    for rows, own in zip(table, bands, strict=True):
        whole = together or own
        if whole is not None:
            rows[0] = whole.edges(MOST_BINS)
            rows[2, :3] = whole.low, whole.high, isinstance(whole.low, int)
            if own is not None:
                part = own.coarsened(whole.exponent)
                start = part.first - whole.first
                rows[1, start : start + part.counts.size] = part.counts
    return table


def _trimmed(counts: np.ndarray, limits: np.ndarray) -> Counts:
    filled = np.flatnonzero(counts.any(axis=0))
    first, stop = (int(filled[0]), int(filled[-1]) + 1) if filled.size else (0, 0)
    return Counts(first, counts[:, first:stop].copy(), limits)


def _checked_range(given: tuple[float, float]) -> tuple[float, float]:
    try:
        low, high = (float(value) for value in given)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"the range of a histogram is (low, high), two numbers; got {given!r}") from error
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ArgumentError(f"the range of a histogram goes from low to high, both finite; got {given!r}")
    return low, high


@verb
def histogram(
    raster: Node,
    *,
    bins: int | None = None,
    range: tuple[float, float] | None = None,
    approximate: bool = True,
) -> Node:
    """Counts per bin of every band.

    Parameters
    ----------
    raster : (band, y, x), bool, integer or float
    bins : int, optional
        Number of bins of equal width; 4096 if only ``range`` is given. Without both, integers of at most 16 bits get one bin
        per value of their type (256 or 65536), and other types bins as wide as a power of two, with edges at its multiples:
        the smallest that is at least an 8192nd of the band's range, hence less than a 4096th, but no finer than float64 tells
        values apart there (and than 1 for integers).
    range : (low, high), optional
        First and last edge, in the raster's units, for all bands. If only ``bins`` is given, each band's own minimum and
        maximum, which are measured by a pass of their own.
    approximate : bool
        Read the cheapest overview with at least ten million pixels where the image is larger and has one; counts are then
        the overview's. False reads every pixel.

    Returns
    -------
    A lazy table (bands, 2 or 3, bins + 1), float64: edges, then counts, then, where the bins are of a power of two, the
    extremes (see ``Histogram``); ``histogram_of`` dresses it.

    Raises
    ------
    ArgumentError
        The number of bins is below 1 or absurd, or the range is not two finite numbers in order.
    DtypeError
        The pixels are complex.
    """
    return Histogram.of(raster, bins, range, approximate=approximate)
