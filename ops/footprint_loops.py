"""Loops of mode, min, max and median. Arguments as in ``sampling_loops``; pixels are unsigned integers of the same order."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from .sampling_loops import EDGE, line_of
from .weighted_loops import all_serve, is_upright

MODE, MIN, MAX, MEDIAN = range(4)
_FEW = 24  # values that are sorted one by one
_FEW_COUNTED = 48  # values whose mode is found by sorting
_MOST_LINES = 255  # so that a count of them fits 8 bits


@njit(nogil=True, cache=True)
def span_of(x, width, size):  # type: ignore[no-untyped-def]
    """First pixel and one past the last whose centres lie within half of ``width`` of x; where none does, the one under x."""
    first = max(0, math.ceil(x - 0.5 * width - 0.5 - EDGE))
    end = min(size, math.ceil(x + 0.5 * width - 0.5 - EDGE))
    if end <= first:
        first = int(x + EDGE)
        end = first + 1
    return first, end


@njit(nogil=True, cache=True)
def sort(values, n):  # type: ignore[no-untyped-def]
    """By insertion, of many values in ever shorter steps (Shell's sort, gaps of Ciura 2001)."""
    gap = 1
    for longer in (4, 10, 23, 57, 132, 301, 701):
        gap = longer if longer < n // 2 and n > _FEW else gap
    while gap > 0:
        for k in range(gap, n):
            value, at = values[k], k
            while at >= gap and values[at - gap] > value:
                values[at] = values[at - gap]
                at -= gap
            values[at] = value
        if gap == 1:
            break
        following = 1
        for shorter in (4, 10, 23, 57, 132, 301):
            following = shorter if shorter < gap else following
        gap = following


@njit(nogil=True, cache=True)
def split(values, n, middle):  # type: ignore[no-untyped-def]
    """Order ``values`` so that none before ``middle`` is greater than the one there, none after it less (Hoare's FIND)."""
    low, high = 0, n - 1
    while low < high:
        pivot = values[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if j < middle:
            low = i
        if middle < i:
            high = j


@njit(nogil=True, cache=True)
def median_of(values, n):  # type: ignore[no-untyped-def]
    """The two middle values, in order; the same one twice of an odd number."""
    middle = n // 2
    if n <= _FEW:
        sort(values, n)
        return values[middle - 1 + n % 2], values[middle]
    split(values, n, middle)
    below = values[middle]
    if n % 2 == 0:
        below = values[0]
        for k in range(1, middle):
            below = max(below, values[k])
    return below, values[middle]


@njit(nogil=True, cache=True)
def mode_of(values, n, counts):  # type: ignore[no-untyped-def]
    """The most frequent value, of several the smallest. ``counts`` has a 0 for each value there can be, or is empty."""
    if n > _FEW and counts.size > 0:
        best, most = values[0], 0
        for k in range(n):
            counts[values[k]] += 1
        for k in range(n):
            count = counts[values[k]]
            if count > most or (count == most and values[k] < best):
                best, most = values[k], count
        for k in range(n):
            counts[values[k]] = 0
        return best
    sort(values, n)
    best, most, run = values[0], 1, 1
    for k in range(1, n):
        run = run + 1 if values[k] == values[k - 1] else 1
        if run > most:
            best, most = values[k], run
    return best


@njit(nogil=True, cache=True)
def picked(values, n, how, counts):  # type: ignore[no-untyped-def]
    """The two values between which the answer lies; the same one twice but for a median."""
    if how == MEDIAN:
        return median_of(values, n)
    best = values[0]
    if how == MODE:
        best = mode_of(values, n, counts)
    elif how == MIN:
        for k in range(1, n):
            best = min(best, values[k])
    else:
        for k in range(1, n):
            best = max(best, values[k])
    return best, best


@njit(nogil=True, cache=True)
def footprint(src, mask, where, windows, maps, out, upper, done, widths, how, counts):  # type: ignore[no-untyped-def]
    """``out`` is filled with the picked values; of a median with the lower, and ``upper`` with the upper middle value."""
    top, left, height, width, row_out, col_out = where
    masks = mask.shape[0]
    most_x, most_y = min(int(widths[:, 0].max()) + 2, src.shape[2]), min(int(widths[:, 1].max()) + 2, src.shape[1])
    values = np.empty(max(1, most_x * most_y), src.dtype)
    for p in range(windows.shape[0]):
        wx, wy = widths[p, 0], widths[p, 1]
        clear = all_serve(mask, where, windows[p], maps[p], max(0.5 * wx, 0.5) + 2 * EDGE, max(0.5 * wy, 0.5) + 2 * EDGE)
        if clear:
            done[:, windows[p, 0] - row_out : windows[p, 1] - row_out, windows[p, 2] - col_out : windows[p, 3] - col_out] = True
            if is_upright(maps[p]):
                footprint_upright(src, where, windows[p], maps[p], out, upper, wx, wy, how, counts, values)
                continue
        for i in range(windows[p, 0], windows[p, 1]):
            v = i + 0.5 - maps[p, 0]
            xr, xs, xq, yr, ys, yq = line_of(maps[p], v)
            for j in range(windows[p, 2], windows[p, 3]):
                u = j + 0.5 - maps[p, 1]
                x, y = xr + (xs + xq * u) * u, yr + (ys + yq * u) * u
                if not (0 <= x + EDGE < width and 0 <= y + EDGE < height):
                    continue
                c0, c1 = span_of(x, wx, width)
                r0, r1 = span_of(y, wy, height)
                for b in range(src.shape[0]):
                    n = 0
                    for r in range(r0 - top, r1 - top):
                        for c in range(c0 - left, c1 - left):
                            if clear or masks == 0 or mask[b if masks > 1 else 0, r, c]:
                                values[n] = src[b, r, c]
                                n += 1
                    if n == 0 or 2 * n < (r1 - r0) * (c1 - c0):
                        continue
                    if masks > 1 or b == 0:
                        done[b, i - row_out, j - col_out] = True
                    low, high = picked(values, n, how, counts)
                    out[b, i - row_out, j - col_out] = low
                    if how == MEDIAN:
                        upper[b, i - row_out, j - col_out] = high


@njit(nogil=True, cache=True)
def footprint_upright(src, where, window, m, out, upper, wx, wy, how, counts, values):  # type: ignore[no-untyped-def]
    """One window whose x depends on the column alone, y on the row alone, all taps valid."""
    top, left, height, width, row_out, col_out = where
    rows, cols = window[1] - window[0], window[3] - window[2]
    i0, j0 = window[0] - row_out, window[2] - col_out
    first, end = np.empty(cols, np.int64), np.empty(cols, np.int64)
    xr, xs, xq, _, _, _ = line_of(m, 0.5)
    pairs = alike = True
    for n in range(cols):
        u = n + window[2] + 0.5 - m[1]
        c0, c1 = span_of(xr + (xs + xq * u) * u, wx, width)
        first[n], end[n] = c0 - left, c1 - left
        pairs = pairs and c1 - c0 == 2 and first[n] == first[0] + 2 * n
        alike = alike and c1 - c0 == end[0] - first[0]
    base, across = first.min(), end[0] - first[0]
    line = np.empty(end.max() - base, src.dtype)
    # Counting is faster than sorting from here on.
    limit = _FEW_COUNTED if how == MODE and counts.size > 0 else _MOST_LINES
    most = min(across * (math.ceil(wy) + 1), limit) if alike and how in (MODE, MEDIAN) else 0
    lines = np.empty((most, cols), src.dtype)
    for k in range(rows):
        _, _, _, y, _, _ = line_of(m, k + window[0] + 0.5 - m[0])
        r0, r1 = span_of(y, wy, height)
        r0, r1 = r0 - top, r1 - top
        for b in range(src.shape[0]):
            result = out[b, i0 + k, j0 : j0 + cols]
            if how in (MIN, MAX):
                extreme_line(src[b, r0:r1], base, first, end, pairs, how == MAX, line, result)
            elif alike and (r1 - r0) * across <= limit:
                count = (r1 - r0) * across
                for r in range(r0, r1):
                    for q in range(across):
                        for n in range(cols):
                            lines[(r - r0) * across + q, n] = src[b, r, first[n] + q]
                sort_lines(lines, count)
                if how == MODE:
                    mode_of_lines(lines, count, result)
                else:
                    for n in range(cols):
                        result[n] = lines[(count - 1) // 2, n]
                        upper[b, i0 + k, j0 + n] = lines[count // 2, n]
            else:
                for n in range(cols):
                    size = 0
                    for r in range(r0, r1):
                        for c in range(first[n], end[n]):
                            values[size] = src[b, r, c]
                            size += 1
                    low, high = picked(values, size, how, counts)
                    result[n] = low
                    if how == MEDIAN:
                        upper[b, i0 + k, j0 + n] = high


@njit(nogil=True, cache=True)
def extreme_line(src, base, first, end, pairs, greatest, line, result):  # type: ignore[no-untyped-def]
    """Min or max of the columns of ``src``, then of those of each pixel."""
    for c in range(line.size):
        line[c] = src[0, base + c]
    for r in range(1, src.shape[0]):
        if greatest:
            for c in range(line.size):
                line[c] = max(line[c], src[r, base + c])
        else:
            for c in range(line.size):
                line[c] = min(line[c], src[r, base + c])
    if pairs and greatest:
        for n in range(result.size):
            result[n] = max(line[2 * n], line[2 * n + 1])
    elif pairs:
        for n in range(result.size):
            result[n] = min(line[2 * n], line[2 * n + 1])
    else:
        for n in range(result.size):
            best = line[first[n] - base]
            for c in range(first[n] + 1 - base, end[n] - base):
                best = max(best, line[c]) if greatest else min(best, line[c])
            result[n] = best


@njit(nogil=True, cache=True)
def sort_lines(lines, count):  # type: ignore[no-untyped-def]
    """Sort the first ``count`` lines, each column for itself: a network, so that all columns do the same (Batcher 1968)."""
    merged = 1
    while merged < count:
        apart = merged
        while apart > 0:
            for start in range(apart % merged, count - apart, 2 * apart):
                for one in range(start, min(start + apart, count - apart)):
                    if one // (2 * merged) == (one + apart) // (2 * merged):
                        low, high = lines[one], lines[one + apart]
                        for n in range(low.size):
                            a, b = low[n], high[n]
                            low[n], high[n] = min(a, b), max(a, b)
            apart //= 2
        merged *= 2


@njit(nogil=True, cache=True)
def mode_of_lines(lines, count, result):  # type: ignore[no-untyped-def]
    """The most frequent value, else the smallest, of each column of sorted ``lines``."""
    one = result.dtype.type(1)
    run, most = np.ones(result.size, result.dtype), np.ones(result.size, result.dtype)
    for n in range(result.size):
        result[n] = lines[0, n]
    for k in range(1, count):
        before, now = lines[k - 1], lines[k]
        for n in range(result.size):
            run[n] = run[n] + one if now[n] == before[n] else one
            result[n] = now[n] if run[n] > most[n] else result[n]
            most[n] = max(run[n], most[n])


@njit(nogil=True, cache=True)
def ordered(bits, sign, infinity, greatest):  # type: ignore[no-untyped-def]
    """Bits of floats to integers in the order of the floats: NaN becomes ``greatest``, all bits set, and -0.0 is 0.0."""
    for k in range(bits.size):
        value = bits[k]
        size = value & (greatest ^ sign)
        # Of negative numbers all bits are turned, of the others the sign: then they count upwards with their values.
        turned = value ^ greatest if value > sign else value | sign
        bits[k] = greatest if size > infinity else turned
