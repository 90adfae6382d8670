"""Statistics: count, min, max, mean and standard deviation of every band, as a small table in the graph.

Invalid pixels, NaN and infinities do not count. A band without any valid pixel has count 0 and NaN for the rest.

Sums of integers are exact whatever the size of the image, so integer statistics are the same for every partition into
blocks, correctly rounded. For floats count, min and max are exact, mean and deviation are merged block by block by
Chan's formula and may differ between partitions in the last digits.

By default large images are measured on an overview: the optimizer's "statistics from an overview" reads the cheapest
equivalent of the source that still has ten million pixels, where the source can offer one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import numpy as np

from ..graph.block import Block
from ..graph.errors import ArgumentError, DtypeError
from ..graph.grid import Grid
from ..graph.node import Meta, Node, Reduction, operation, rule, verb
from .aligned_counts import added_neighbours, exponent_of
from .counting import band_of, float_moments, narrow_sums, wide_sums

__all__ = ["BandStatistics", "statistics", "statistics_of"]

# An overview serves for statistics if it keeps at least this many pixels a band.
MIN_PIXELS = 10_000_000

COLUMNS = ("count", "min", "max", "mean", "std")


@dataclass(frozen=True, slots=True)
class Sums:
    """What was seen of an integer band, in Python's integers: exact. ``joined`` and ``row`` are for ``count`` above 0."""

    count: int
    min: int
    max: int
    total: int
    squares: int

    def joined(self, other: Sums) -> Sums:
        return Sums(
            self.count + other.count,
            min(self.min, other.min),
            max(self.max, other.max),
            self.total + other.total,
            self.squares + other.squares,
        )

    def row(self) -> tuple[float, ...]:
        variance = (self.count * self.squares - self.total**2) / self.count**2
        return self.count, self.min, self.max, self.total / self.count, math.sqrt(variance)


@dataclass(frozen=True, slots=True)
class Moments:
    """The same of a float band; ``m2`` is the sum of squared deviations from ``mean``."""

    count: int
    min: float
    max: float
    mean: float
    m2: float

    def joined(self, other: Moments) -> Moments:
        count = self.count + other.count
        delta = other.mean - self.mean
        mean = self.mean + delta * (other.count / count)
        m2 = self.m2 + other.m2 + delta * delta * (self.count * (other.count / count))
        return Moments(count, min(self.min, other.min), max(self.max, other.max), mean, m2)

    def row(self) -> tuple[float, ...]:
        return self.count, self.min, self.max, self.mean, math.sqrt(self.m2 / self.count)


_NOTHING = (0, math.nan, math.nan, math.nan, math.nan)


@operation("statistics")
@dataclass(frozen=True, eq=False)
class Statistics(Reduction):
    """Table (bands, 1, 5) of count, min, max, mean and population standard deviation, float64."""

    source: Node
    approximate: bool = False

    def _meta(self) -> Meta:
        return table_meta(self.source, 1, len(COLUMNS), "statistics")

    def partial(self, blocks: tuple[Block, ...]) -> list[Sums | Moments]:
        image = blocks[0]
        return [seen(*band_of(image, band)) for band in range(image.data.shape[0])]

    def combine(self, states: list[list[Sums | Moments]]) -> list[Sums | Moments]:
        return [reduce(joined, parts) for parts in zip(*states, strict=True)]

    def finish(self, state: list[Sums | Moments]) -> Block:
        return Block(np.array([[row_of(band)] for band in state], np.float64))

    def describe(self) -> str:
        return pixels_read(self.source)

    @rule("statistics from an overview", exact=False)
    def from_overview(self) -> Node | None:
        coarse = coarser(self.source) if self.approximate else None
        return None if coarse is None else Statistics(coarse)


