"""Loops of the kernels that weigh any number of pixels. Arguments and compilation as in ``sampling_loops``."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from .sampling_loops import EDGE, is_clear, line_of, spanned

_PATCH_ROWS = 64.0  # output rows, at a scale of 1, whose source is converted at a time: it fits the second-level cache


@njit(nogil=True, cache=True)
def weight_of(t, cubic):  # type: ignore[no-untyped-def]
    """The kernel at a distance of ``t`` of its widths."""
    if not cubic:
        return max(0.0, 1.0 - t)
    if t <= 1.0:
        return (1.5 * t - 2.5) * t * t + 1.0
    if t < 2.0:
        return ((-0.5 * t + 2.5) * t - 4.0) * t + 2.0
    return 0.0


@njit(nogil=True, cache=True)
def weigh(at, width, size, cubic, weight):  # type: ignore[no-untyped-def]
    """Weights of the taps around sample index ``at`` that are in [0, size), into ``weight``: first tap, count, their sum."""
    radius, narrow = 2.0 * width if cubic else width, 1.0 / width
    first = max(0, math.ceil(at - radius))
    last = min(size - 1, math.floor(at + radius))
    total = 0.0
    for k in range(first, last + 1):
        w = weight_of(abs(k - at) * narrow, cubic)
        weight[k - first] = w
        total += w
    return first, last + 1 - first, total


@njit(nogil=True, cache=True)
def weighted(src, mask, where, windows, maps, out, done, widths, cubic, rounds, low, high, finite):  # type: ignore[no-untyped-def]
    """Any number of separable taps: cubic, and everything that is widened. ``finite``: no infinity, so 0 weighs nothing."""
    top, left, height, width, row_out, col_out = where
    masks = mask.shape[0]
    widest = int(4 * widths.max()) + 4
    wx, wy = np.empty(widest), np.empty(widest)
    radius = 2.0 if cubic else 1.0
    for p in range(windows.shape[0]):
        taps_x, taps_y = math.floor(2 * radius * widths[p, 0]) + 1, math.floor(2 * radius * widths[p, 1]) + 1
        fits = finite and taps_x <= src.shape[2] and taps_y <= src.shape[1]
        if fits and is_clear(mask, where, windows, maps, p, radius * widths[p, 0] + 1, radius * widths[p, 1] + 1):
            step = max(1, int(_PATCH_ROWS / widths[p, 1]))
            for i in range(windows[p, 0], windows[p, 1], step):
                lines = np.array([i, min(i + step, windows[p, 1]), windows[p, 2], windows[p, 3]])
                patch, corner = as_double(src, where, lines, maps[p], radius * widths[p, 0], radius * widths[p, 1])
                weighted_clear(patch, corner, where, lines, maps[p], out, widths[p], cubic, rounds, low, high)
            rows = slice(windows[p, 0] - row_out, windows[p, 1] - row_out)
            done[:, rows, windows[p, 2] - col_out : windows[p, 3] - col_out] = True
            continue
        for i in range(windows[p, 0], windows[p, 1]):
            v = i + 0.5 - maps[p, 0]
            xr, xs, xq, yr, ys, yq = line_of(maps[p], v)
            for j in range(windows[p, 2], windows[p, 3]):
                u = j + 0.5 - maps[p, 1]
                x, y = xr + (xs + xq * u) * u, yr + (ys + yq * u) * u
                if not (0 <= x + EDGE < width and 0 <= y + EDGE < height):
                    continue
                c, nx, sum_x = weigh(x - 0.5, widths[p, 0], width, cubic, wx)
                r, ny, sum_y = weigh(y - 0.5, widths[p, 1], height, cubic, wy)
                c -= left
                r -= top
                inside, total, whole = sum_x * sum_y, 0.0, True
                for b in range(src.shape[0]):
                    band_mask = b if masks > 1 else 0
                    if masks > 0 and (b == 0 or masks > 1):
                        whole, total = True, 0.0
                        for m in range(ny):
                            for n in range(nx):
                                if mask[band_mask, r + m, c + n]:
                                    total += wy[m] * wx[n]
                                else:
                                    whole = False
                    value = 0.0
                    if whole:
                        for m in range(ny):
                            line = 0.0
                            for n in range(nx):
                                line += wx[n] * src[b, r + m, c + n]
                            value += wy[m] * line
                        value *= 1.0 / inside
                    elif total < 0.5 * inside:
                        continue
                    else:
                        for m in range(ny):
                            for n in range(nx):
                                if mask[band_mask, r + m, c + n]:
                                    value += wy[m] * wx[n] * src[b, r + m, c + n]
                        value /= total
                    if masks > 1 or b == 0:
                        done[b, i - row_out, j - col_out] = True
                    if rounds:
                        value = min(max(math.floor(value + 0.5), low), high)
                    out[b, i - row_out, j - col_out] = value


@njit(nogil=True, cache=True)
def weigh_line(first, at, width, cubic, weights, total):  # type: ignore[no-untyped-def]
    """Weights of the taps ``first[n] + k`` around the sample indices ``at[n]``, and their sums, for a line of samples."""
    narrow = 1.0 / width
    total[:] = 0.0
    for k in range(weights.shape[0]):
        if cubic:
            for n in range(at.size):
                weights[k, n] = weight_of(abs((first[n] + k) - at[n]) * narrow, True)
        else:
            for n in range(at.size):
                weights[k, n] = max(0.0, 1.0 - abs((first[n] + k) - at[n]) * narrow)
        for n in range(at.size):
            total[n] += weights[k, n]


@njit(nogil=True, cache=True)
def as_double(src, where, window, m, reach_x, reach_y):  # type: ignore[no-untyped-def]
    """The pixels around a window's taps in float64, so that each is converted once, and (row, col) of their corner."""
    x_low, x_high, y_low, y_high = spanned(window, m)
    top, left = where[0], where[1]
    row0, col0 = max(0, math.floor(y_low - reach_y) - 2 - top), max(0, math.floor(x_low - reach_x) - 2 - left)
    row1 = min(src.shape[1], math.ceil(y_high + reach_y) + 2 - top)
    col1 = min(src.shape[2], math.ceil(x_high + reach_x) + 2 - left)
    patch = np.empty((src.shape[0], row1 - row0, col1 - col0))
    for b in range(src.shape[0]):
        for r in range(row0, row1):
            line, double = src[b, r], patch[b, r - row0]
            for c in range(col1 - col0):
                double[c] = line[c + col0]
    return patch, (row0 + top, col0 + left)


