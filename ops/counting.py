"""The loops over pixels that statistics and stretches share: moments, counts per bin, look-up and linear mapping.

Each takes one band as a (rows, cols) array, strided or not, and ``valid`` as a bool array of the same shape or None.
Strict floating point and one order of summation per block: the result depends on nothing but the pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from ..graph.block import Block

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def plain(data: np.ndarray) -> np.ndarray:
    """The same numbers in a type that the loops take: bool as uint8, half floats as float32, long doubles as float64."""
    if data.dtype == bool:
        return data.view(np.uint8)
    if data.dtype.kind == "f" and data.dtype.itemsize not in (4, 8):
        return data.astype(np.float32 if data.dtype.itemsize == 2 else np.float64)
    return data


def band_of(block: Block, band: int) -> tuple[np.ndarray, np.ndarray | None]:
    """One band of a block and its validity."""
    if block.valid is None:
        return plain(block.data[band]), None
    return plain(block.data[band]), block.valid[band if block.valid.shape[0] > 1 else 0]


@njit(nogil=True, cache=True)
def narrow_sums(data: Any, valid: Any) -> Any:  # pragma: no cover
    """(count, min, max, sum, sum of squares) of integers of at most 16 bits, exact below 2**31 pixels."""
    count, total, squares = np.int64(0), np.int64(0), np.int64(0)
    lo, hi = np.int64(65536), np.int64(-65536)
    for r in range(data.shape[0]):
        for c in range(data.shape[1]):
            v = np.int64(data[r, c])
            if valid is None:
                total += v
                squares += v * v
                lo = min(lo, v)
                hi = max(hi, v)
            elif valid[r, c]:
                count += 1
                total += v
                squares += v * v
                lo = min(lo, v)
                hi = max(hi, v)
    if valid is None:
        count = np.int64(data.size)
    return count, lo, hi, total, squares


@njit(nogil=True, cache=True)
def wide_sums(data: Any, valid: Any, parts: Any) -> Any:  # pragma: no cover
    """(count, min, max) of 32- and 64-bit integers; ``parts`` receives their sums in halves that cannot overflow.

    ``parts`` (8,) uint64: of the values' low 32 bits, of the high bits (two's complement), then low and high halves of
    the sums of b * b, a * b and a * a, where |v| = a * 2**32 + b.
    """
    count = np.int64(0)
    lo = hi = data.dtype.type(0)
    for r in range(data.shape[0]):
        for c in range(data.shape[1]):
            if valid is not None and not valid[r, c]:
                continue
            v = data[r, c]
            if count == 0:
                lo = hi = v
            lo = min(lo, v)
            hi = max(hi, v)
            count += 1
            bits = np.uint64(v)
            size = np.uint64(0) - bits if v < 0 else bits
            b, a = size & _LOW, size >> _HALF
            parts[0] += bits & _LOW
            parts[1] += np.uint64(v >> 31 >> 1)
            parts[2] += (b * b) & _LOW
            parts[3] += (b * b) >> _HALF
            parts[4] += (a * b) & _LOW
            parts[5] += (a * b) >> _HALF
            parts[6] += (a * a) & _LOW
            parts[7] += (a * a) >> _HALF
    return count, lo, hi


@njit(nogil=True, cache=True)
def float_moments(data: Any, valid: Any) -> Any:  # pragma: no cover
    """(count, min, max, mean, sum of squared deviations) of the finite values.

    Each row sums its differences from the mean of the rows above it; rows are joined by Chan's formula.
    """
    count, mean, m2 = 0, 0.0, 0.0
    lo, hi = np.inf, -np.inf
    for r in range(data.shape[0]):
        n, s1, s2 = 0, 0.0, 0.0
        for c in range(data.shape[1]):
            v = np.float64(data[r, c])
            if np.isfinite(v) and (valid is None or valid[r, c]):
                if count == 0 and n == 0:
                    mean = v
                n += 1
                d = v - mean
                s1 += d
                s2 += d * d
                lo = min(lo, v)
                hi = max(hi, v)
        if n:
            delta = s1 / n
            m2 += max(s2 - delta * s1, 0.0) + delta * delta * (count * (n / (count + n)))
            count += n
            mean += delta * (n / count)
    return count, lo, hi, mean, m2


@njit(nogil=True, cache=True)
def count_values(data: Any, valid: Any, first: int, bins: int) -> Any:  # pragma: no cover
    """Counts per value of integers of at most 16 bits, (bins,) uint32, bin 0 holding ``first``.

    One table: a second one, to be filled in turns, costs more than what it spares runs of one value.
    """
    table = np.zeros(bins, np.uint32)
    for r in range(data.shape[0]):
        for c in range(data.shape[1]):
            place = np.uintp(np.int64(data[r, c]) - first)
            if valid is None:
                table[place] += np.uint32(1)
            else:
                table[place] += np.uint32(valid[r, c])
    return table


@njit(nogil=True, cache=True)
def count_linear(data: Any, valid: Any, lo: float, hi: float, counts: Any) -> None:  # pragma: no cover
    """Add the values in [lo, hi] to ``counts`` (bins,), bin floor((v - lo) / (hi - lo) * bins), ``hi`` in the last one.

    Where the width is zero or beyond the largest float, everything goes into the last bin.
    """
    bins = counts.size
    width = hi - lo
    divisor, top = (width, float(bins)) if 0.0 < width < np.inf else (1.0, 0.0)
    rows, cols = data.shape
    # Places first, counts second: together they keep the compiler from doing several places at once.
    places = np.empty(cols, np.uint32)
    table = np.zeros(bins + 1, np.int64)
    for r in range(rows):
        for c in range(cols):
            v = np.float64(data[r, c])
            place = min((v - lo) / divisor * top, float(bins - 1)) if top else float(bins - 1)
            inside = lo <= v and v <= hi
            if valid is not None:
                inside = inside and valid[r, c]
            places[c] = np.uint32(np.int32(place if inside else float(bins)))
        for c in range(cols):
            table[np.uintp(places[c])] += 1
    for k in range(bins):
        counts[k] += table[k]


@njit(nogil=True, cache=True)
def float_extremes(data: Any, valid: Any) -> Any:  # pragma: no cover
    """(whether there are any, min, max) of the finite values.

    A minimum for every column first, because one alone has to wait for itself.
    """
    rows, cols = data.shape
    none = data.dtype.type(np.inf)
    low, high = np.full(cols, none), np.full(cols, -none)
    for r in range(rows):
        for c in range(cols):
            v = data[r, c]
            counts = v - v == 0
            if valid is not None:
                counts = counts & valid[r, c]
            least, greatest = v if counts else none, v if counts else -none
            low[c] = least if least < low[c] else low[c]
            high[c] = greatest if greatest > high[c] else high[c]
    return low.min() <= high.max(), low.min(), high.max()


@njit(nogil=True, cache=True)
def int_extremes(data: Any, valid: Any, least: Any, greatest: Any) -> Any:  # pragma: no cover
    """(whether there are any, min, max) of integers, ``least`` and ``greatest`` being the ends of their type."""
    lo, hi = greatest, least
    for r in range(data.shape[0]):
        for c in range(data.shape[1]):
            v = data[r, c]
            if valid is None:
                lo, hi = min(lo, v), max(hi, v)
            else:
                lo, hi = min(lo, v if valid[r, c] else greatest), max(hi, v if valid[r, c] else least)
    return lo <= hi, lo, hi


@njit(nogil=True, cache=True)
def count_shifted(data: Any, valid: Any, scale: float, again: float, first: float, counts: Any) -> None:  # pragma: no cover
    """Add the finite values to ``counts`` (bins,), bin floor(v * scale * again) - first; all of them lie within.

    ``scale`` and ``again`` are powers of two of which one alone may be too large for a float.
    """
    bins = counts.size
    rows, cols = data.shape
    # Places first, counts second: together they keep the compiler from doing several places at once.
    places = np.empty(cols, np.uint32)
    table = np.zeros(bins + 1, np.uint32)
    for r in range(rows):
        for c in range(cols):
            v = np.float64(data[r, c])
            place = np.floor(v * scale * again)
            # A product of two powers of two is exact unless it is too small for a float; it is then rounded to zero.
            place = -1.0 if v < 0.0 and place == 0.0 else place
            inside = v - v == 0.0
            if valid is not None:
                inside = inside & valid[r, c]
            places[c] = np.uint32(np.int32(place - first if inside else float(bins)))
        for c in range(cols):
            table[np.uintp(places[c])] += np.uint32(1)
    for k in range(bins):
        counts[k] += np.int64(table[k])


@njit(nogil=True, cache=True)
def count_whole(data: Any, valid: Any, shift: Any, first: int, counts: Any) -> None:  # pragma: no cover
    """Add integers to ``counts`` (bins,), bin (v >> shift) - first; all of them lie within."""
    bins = counts.size
    rows, cols = data.shape
    places = np.empty(cols, np.uint32)
    table = np.zeros(bins + 1, np.uint32)
    for r in range(rows):
        for c in range(cols):
            place = np.int64(data[r, c] >> shift) - first
            if valid is not None:
                place = place if valid[r, c] else bins
            places[c] = np.uint32(place)
        for c in range(cols):
            table[np.uintp(places[c])] += np.uint32(1)
    for k in range(bins):
        counts[k] += np.int64(table[k])


@njit(nogil=True, cache=True)
def look_up(data: Any, valid: Any, table: Any, first: int, fill: Any, out: Any) -> None:  # pragma: no cover
    """``out`` = ``table[data - first]``, ``fill`` where not valid."""
    for r in range(data.shape[0]):
        for c in range(data.shape[1]):
            v = table[np.uintp(np.int64(data[r, c]) - first)]
            out[r, c] = v if valid is None or valid[r, c] else fill


@njit(nogil=True, cache=True)
def map_linear(
    data: Any, valid: Any, span: Any, target: Any, rounding: int, parted: bool, fill: Any, out: Any
) -> None:  # pragma: no cover
    """``out`` = ``data`` clipped to ``span`` and mapped to ``target``, both (low, high); ``fill`` where not valid.

    rounding : 0 none, 1 half up, 2 towards zero
    parted : whether a span without width sends what is below and above it to the target's ends, or all to the middle
    """
    lo, hi = span
    low, high = target
    width, spread = hi - lo, high - low
    for r in range(data.shape[0]):
        for c in range(data.shape[1]):
            if valid is not None and not valid[r, c]:
                out[r, c] = fill
                continue
            v = np.float64(data[r, c])
            if width > 0.0:
                share = (min(max(v, lo), hi) - lo) / width
                share = share if share < 1.0 else 1.0
            elif parted and v < lo:
                share = 0.0
            elif parted and v > hi:
                share = 1.0
            else:
                share = 0.5
            value = share * spread + low
            if rounding == 1:
                value = np.floor(value + 0.5)
            elif rounding == 2:
                value = np.trunc(value)
            out[r, c] = value
