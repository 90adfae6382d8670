"""The loops of the SIPS operations, compiled by numba on first use and kept on disk. ``sips_reduce`` says what they compute.

An output pixel (i, j) is made of 10 x 10 input pixels, from (2 i - 4, 2 j - 4) on. Beyond the image's border they are its
mirror image, and as both steps weigh the same to either side, mirroring the input mirrors what lies between the steps, bit
for bit.

Sums of the first step are in units of 1e-8, the last digit of Table 2.2: of integers they are whole numbers and exact in
float64, in whatever order they are added. Those of the second step are in units of 1/256 and exact as well. No loop adds in
an order that depends on where it begins, so floats come out alike in every block too.
"""

from __future__ import annotations

import numpy as np
from numba import njit

ROWS, COLS = 32, 256  # output pixels computed at a time; the lines between the two steps stay in the first-level caches
BEFORE, AROUND = 4, 8  # of 2 n input pixels that n output pixels lie over: how many more are before them, and in all

# Table 2.2 in units of 1e-8: outer, inner and middle row or column, one of each
_OO, _OI, _OM, _II, _IM, _MM = 694389.0, -2777640.0, -4166500.0, 11110900.0, 16666500.0, 25000000.0
_UNIT = 1e-8
_FULL = 4 * (_OO + 2 * _OI + _OM + _II + _IM) + _MM
# Half a DN, and half a unit so that ties, which are whole numbers, keep away from what _UNIT is off.
_HALF = 0.5e8 + 0.5

# The table is the square of this line within 1.2e-7; the two steps in one are 10 taps along each axis, the same to either side.
_LINE = np.array([-0.08333, 0.0, 0.33333, 0.5, 0.33333, 0.0, -0.08333])
_W0, _W1, _W2, _W3, _W4 = (float(w) for w in np.convolve(_LINE, [-0.0625, 0.5625, 0.5625, -0.0625])[:5])

_njit = njit(nogil=True, cache=True, error_model="numpy")


def mirrored(index: int, size: int) -> int:
    """The pixel of an axis of ``size`` pixels that stands at ``index``, which may lie outside: the border is not repeated."""
    if size == 1:
        return 0
    period = 2 * (size - 1)
    index = index % period
    return index if index < size else period - index


_mirrored = _njit(mirrored)


@_njit
def antialias_line(flat, at, stride, outer, inner, middle, sums):  # type: ignore[no-untyped-def]
    """One line of the first step, unrounded, in units of 1e-8, from the 7 lines of ``flat`` that begin with ``at``."""
    n = sums.size
    wide = n + 6
    top, bottom = flat[at : at + wide], flat[at + 6 * stride : at + 6 * stride + wide]
    above, below = flat[at + 2 * stride : at + 2 * stride + wide], flat[at + 4 * stride : at + 4 * stride + wide]
    centre = flat[at + 3 * stride : at + 3 * stride + wide]
    for k in range(wide):
        o = np.float64(top[k]) + np.float64(bottom[k])
        i = np.float64(above[k]) + np.float64(below[k])
        m = np.float64(centre[k])
        outer[k] = _OO * o + _OI * i + _OM * m
        inner[k] = _OI * o + _II * i + _IM * m
        middle[k] = _OM * o + _IM * i + _MM * m
    for k in range(n):
        sums[k] = (outer[k] + outer[k + 6]) + (inner[k + 2] + inner[k + 4]) + middle[k + 3]


@_njit
def rounded_line(sums, low, high, line):  # type: ignore[no-untyped-def]
    """Sums in units of 1e-8 rounded half up and clipped; NaN stays."""
    for k in range(sums.size):
        value = np.floor((sums[k] + _HALF) * _UNIT)
        value = low if value < low else value
        line[k] = high if value > high else value


@_njit
def lagrange_down(ring, first, line):  # type: ignore[no-untyped-def]
    """Four lines of the first step, the upper in ``ring[first & 3]``, weighed by -1, 9, 9, -1."""
    a, b, c, d = ring[first & 3], ring[(first + 1) & 3], ring[(first + 2) & 3], ring[(first + 3) & 3]
    for k in range(line.size):
        line[k] = 9.0 * (b[k] + c[k]) - (a[k] + d[k])