@dataclass(frozen=True)
class BandStatistics:
    """The statistics of one band. NaN, save for the count, where no pixel is valid. Equal if the five numbers are.

    Parameters
    ----------
    count : how many pixels were looked at: valid ones, neither NaN nor infinite
    min, max, mean : in the band's units
    std : standard deviation of the population (divisor: count)
    histogram : (bins,) int64 counts, or None where none was made
    bin_edges : (bins + 1,) float64, increasing
        Bin i holds bin_edges[i] <= v < bin_edges[i + 1]; see ``weft.ops.histogram``.

    Raises
    ------
    ArgumentError
        There are not as many edges as bins and one more.
    """

    count: int
    min: float
    max: float
    mean: float
    std: float
    histogram: np.ndarray | None = field(default=None, compare=False, repr=False)
    bin_edges: np.ndarray | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        bins = None if self.histogram is None else np.shape(self.histogram)
        edges = None if self.bin_edges is None else np.shape(self.bin_edges)
        if (bins is None) != (edges is None) or (bins is not None and (len(bins) != 1 or edges != (bins[0] + 1,))):
            raise ArgumentError(f"a histogram has one edge more than bins; got shapes {bins} and {edges}")

    @property
    def stddev(self) -> float:
        """``std`` under the name it has in the OSML imagery toolkit."""
        return self.std

    @property
    def m2(self) -> float:
        """The sum of squared deviations from the mean."""
        return self.std * self.std * self.count if self.count else 0.0

    def merged(self, other: BandStatistics) -> BandStatistics:
        """The statistics of two parts of a band together.

        Parameters
        ----------
        other : of pixels that are not among these

        Returns
        -------
        BandStatistics. Count, minimum and maximum are exact, mean and deviation joined by Chan's formula (T. F. Chan,
        G. H. Golub, R. J. LeVeque, 1979). Histograms are added: as they are if they have the same edges, else in bins wide
        enough for both where both have a power of two as width and edges at its multiples, which is what statistics of
        integers above 16 bits and floats have by default. If either has none, the result has none.

        Raises
        ------
        ArgumentError
            The histograms have different edges that are not of that kind; or one part has a mean and no count, as statistics
            read from a file's metadata may, so that nobody knows how much it weighs.
        """
        for part in (self, other):
            if not part.count and not math.isnan(part.mean):
                raise ArgumentError("statistics without a count cannot be merged: how many pixels they are of is unknown")
        if not self.count or not other.count:
            return self if self.count else other
        whole = Moments(self.count, self.min, self.max, self.mean, self.m2).joined(
            Moments(other.count, other.min, other.max, other.mean, other.m2)
        )
        _, _, _, mean, std = whole.row()
        histogram, edges = _added_histograms(self, other, whole)
        return BandStatistics(whole.count, whole.min, whole.max, mean, std, histogram, edges)


