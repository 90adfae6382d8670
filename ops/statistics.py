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
from dataclasses import dataclass

import numpy as np

from ..graph.block import Block
from ..graph.errors import DtypeError
from ..graph.grid import Grid
from ..graph.node import Meta, Node, Reduction, operation, rule, verb
from .counting import band_of, float_moments, narrow_sums, wide_sums

__all__ = ["statistics", "statistics_of"]

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
        return [_seen(*band_of(image, band)) for band in range(image.data.shape[0])]

    def combine(self, states: list[list[Sums | Moments]]) -> list[Sums | Moments]:
        whole = states[0]
        for state in states[1:]:
            whole = [_joined(a, b) for a, b in zip(whole, state, strict=True)]
        return whole

    def finish(self, state: list[Sums | Moments]) -> Block:
        return Block(np.array([[band.row() if band.count else _NOTHING] for band in state], np.float64))

    def describe(self) -> str:
        return pixels_read(self.source)

    @rule("statistics from an overview", exact=False)
    def from_overview(self) -> Node | None:
        coarse = coarser(self.source) if self.approximate else None
        return None if coarse is None else Statistics(coarse)


@dataclass(frozen=True)
class BandStatistics:
    """The statistics of one band; ``std`` is that of the population. NaN, save for the count, where no pixel is valid."""

    count: int
    min: float
    max: float
    mean: float
    std: float


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


def _joined(one: Sums | Moments, other: Sums | Moments) -> Sums | Moments:
    if not one.count or not other.count:
        return one if one.count else other
    return one.joined(other)  # type: ignore[arg-type]  # parts of one band are of one kind


def _seen(data: np.ndarray, valid: np.ndarray | None) -> Sums | Moments:
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