@njit(nogil=True, cache=True)
def weighted_clear(src, corner, where, window, m, out, widths, cubic, rounds, low, high):  # type: ignore[no-untyped-def]
    """One window whose taps, and one pixel around them, are all valid: the sums of ``weighted``, bit for bit, but faster.

    ``src`` are the pixels around them in float64, from ``corner`` on.

    Every pixel takes the same number of taps, some of weight 0, so that weights are computed for a line of pixels at once
    and shared by all bands.
    """
    row_out, col_out = where[4], where[5]
    top, left = corner
    stride, bottom, right = src.shape[2], top + src.shape[1], left + src.shape[2]
    flat = src.reshape(src.shape[0], -1)
    radius = 2.0 if cubic else 1.0
    reach_x, reach_y = radius * widths[0], radius * widths[1]
    nx, ny = math.floor(2.0 * reach_x) + 1, math.floor(2.0 * reach_y) + 1
    first, count = window[2] - col_out, window[3] - window[2]
    at, values = np.empty(count, np.int64), np.empty(count)
    at_x, at_y, first_x, first_y = np.empty(count), np.empty(count), np.empty(count), np.empty(count)
    sum_x, sum_y, share = np.empty(count), np.empty(count), np.empty(count)
    wx, wy = np.empty((nx, count)), np.empty((ny, count))
    one, two, below = np.uint64(1), np.uint64(2), np.uint64(stride)
    for i in range(window[0], window[1]):
        v = i + 0.5 - m[0]
        xr, xs, xq, yr, ys, yq = line_of(m, v)
        for n in range(count):
            u = n + window[2] + 0.5 - m[1]
            x, y = xr + (xs + xq * u) * u - 0.5, yr + (ys + yq * u) * u - 0.5
            # Never beyond the block: a tap more on the left weighs 0.
            c = min(math.ceil(x - reach_x), right - nx)
            r = min(math.ceil(y - reach_y), bottom - ny)
            at[n] = (int(r) - top) * stride + (int(c) - left)
            at_x[n], at_y[n], first_x[n], first_y[n] = x, y, c, r
        weigh_line(first_x, at_x, widths[0], cubic, wx, sum_x)
        weigh_line(first_y, at_y, widths[1], cubic, wy, sum_y)
        for n in range(count):
            share[n] = 1.0 / (sum_x[n] * sum_y[n])
        for b in range(src.shape[0]):
            plane, line = flat[b], out[b, i - row_out, first : first + count]
            if nx == 3 and ny == 3:
                for n in range(count):
                    k = np.uint64(at[n])
                    upper = wx[0, n] * plane[k] + wx[1, n] * plane[k + one] + wx[2, n] * plane[k + two]
                    k += below
                    middle = wx[0, n] * plane[k] + wx[1, n] * plane[k + one] + wx[2, n] * plane[k + two]
                    k += below
                    lower = wx[0, n] * plane[k] + wx[1, n] * plane[k + one] + wx[2, n] * plane[k + two]
                    values[n] = wy[0, n] * upper + wy[1, n] * middle + wy[2, n] * lower
            else:
                for n in range(count):
                    value = 0.0
                    for row in range(ny):
                        k = np.uint64(at[n]) + np.uint64(row) * below
                        of_row = 0.0
                        for col in range(nx):
                            of_row += wx[col, n] * plane[k + np.uint64(col)]
                        value += wy[row, n] * of_row
                    values[n] = value
            if rounds:
                for n in range(count):
                    line[n] = np.int32(min(max(math.floor(values[n] * share[n] + 0.5), low), high))
            else:
                for n in range(count):
                    line[n] = values[n] * share[n]