def _added_histograms(
    one: BandStatistics, other: BandStatistics, whole: Moments
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """(histogram, bin_edges) of both together."""
    if one.histogram is None or other.histogram is None:
        return None, None
    assert one.bin_edges is not None
    assert other.bin_edges is not None
    if np.array_equal(one.bin_edges, other.bin_edges):
        return one.histogram + other.histogram, one.bin_edges
    parts = [_bins_of_two(band.histogram, band.bin_edges) for band in (one, other)]
    if parts[0] is None or parts[1] is None:
        raise ArgumentError(
            f"histograms of {one.histogram.size} and {other.histogram.size} bins with different edges cannot be added; "
            f"give both the same bins and range, or leave them out: replace(band, histogram=None, bin_edges=None)"
        )
    exponent = max(exponent_of(float(whole.min), float(whole.max)), *(exponent for exponent, _, _ in parts))  # type: ignore
    wider = [added_neighbours(counts, first, exponent - own) for own, first, counts in parts]  # type: ignore[misc]
    first = min(start for _, start in wider)
    counts = np.zeros(max(start + part.size for part, start in wider) - first, np.int64)
    for part, start in wider:
        counts[start - first : start - first + part.size] += part
    return counts, np.ldexp(float(first) + np.arange(counts.size + 1), exponent)


def _bins_of_two(histogram: Any, edges: Any) -> tuple[int, int, np.ndarray] | None:
    """(exponent, first bin, counts) of bins that are a power of two wide and begin at its multiples; None for others."""
    widths = np.diff(edges)
    if not widths.size or not (widths > 0).all() or not np.isfinite(edges).all():
        return None
    mantissa, exponent = math.frexp(float(widths[0]))
    first = math.floor(math.ldexp(float(edges[0]), 1 - exponent))
    if mantissa != 0.5 or not np.array_equal(np.ldexp(float(first) + np.arange(widths.size + 1), exponent - 1), edges):
        return None
    return exponent - 1, first, np.asarray(histogram)


def table_meta(source: Node, rows: int, columns: int, what: str) -> Meta:
    """The meta of a float64 table (bands, rows, columns) about ``source``.

    Raises
    ------
    DtypeError
        The source has complex pixels, which have no order.
    """
    if source.meta.dtype.kind == "c":
        raise DtypeError(f"{what} needs real pixels and these are {source.meta.dtype}; take abs() of the raster first")
    return Meta(Grid((rows, columns)), source.meta.bands, np.dtype(np.float64), tile=(rows, columns))


def coarser(source: Node) -> Node | None:
    """The cheapest equivalent of ``source`` with at least ``MIN_PIXELS`` pixels a band; None if there is none cheaper."""
    factor = math.sqrt(source.meta.grid.region.size / MIN_PIXELS)
    return source.sampled(factor) if factor > 1 else None


def pixels_read(source: Node) -> str:
    """The size of the image that a statistic reads, for ``explain()``: the overview's where it reads one."""
    rows, cols = source.meta.grid.shape
    return f"of {rows} x {cols} px"


def statistics_of(table: Block, bands: Sequence[str]) -> dict[str, BandStatistics]:
    """A statistics table as one ``BandStatistics`` per band name.

    Parameters
    ----------
    table : Block
        The whole result of a ``statistics`` node, (bands, 1, 5).
    bands : names, in the table's order
    """
    rows = table.data[:, 0, :].tolist()
    return {name: BandStatistics(int(row[0]), *row[1:]) for name, row in zip(bands, rows, strict=True)}


def joined(one: Sums | Moments, other: Sums | Moments) -> Sums | Moments:
    """What two parts of one band come to; a part may be empty."""
    if not one.count or not other.count:
        return one if one.count else other
    return one.joined(other)  # type: ignore[arg-type]  # parts of one band are of one kind


def row_of(band: Sums | Moments) -> tuple[float, ...]:
    """What a table says of a band, in the order of ``COLUMNS``."""
    return band.row() if band.count else _NOTHING


def seen(data: np.ndarray, valid: np.ndarray | None) -> Sums | Moments:
    """What a statistic keeps of one band, given as ``band_of`` does."""
    if data.dtype.kind == "f":
        return Moments(*float_moments(data, valid))
    if data.dtype.itemsize <= 2:
        return Sums(*map(int, narrow_sums(data, valid)))
    parts = np.zeros(8, np.uint64)
    count, least, greatest = map(int, wide_sums(data, valid, parts))
    low, *squares = map(int, np.delete(parts, 1))
    total = low + (int(parts[1].astype(np.int64)) << 32)
    bb, ab, aa = (squares[i] + (squares[i + 1] << 32) for i in (0, 2, 4))
    return Sums(count, least, greatest, total, bb + (ab << 33) + (aa << 64))


@verb
def statistics(raster: Node, *, approximate: bool = True) -> Node:
    """Count, minimum, maximum, mean and standard deviation of every band.

    Parameters
    ----------
    raster : (band, y, x), bool, integer or float
    approximate : bool
        Read the cheapest overview with at least ten million pixels where the image is larger and has one; the count is
        then the overview's. False reads every pixel.

    Returns
    -------
    A lazy table (bands, 1, 5), float64, in the raster's units; ``statistics_of`` gives it names. The deviation is the
    population's (divisor: count).

    Raises
    ------
    DtypeError
        The pixels are complex.

    Notes
    -----
    Merging by T. F. Chan, G. H. Golub, R. J. LeVeque, "Updating formulae and a pairwise algorithm for computing sample
    variances", 1979. 64-bit integers beyond 2**53 are rounded when they enter the table.
    """
    return Statistics(raster, approximate)
