"""Counts in bins whose width and edges follow from the pixels by powers of two, so that parts of an image can be joined.

A bin of exponent e holds the values with one floor(v / 2**e). The exponent of a set of values is the smallest one whose bins
are at least an 8192nd part of the range wide, no finer than float64 tells these values apart nor, for integers, than 1.
It follows from the minimum and the maximum alone and grows with the range. So whoever has counted a part in its own bins can
go over to the wider bins of the whole by adding neighbours: counts are the same for every partition, and one pass makes them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .counting import count_shifted, count_whole, float_extremes, int_extremes

_FINE = 13  # the range is at most 2**13 bins wide, and more than half of that where the values can be told apart
MOST_BINS = 2**_FINE + 1  # one more than that, because the range begins anywhere within a bin

_DIGITS = 53  # of float64
_LEAST = -1074  # float64's smallest positive number is 2**-1074
_DEEPEST = -1000  # 2.0 ** 1000 is a float64, the inverse of 2.0 ** -1074 is not


@dataclass(frozen=True, slots=True, eq=False)
class AlignedCounts:
    """Counts (bins,) int64 of the bins ``first``, ``first + 1``, ... of width 2**``exponent``, the first and last not empty.

    ``low`` and ``high`` are the least and the greatest value counted: Python ints for integers, which are never rounded.
    """

    exponent: int
    first: int
    counts: np.ndarray
    low: int | float
    high: int | float

    def joined(self, other: AlignedCounts) -> AlignedCounts:
        """The counts of both together."""
        low, high = min(self.low, other.low), max(self.high, other.high)
        exponent = exponent_of(low, high)
        first = bin_of(low, exponent)
        counts = np.zeros(bin_of(high, exponent) - first + 1, np.int64)
        for part in (self.coarsened(exponent), other.coarsened(exponent)):
            counts[part.first - first : part.first - first + part.counts.size] += part.counts
        return AlignedCounts(exponent, first, counts, low, high)

    def coarsened(self, exponent: int) -> AlignedCounts:
        """The same in bins of an exponent that is not smaller."""
        if exponent == self.exponent:
            return self
        counts, first = added_neighbours(self.counts, self.first, exponent - self.exponent)
        return AlignedCounts(exponent, first, counts, self.low, self.high)

    def edges(self, bins: int) -> np.ndarray:
        """The edges (bins + 1,) of ``bins`` bins from the first, float64; within its range where a bin reaches beyond."""
        with np.errstate(over="ignore"):
            edges = np.ldexp(float(self.first) + np.arange(bins + 1), self.exponent)
        largest = float(np.finfo(np.float64).max)
        within: np.ndarray = np.clip(edges, -largest, largest)
        return within


def aligned_counts(
    data: np.ndarray, valid: np.ndarray | None, extremes: tuple[int | float, int | float] | None = None
) -> AlignedCounts | None:
    """The counts of one band (rows, cols) of 32- or 64-bit integers or floats; None where no pixel is valid and finite.

    Parameters
    ----------
    data, valid : as ``band_of`` gives them
    extremes : minimum and maximum of the valid finite pixels, where they are known already
    """
    if extremes is None:
        if data.dtype.kind == "f":
            found, low, high = float_extremes(data, valid)
        else:
            ends = np.iinfo(data.dtype)
            found, low, high = int_extremes(data, valid, data.dtype.type(ends.min), data.dtype.type(ends.max))
        if not found:
            return None
        extremes = low, high
    # Zero has one sign here: whether -0.0 or 0.0 came first is no property of the image.
    low, high = (float(v) + 0.0 if data.dtype.kind == "f" else int(v) for v in extremes)
    exponent = exponent_of(low, high)
    first = bin_of(low, exponent)
    counts = np.zeros(bin_of(high, exponent) - first + 1, np.int64)
    if data.dtype.kind == "f":
        coarse = max(exponent, _DEEPEST)
        count_shifted(data, valid, 2.0**-coarse, 2.0 ** (coarse - exponent), float(first), counts)
    else:
        count_whole(data, valid, data.dtype.type(exponent), first, counts)
    return AlignedCounts(exponent, first, counts, low, high)


def exponent_of(low: float, high: float) -> int:
    """The exponent of values from ``low`` to ``high``, both ints or both finite floats."""
    size = max(abs(low), abs(high))
    if isinstance(low, int) and isinstance(high, int):
        finest, spread, scale = max(0, int(size).bit_length() - _DIGITS), high - low, 0
    else:
        finest = max(_LEAST, math.frexp(size)[1] - _DIGITS) if size else _LEAST
        (p, q), (r, s) = low.as_integer_ratio(), high.as_integer_ratio()
        whole = max(q, s)
        spread, scale = r * (whole // s) - p * (whole // q), whole.bit_length() - 1
    return max(finest, (spread - 1).bit_length() - scale - _FINE) if spread else finest


def bin_of(value: float, exponent: int) -> int:
    """floor(value / 2**exponent), exactly."""
    p, q = value.as_integer_ratio()
    return p // (q << exponent) if exponent >= 0 else (p << -exponent) // q


def added_neighbours(counts: np.ndarray, first: int, shift: int) -> tuple[np.ndarray, int]:
    """Counts of bins from ``first`` on in bins 2**``shift`` times as wide, and the first of those."""
    # Bins are numbered below 2**54, so that a larger shift than this does nothing more.
    places = (first + np.arange(counts.size, dtype=np.int64)) >> min(shift, 62)
    wider = np.zeros(int(places[-1] - places[0]) + 1, np.int64)
    np.add.at(wider, places - places[0], counts)
    return wider, int(places[0])