@njit(nogil=True, cache=True)
def upright(src, mask, where, windows, maps, out, done, widths, cubic, rounds, low, high):  # type: ignore[no-untyped-def]
    """Sample the windows whose x depends on the column alone, y on the row alone, all taps valid; True for those left over."""
    top, left, height, width, row_out, col_out = where
    radius = 2.0 if cubic else 1.0
    rest = np.ones(windows.shape[0], np.bool_)
    for p in range(windows.shape[0]):
        x_turned = maps[p, 4] != 0.0 or maps[p, 5] != 0.0 or maps[p, 14] != 0.0 or maps[p, 15] != 0.0 or maps[p, 17] != 0.0
        y_turned = maps[p, 7] != 0.0 or maps[p, 9] != 0.0 or maps[p, 20] != 0.0 or maps[p, 21] != 0.0 or maps[p, 22] != 0.0
        turned = x_turned or y_turned or maps[p, 18] != 0.0 or maps[p, 23] != 0.0
        if turned or not is_clear(mask, where, windows, maps, p, radius * widths[p, 0], radius * widths[p, 1]):
            continue
        rest[p] = False
        i0, j0 = windows[p, 0] - row_out, windows[p, 2] - col_out
        rows, cols = windows[p, 1] - windows[p, 0], windows[p, 3] - windows[p, 2]
        done[:, i0 : i0 + rows, j0 : j0 + cols] = True
        wx, wy = np.empty((cols, int(4 * widths[p, 0]) + 4)), np.empty((rows, int(4 * widths[p, 1]) + 4))
        x_first, x_count, x_sum = np.empty(cols, np.int64), np.empty(cols, np.int64), np.empty(cols)
        y_first, y_count, y_sum = np.empty(rows, np.int64), np.empty(rows, np.int64), np.empty(rows)
        for n in range(cols):
            u = n + windows[p, 2] + 0.5 - maps[p, 1]
            xr, xs, xq, _, _, _ = line_of(maps[p], 0.5)
            x = xr + (xs + xq * u) * u
            x_first[n], x_count[n], x_sum[n] = weigh(x - 0.5, widths[p, 0], width, cubic, wx[n])
        for m in range(rows):
            _, _, _, y, _, _ = line_of(maps[p], m + windows[p, 0] + 0.5 - maps[p, 0])
            y_first[m], y_count[m], y_sum[m] = weigh(y - 0.5, widths[p, 1], height, cubic, wy[m])
        base, end = y_first.min(), (y_first + y_count).max()
        lines, sums = np.empty((end - base, cols)), np.empty(cols)
        for b in range(src.shape[0]):
            for r in range(base, end):
                source = src[b, r - top]
                for n in range(cols):
                    line, k = 0.0, np.uint64(x_first[n] - left)
                    for q in range(np.uint64(x_count[n])):
                        line += wx[n, q] * source[k + q]
                    lines[r - base, n] = line
            for m in range(rows):
                sums[:] = 0.0
                for q in range(y_count[m]):
                    w, line_at = wy[m, q], lines[y_first[m] - base + q]
                    for n in range(cols):
                        sums[n] += w * line_at[n]
                result = out[b, i0 + m, j0 : j0 + cols]
                for n in range(cols):
                    value = sums[n] * (1.0 / (x_sum[n] * y_sum[m]))
                    result[n] = min(max(math.floor(value + 0.5), low), high) if rounds else value
    return rest