@_njit
def lagrange_across(line, sums):  # type: ignore[no-untyped-def]
    """Every second four pixels of a line weighed likewise."""
    for k in range(sums.size):
        sums[k] = 9.0 * (line[2 * k + 1] + line[2 * k + 2]) - (line[2 * k] + line[2 * k + 3])


@_njit
def put(values, whole, out):  # type: ignore[no-untyped-def]
    """``values`` into a line of the result, by way of integers if they are ``whole`` numbers, which is faster."""
    if whole:
        for k in range(values.size):
            out[k] = np.int32(values[k])
    else:
        for k in range(values.size):
            out[k] = values[k]


@_njit
def round_halved(flat, at, stride, rows, low, high, whole, out):  # type: ignore[no-untyped-def]
    """``rows`` lines of ``out`` whose taps are all valid, both steps rounded; the first of them is ``flat[at]``."""
    cols = out.shape[1]
    n = 2 * cols + 2
    outer, inner, middle = np.empty(n + 6), np.empty(n + 6), np.empty(n + 6)
    sums, ring, line, values = np.empty(n), np.empty((4, n)), np.empty(n), np.empty(cols)
    for q in range(2 * rows + 2):
        antialias_line(flat, at + q * stride, stride, outer, inner, middle, sums)
        rounded_line(sums, low, high, ring[q & 3])
        if q >= 3 and q % 2 == 1:
            lagrange_down(ring, q - 3, line)
            lagrange_across(line, values)
            for k in range(cols):
                value = np.floor(values[k] * 0.00390625 + 0.5)
                value = low if value < low else value
                values[k] = high if value > high else value
            put(values, whole, out[(q - 3) // 2])


@_njit
def composed_line(flat, at, stride, line, even, odd, values):  # type: ignore[no-untyped-def]
    """One line of both steps in one, from the 10 lines of ``flat`` that begin with ``at``."""
    wide = line.size
    a, j = flat[at : at + wide], flat[at + 9 * stride : at + 9 * stride + wide]
    b, i = flat[at + stride : at + stride + wide], flat[at + 8 * stride : at + 8 * stride + wide]
    c, h = flat[at + 2 * stride : at + 2 * stride + wide], flat[at + 7 * stride : at + 7 * stride + wide]
    d, g = flat[at + 3 * stride : at + 3 * stride + wide], flat[at + 6 * stride : at + 6 * stride + wide]
    e, f = flat[at + 4 * stride : at + 4 * stride + wide], flat[at + 5 * stride : at + 5 * stride + wide]
    for k in range(wide):
        total = _W0 * (np.float64(a[k]) + np.float64(j[k])) + _W1 * (np.float64(b[k]) + np.float64(i[k]))
        total += _W2 * (np.float64(c[k]) + np.float64(h[k])) + _W3 * (np.float64(d[k]) + np.float64(g[k]))
        line[k] = total + _W4 * (np.float64(e[k]) + np.float64(f[k]))
    for k in range(wide // 2):
        even[k], odd[k] = line[2 * k], line[2 * k + 1]
    for k in range(values.size):
        total = _W0 * (even[k] + odd[k + 4]) + _W1 * (odd[k] + even[k + 4])
        total += _W2 * (even[k + 1] + odd[k + 3]) + _W3 * (odd[k + 1] + even[k + 3])
        values[k] = total + _W4 * (even[k + 2] + odd[k + 2])


@_njit
def halved(flat, at, stride, rows, out):  # type: ignore[no-untyped-def]
    """``rows`` lines of ``out`` whose taps are all valid, without rounding; the first of them is ``flat[at]``."""
    cols = out.shape[1]
    n = 2 * cols + 8
    line, even, odd, values = np.empty(n), np.empty(n // 2), np.empty(n // 2), np.empty(cols)
    for q in range(rows):
        composed_line(flat, at + 2 * q * stride, stride, line, even, odd, values)
        put(values, False, out[q])


@_njit
def clear_line(patch, at, stride, line, clear):  # type: ignore[no-untyped-def]
    """Whether all 10 x 10 taps of each pixel of an output line are valid, from a patch of ones and zeros."""
    for k in range(line.size):
        total = 0.0
        for q in range(10):
            total += patch[at + q * stride + k]
        line[k] = total
    for k in range(clear.size):
        total = 0.0
        for q in range(10):
            total += line[2 * k + q]
        clear[k] = total == 100.0


@_njit
def halved_checked(pixels, valid, stride, rows, limits, plain, whole, out, done):  # type: ignore[no-untyped-def]
    """``rows`` lines of ``out`` from a patch of pixels, 0 where invalid, and one of ones and zeros that says where.

    A sum over the valid taps alone is the sum with zeros for the others; that of the ones and zeros is its weight. Where it is
    that of all taps (no other choice of taps weighs the same), the value is that of ``round_halved`` or ``halved``.
    """
    cols = out.shape[1]
    n = 2 * cols + 2
    outer, inner, middle = np.empty(n + 6), np.empty(n + 6), np.empty(n + 6)
    sums, weights, ring, ring_valid = np.empty(n), np.empty(n), np.empty((4, n)), np.empty((4, n))
    line, values, share = np.empty(n), np.empty(cols), np.empty(cols)
    long, even, odd, composed = np.empty(n + 6), np.empty(cols + 4), np.empty(cols + 4), np.empty(cols)
    clear = np.empty(cols, np.bool_)
    for q in range(2 * rows + 2):
        antialias_line(pixels, q * stride, stride, outer, inner, middle, sums)
        antialias_line(valid, q * stride, stride, outer, inner, middle, weights)
        first_step(sums, weights, limits, ring[q & 3], ring_valid[q & 3])
        if q < 3 or q % 2 == 0:
            continue
        i = (q - 3) // 2
        lagrange_down(ring, q - 3, line)
        lagrange_across(line, values)
        lagrange_down(ring_valid, q - 3, line)
        lagrange_across(line, share)
        for k in range(cols):
            done[i, k] = share[k] >= 128.0
            value = values[k] * 0.00390625 if share[k] == 256.0 else values[k] / share[k]
            if limits is not None:
                value = np.floor(value + 0.5)
                value = limits[0] if value < limits[0] else value
                value = limits[1] if value > limits[1] else value
            values[k] = value if done[i, k] else 0.0
        if plain is not None:
            clear_line(valid, 2 * i * stride, stride, long, clear)
            composed_line(pixels, 2 * i * stride, stride, long, even, odd, composed)
            for k in range(cols):
                values[k] = composed[k] if clear[k] else values[k]
        put(values, whole, out[i])


@_njit
def first_step(sums, weights, limits, line, valid):  # type: ignore[no-untyped-def]
    """Sums over the valid taps and their weights, to values and ones; zeros where less than half of the weight is left."""
    for k in range(sums.size):
        enough = weights[k] >= 0.5 * _FULL
        if limits is None:
            value = sums[k] * _UNIT if weights[k] == _FULL else sums[k] / weights[k]
        else:
            value = np.floor((sums[k] + _HALF) * _UNIT if weights[k] == _FULL else sums[k] / weights[k] + 0.5)
            value = limits[0] if value < limits[0] else value
            value = limits[1] if value > limits[1] else value
        line[k] = value if enough else 0.0
        valid[k] = 1.0 if enough else 0.0


@_njit
def all_true(mask, at, stride, rows, cols):  # type: ignore[no-untyped-def]
    for r in range(rows):
        line = mask[at + r * stride : at + r * stride + cols]
        count = 0
        for k in range(cols):
            count += line[k]
        if count < cols:
            return False
    return True


@_njit
def gathered(flat, strides, mask, mask_strides, band, rows, cols, pixels, valid):  # type: ignore[no-untyped-def]
    """Copy the pixels of ``rows`` and ``cols``, 0 where invalid, and ones and zeros that say where; whether all are valid."""
    width, masks = cols.size, mask_strides[0] >= 0
    clear = True
    for r in range(rows.size):
        source = band * strides[0] + rows[r] * strides[1]
        for k in range(width):
            pixels[r * width + k] = flat[source + cols[k]]
        if masks:
            source = band * mask_strides[0] + rows[r] * mask_strides[1]
            for k in range(width):
                if mask[source + cols[k]]:
                    valid[r * width + k] = 1.0
                else:
                    pixels[r * width + k] = 0.0
                    valid[r * width + k] = 0.0
                    clear = False
    return clear


@_njit
def reduce(flat, strides, mask, mask_strides, where, limits, plain, whole, out, done):  # type: ignore[no-untyped-def]
    """Fill ``out`` (bands, rows, cols), and ``done`` (1 or bands, rows, cols) where there is a mask.

    Parameters
    ----------
    flat, mask : 1-D
        Of a block of which pixel (b, r, c) is ``flat[b * strides[0] + r * strides[1] + c]``. A band stride of -1 stands for no
        mask, one of 0 for a mask that all bands share.
    where : (the block's first row and col, the image's height and width, the output's first row and col)
    limits : (least, greatest) or None
        Both steps are rounded half up and clipped to these; None: neither.
    plain : True or None
        True where ``limits`` is None, and the other way round: the compiler leaves out what an argument of None rules out.
    whole : bool
        What is rounded fits int32.
    """
    top, left, height, width, row_out, col_out = where
    bands, all_rows, all_cols = out.shape
    masked = mask_strides[0] >= 0
    size = (2 * ROWS + AROUND) * (2 * min(COLS, all_cols) + AROUND)
    pixels, valid = np.empty(size), np.empty(size)
    for b in range(bands):
        for i in range(0, all_rows, ROWS):
            rows = min(ROWS, all_rows - i)
            v, tall = 2 * (row_out + i) - BEFORE, 2 * rows + AROUND
            for j in range(0, all_cols, COLS):
                cols = min(COLS, all_cols - j)
                u, wide = 2 * (col_out + j) - BEFORE, 2 * cols + AROUND
                target = out[b, i : i + rows, j : j + cols]
                direct = v >= 0 and u >= 0 and v + tall <= height and u + wide <= width
                if direct and masked:
                    at = b * mask_strides[0] + (v - top) * mask_strides[1] + (u - left)
                    direct = all_true(mask, at, mask_strides[1], tall, wide)
                if direct:
                    at = b * strides[0] + (v - top) * strides[1] + (u - left)
                    if plain is not None:
                        halved(flat, at, strides[1], rows, target)
                    if limits is not None:
                        round_halved(flat, at, strides[1], rows, limits[0], limits[1], whole, target)
                else:
                    row_of, col_of = np.empty(tall, np.int64), np.empty(wide, np.int64)
                    for k in range(tall):
                        row_of[k] = _mirrored(v + k, height) - top
                    for k in range(wide):
                        col_of[k] = _mirrored(u + k, width) - left
                    if not gathered(flat, strides, mask, mask_strides, b, row_of, col_of, pixels, valid):
                        settled = done[b if done.shape[0] > 1 else 0, i : i + rows, j : j + cols]
                        halved_checked(pixels, valid, wide, rows, limits, plain, whole, target, settled)
                        continue
                    if plain is not None:
                        halved(pixels, 0, wide, rows, target)
                    if limits is not None:
                        round_halved(pixels, 0, wide, rows, limits[0], limits[1], whole, target)
                if masked:
                    done[b if done.shape[0] > 1 else 0, i : i + rows, j : j + cols] = True


@_njit
def correlated(padded, kernel, rounds, low, high, whole, out):  # type: ignore[no-untyped-def]
    """Fill ``out`` (bands, rows, cols) with the sums of ``kernel`` over ``padded``, which is larger by its size less one."""
    bands, rows, cols = out.shape
    values = np.empty(cols)
    for b in range(bands):
        for i in range(rows):
            values[:] = 0.0
            for m in range(kernel.shape[0]):
                line = padded[b, i + m]
                for n in range(kernel.shape[1]):
                    weight = kernel[m, n]
                    if weight == 0.0:  # which leaves out infinities that nothing weighs
                        continue
                    shifted = line[n : n + cols]
                    for k in range(cols):
                        values[k] += weight * shifted[k]
            if rounds:
                for k in range(cols):
                    value = np.floor(values[k] + 0.5)
                    value = low if value < low else value
                    values[k] = high if value > high else value
            put(values, whole, out[b, i])
