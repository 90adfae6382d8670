"""The loops of ``halve``, compiled by numba on first use and kept on disk. ``halve`` says what they compute.

Arguments they share: ``src`` and ``mask``, arrays (bands, rows, cols) laid out flat, with ``steps`` and ``mask_steps``, how
many elements lie between two bands and between two rows; ``shape``, the (rows, cols) of both; ``fill`` for invalid pixels;
``out`` (bands, rows, cols) and ``done`` (0, 1 or bands, rows, cols) to fill. A ``done`` of 0 bands means that all is valid.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import overload

AVERAGE, MIN, MAX, MEDIAN, MODE = range(5)


def mean_of_two(a: Any, b: Any) -> Any:
    """(a + b) / 2 in the type of both, for compiled code; integers are rounded half up, floats summed in float64."""
    raise NotImplementedError


def mean_of_three(a: Any, b: Any, c: Any) -> Any:
    """(a + b + c) / 3, likewise."""
    raise NotImplementedError


def mean_of_four(a: Any, b: Any, c: Any, d: Any) -> Any:
    """(a + b + c + d) / 4, likewise."""
    raise NotImplementedError


# The sum of 64-bit integers may need 66 bits, so there quotients and remainders are added apart.


@overload(mean_of_two)
def _mean_of_two(a, b):  # type: ignore[no-untyped-def]
    kind = a
    if isinstance(kind, types.Float):
        return lambda a, b: kind((np.float64(a) + np.float64(b)) * 0.5)
    if kind.bitwidth == 64:
        return lambda a, b: (a >> kind(1)) + (b >> kind(1)) + (((a & kind(1)) + (b & kind(1)) + kind(1)) >> kind(1))
    return lambda a, b: kind((np.int64(a) + np.int64(b) + 1) >> 1)


@overload(mean_of_three)
def _mean_of_three(a, b, c):  # type: ignore[no-untyped-def]
    kind = a
    if isinstance(kind, types.Float):
        return lambda a, b, c: kind(((np.float64(a) + np.float64(b)) + np.float64(c)) / 3.0)
    if kind.bitwidth == 64:

        def wide(a, b, c):  # type: ignore[no-untyped-def]
            third = a // kind(3) + b // kind(3) + c // kind(3)
            left = a % kind(3) + b % kind(3) + c % kind(3)
            return third + (kind(2) * left + kind(3)) // kind(6)

        return wide
    # Exact below 2**50, and unlike a division of integers it can be done for many at once.
    return lambda a, b, c: kind(math.floor((2 * (np.int64(a) + np.int64(b) + np.int64(c)) + 3) / 6.0))


@overload(mean_of_four)
def _mean_of_four(a, b, c, d):  # type: ignore[no-untyped-def]
    kind = a
    if isinstance(kind, types.Float):
        return lambda a, b, c, d: kind(((np.float64(a) + np.float64(b)) + (np.float64(c) + np.float64(d))) * 0.25)
    if kind.bitwidth == 64:

        def wide(a, b, c, d):  # type: ignore[no-untyped-def]
            two, three = kind(2), kind(3)
            left = (a & three) + (b & three) + (c & three) + (d & three)
            return (a >> two) + (b >> two) + (c >> two) + (d >> two) + ((left + two) >> two)

        return wide
    return lambda a, b, c, d: kind((np.int64(a) + np.int64(b) + np.int64(c) + np.int64(d) + 2) >> 2)


@njit(nogil=True, cache=True)
def of_four(how, a, b, c, d):  # type: ignore[no-untyped-def]
    """The method ``how`` of four valid pixels."""
    if how == AVERAGE:
        return mean_of_four(a, b, c, d)
    low, high = min(min(a, b), min(c, d)), max(max(a, b), max(c, d))
    if how == MIN:
        return low
    if how == MAX:
        return high
    x, y = max(min(a, b), min(c, d)), min(max(a, b), max(c, d))
    if how == MEDIAN:
        return mean_of_two(x, y)
    x, y = min(x, y), max(x, y)
    if low == x:  # nothing else can be there more often
        return low
    if x == y:
        return x
    return y if y == high else low


@njit(nogil=True, cache=True)
def of_three(how, a, b, c):  # type: ignore[no-untyped-def]
    """The method ``how`` of three valid pixels."""
    if how == AVERAGE:
        return mean_of_three(a, b, c)
    low, high = min(min(a, b), c), max(max(a, b), c)
    if how == MIN:
        return low
    if how == MAX:
        return high
    middle = max(min(a, b), min(max(a, b), c))
    if how == MEDIAN:
        return middle
    return middle if middle == high else low


@njit(nogil=True, cache=True)
def of_valid(how, top, bottom, above, under, p, q, fill):  # type: ignore[no-untyped-def]
    """The method ``how`` of those of the pixels in columns ``p`` and ``q`` that are valid, or ``fill`` for fewer than two."""
    a, b, c, d = top[p], top[q], bottom[p], bottom[q]
    in_a, in_b, in_c, in_d = above[p], above[q], under[p], under[q]
    count = int(in_a) + int(in_b) + int(in_c) + int(in_d)
    # Two count like each of them twice. All is computed for all pixels: without branches the compiler does many at once.
    first, last = a if in_a else (b if in_b else c), d if in_d else (c if in_c else b)
    even = of_four(how, first, b if count == 4 else first, c if count == 4 else last, last)
    odd = of_three(how, a if in_a else d, b if in_b else d, c if in_c else d)
    value = odd if count == 3 else even
    return value if count >= 2 else fill


@njit(nogil=True, cache=True)
def row_of_four(how, top, bottom, line):  # type: ignore[no-untyped-def]
    """Pairs of columns of two rows. A last column without a partner is taken twice, which changes none of the methods."""
    pairs = top.size // 2
    for j in range(pairs):
        line[j] = of_four(how, top[2 * j], top[2 * j + 1], bottom[2 * j], bottom[2 * j + 1])
    if top.size % 2:
        line[pairs] = of_four(how, top[2 * pairs], top[2 * pairs], bottom[2 * pairs], bottom[2 * pairs])


@njit(nogil=True, cache=True)
def two_by_two(how, src, steps, shape, out):  # type: ignore[no-untyped-def]
    """Output pixel (i, j) of rows 2i, 2i + 1 and columns 2j, 2j + 1, all valid. A last row without a partner is taken twice."""
    rows, cols = shape
    for b in range(out.shape[0]):
        for i in range(out.shape[1]):
            at, below = b * steps[0] + 2 * i * steps[1], b * steps[0] + min(2 * i + 1, rows - 1) * steps[1]
            row_of_four(how, src[at : at + cols], src[below : below + cols], out[b, i])


@njit(nogil=True, cache=True)
def two_by_two_valid(how, src, steps, shape, mask, mask_steps, fill, out, done):  # type: ignore[no-untyped-def]
    """The same of the valid ones. What is taken twice for want of a partner does not change the valid share either."""
    rows, cols = shape
    pairs = cols // 2
    for b in range(out.shape[0]):
        m = b if done.shape[0] > 1 else 0
        for i in range(out.shape[1]):
            lower = min(2 * i + 1, rows - 1)
            at, below = b * steps[0] + 2 * i * steps[1], b * steps[0] + lower * steps[1]
            top, bottom, line = src[at : at + cols], src[below : below + cols], out[b, i]
            at, below = m * mask_steps[0] + 2 * i * mask_steps[1], m * mask_steps[0] + lower * mask_steps[1]
            above, under, flags = mask[at : at + cols], mask[below : below + cols], done[m, i]
            clear = True
            for j in range(cols):
                clear &= above[j] & under[j]
            if clear:
                flags[:] = True
                row_of_four(how, top, bottom, line)
                continue
            for j in range(pairs):
                flags[j] = int(above[2 * j]) + int(above[2 * j + 1]) + int(under[2 * j]) + int(under[2 * j + 1]) >= 2
            # One loop per method: of a single large one the compiler makes no SIMD.
            if how == AVERAGE:
                for j in range(pairs):
                    line[j] = of_valid(AVERAGE, top, bottom, above, under, 2 * j, 2 * j + 1, fill)
            elif how == MIN:
                for j in range(pairs):
                    line[j] = of_valid(MIN, top, bottom, above, under, 2 * j, 2 * j + 1, fill)
            elif how == MAX:
                for j in range(pairs):
                    line[j] = of_valid(MAX, top, bottom, above, under, 2 * j, 2 * j + 1, fill)
            elif how == MEDIAN:
                for j in range(pairs):
                    line[j] = of_valid(MEDIAN, top, bottom, above, under, 2 * j, 2 * j + 1, fill)
            else:
                for j in range(pairs):
                    line[j] = of_valid(MODE, top, bottom, above, under, 2 * j, 2 * j + 1, fill)
            if cols % 2:
                p = cols - 1
                flags[pairs] = above[p] or under[p]
                line[pairs] = of_valid(how, top, bottom, above, under, p, p, fill)


@njit(nogil=True, cache=True)
def across(even, odd, weights, margin, line):  # type: ignore[no-untyped-def]
    """Weighted sums along one row, whose columns 2j stand in ``even`` and 2j + 1 in ``odd``, ``margin`` places further on."""
    count = line.size
    for p in range(0, weights.size, 2):
        inner, outer, o = weights[p], weights[p + 1], p // 2
        a, b = even[margin - o : margin - o + count], odd[margin + o : margin + o + count]
        c, d = odd[margin - o - 1 : margin - o - 1 + count], even[margin + o + 1 : margin + o + 1 + count]
        if p == 0:
            for j in range(count):
                line[j] = inner * (a[j] + b[j]) + outer * (c[j] + d[j])
        else:
            for j in range(count):
                line[j] += inner * (a[j] + b[j]) + outer * (c[j] + d[j])


@njit(nogil=True, cache=True)
def down(lines, first, rows, weights, line):  # type: ignore[no-untyped-def]
    """Weighted sums of rows ``first`` and following. Row r stands in ``lines[r % n]``, the last line is for rows outside."""
    n, half, count = lines.shape[0] - 1, weights.size, line.size
    for p in range(0, half, 2):
        upper, lower = first + half - 1 - p, first + half + p
        a, b = lines[upper % n if 0 <= upper < rows else n], lines[lower % n if 0 <= lower < rows else n]
        upper, lower = upper - 1, lower + 1
        c, d = lines[upper % n if 0 <= upper < rows else n], lines[lower % n if 0 <= lower < rows else n]
        inner, outer = weights[p], weights[p + 1]
        if p == 0:
            for j in range(count):
                line[j] = inner * (a[j] + b[j]) + outer * (c[j] + d[j])
        else:
            for j in range(count):
                line[j] += inner * (a[j] + b[j]) + outer * (c[j] + d[j])


@njit(nogil=True, cache=True)
def part(values, lead, margin, even, odd):  # type: ignore[no-untyped-def]
    """Every second of ``values`` to ``even``, the others to ``odd``, as float64; ``lead`` of them lie left of place 0."""
    skipped = lead % 2
    at = margin - lead // 2
    if skipped:
        odd[at - 1] = values[0]
    pairs = (values.size - skipped) // 2
    left, right = even[at : at + pairs], odd[at : at + pairs]
    for j in range(pairs):
        left[j], right[j] = values[skipped + 2 * j], values[skipped + 2 * j + 1]
    if (values.size - skipped) % 2:
        even[at + pairs] = values[values.size - 1]


@njit(nogil=True, cache=True, error_model="numpy")
def divided(values, parts, limits, line):  # type: ignore[no-untyped-def]
    """``values / parts`` to ``line``, rounded half up within ``limits`` if they differ."""
    kind = line.dtype.type
    if limits[0] != limits[1]:
        for j in range(line.size):
            line[j] = kind(min(max(math.floor(values[j] / parts[j] + 0.5), limits[0]), limits[1]))
    else:
        for j in range(line.size):
            line[j] = kind(values[j] / parts[j])


@njit(nogil=True, cache=True)
def separable(src, steps, shape, mask, mask_steps, lead, weights, sums, limits, fill, out, done):  # type: ignore[no-untyped-def]
    """Output pixel (i, j) of the taps around row 2i + 0.5 and column 2j + 0.5, counted from ``lead`` = (row, col).

    ``weights`` are those of one side, from the centre out, an even number. ``sums`` are, per output row and then column,
    what the weights inside the image add up to. ``limits`` are the least and the greatest integer, alike for floats.
    Sums of weights are exact, so that a pixel whose taps are all valid is the same number with and without a mask.
    """
    rows, cols = shape
    top, left = lead
    half, height, width = weights.size, out.shape[1], out.shape[2]
    row_sums, col_sums = sums[:height], sums[height:]
    n, masked = 2 * half, done.shape[0] > 0
    even, odd = np.zeros(width + n + 1), np.zeros(width + n + 1)
    lines, shares = np.zeros((n + 1, width)), np.zeros((n + 1, width))
    values, parts, chosen = np.empty(width), np.empty(width), np.empty(cols)
    for b in range(out.shape[0]):
        m = b if done.shape[0] > 1 else 0
        loaded = 0
        for i in range(height):
            first = 2 * i + top - half + 1
            while loaded < min(first + n, rows):
                at, k, clear = b * steps[0] + loaded * steps[1], loaded % n, True
                row = src[at : at + cols]
                if masked:
                    at = m * mask_steps[0] + loaded * mask_steps[1]
                    flags = mask[at : at + cols]
                    for c in range(cols):
                        clear &= flags[c]
                    if clear:
                        shares[k] = col_sums
                    else:
                        part(flags, left, half, even, odd)
                        across(even, odd, weights, half, shares[k])
                        for c in range(cols):
                            chosen[c] = row[c] if flags[c] else 0.0
                        part(chosen, left, half, even, odd)
                if clear:
                    part(row, left, half, even, odd)
                across(even, odd, weights, half, lines[k])
                loaded += 1
            down(lines, first, rows, weights, values)
            if not masked:
                for j in range(width):
                    parts[j] = row_sums[i] * col_sums[j]
                divided(values, parts, limits, out[b, i])
                continue
            down(shares, first, rows, weights, parts)
            flags = done[m, i]
            for j in range(width):
                flags[j] = parts[j] > 0.0 and 2.0 * parts[j] >= row_sums[i] * col_sums[j]
                parts[j] = parts[j] if flags[j] else 1.0
            divided(values, parts, limits, out[b, i])
            for j in range(width):
                if not flags[j]:
                    out[b, i, j] = fill
