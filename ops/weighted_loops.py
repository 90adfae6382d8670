"""Loops of the kernels that weigh any number of pixels. Arguments and compilation as in ``sampling_loops``."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from .sampling_loops import EDGE, is_clear, line_of, spanned

_MOST_ADDED = 2**15  # pixels of 16 bits whose sum fits 32
_PATCH_ROWS = 64.0  # output rows, at a scale of 1, whose source is converted at a time: it fits the second-level cache


@njit(nogil=True, cache=True)
def reach_of(kind, width):  # type: ignore[no-untyped-def]
    """How far from the sample index a tap may be. What a box covers by less than EDGE is no tap."""
    return kind * width if kind > 0 else 0.5 * width + (0.5 - EDGE)


@njit(nogil=True, cache=True)
def lanczos(t):  # type: ignore[no-untyped-def]
    """sinc(t) sinc(t / 3) for 0 <= t < 3, to 1e-15."""
    # A product over its zeros; those from 3 on are an even, smooth function, here a polynomial fitted at Chebyshev points.
    s = t * t
    z = s * (2.0 / 9.0) - 1.0
    rest = 1.9804269335566005e-11
    rest = rest * z - 3.4363109580048956e-10
    rest = rest * z + 5.077973500022814e-09
    rest = rest * z - 6.692193360580134e-08
    rest = rest * z + 7.719911495774473e-07
    rest = rest * z - 7.709121459950445e-06
    rest = rest * z + 6.581895869016896e-05
    rest = rest * z - 0.0004732486023993022
    rest = rest * z + 0.002812445248480198
    rest = rest * z - 0.013487497686097074
    rest = rest * z + 0.05055462124535299
    rest = rest * z - 0.14156979422357147
    rest = rest * z + 0.2762757139271347
    rest = rest * z - 0.3319616831009069
    rest = rest * z + 0.18279062353141404
    return (1.0 - s) * (1.0 - 0.25 * s) * (1.0 - s * (1.0 / 9.0)) * (1.0 - s * (1.0 / 9.0)) * rest


@njit(nogil=True, cache=True)
def covered(distance, width):  # type: ignore[no-untyped-def]
    """How much of a pixel lies in a box of ``width`` whose centre is ``distance`` away from its own."""
    most = min(1.0, width)
    part = 0.5 * width + 0.5 - distance
    # Rounding of the coordinates makes no taps of slivers, so that pixels that the box ends on count in full.
    part = most if part > most - EDGE else part
    return 0.0 if part < EDGE else part


@njit(nogil=True, cache=True)
def weight_of(t, kind):  # type: ignore[no-untyped-def]
    """The kernel at a distance of ``t`` of its widths."""
    if kind == 1:
        return max(0.0, 1.0 - t)
    if kind == 3:
        return lanczos(t) if t < 3.0 else 0.0
    if t <= 1.0:
        return (1.5 * t - 2.5) * t * t + 1.0
    if t < 2.0:
        return ((-0.5 * t + 2.5) * t - 4.0) * t + 2.0
    return 0.0


@njit(nogil=True, cache=True)
def weigh(at, width, size, kind, weight):  # type: ignore[no-untyped-def]
    """Weights of the taps around sample index ``at`` that are in [0, size), into ``weight``: first tap, count, their sum."""
    reach, narrow = reach_of(kind, width), 1.0 / width
    first = max(0, math.ceil(at - reach))
    last = min(size - 1, math.floor(at + reach))
    total = 0.0
    for k in range(first, last + 1):
        w = weight_of(abs(k - at) * narrow, kind) if kind > 0 else covered(abs(k - at), width)
        weight[k - first] = w
        total += w
    return first, last + 1 - first, total


@njit(nogil=True, cache=True)
def weighted(src, mask, where, windows, maps, out, done, widths, kind, rounds, low, high, finite):  # type: ignore[no-untyped-def]
    """Any number of separable taps, upright or not. ``finite``: no infinity, so 0 weighs nothing."""
    top, left, height, width, row_out, col_out = where
    masks = mask.shape[0]
    widest = min(int(2 * reach_of(kind, widths.max())) + 4, max(width, height))
    wx, wy = np.empty(widest), np.empty(widest)
    for p in range(windows.shape[0]):
        reach_x, reach_y = reach_of(kind, widths[p, 0]), reach_of(kind, widths[p, 1])
        fits = finite and math.ceil(2 * reach_x) <= src.shape[2] and math.ceil(2 * reach_y) <= src.shape[1]
        if fits and is_clear(mask, where, windows, maps, p, reach_x + 1, reach_y + 1):
            step = max(1, int(_PATCH_ROWS / widths[p, 1]))
            for i in range(windows[p, 0], windows[p, 1], step):
                lines = np.array([i, min(i + step, windows[p, 1]), windows[p, 2], windows[p, 3]])
                patch, corner = as_double(src, where, lines, maps[p], reach_x, reach_y)
                weighted_clear(patch, corner, where, lines, maps[p], out, widths[p], kind, rounds, low, high)
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
                c, nx, sum_x = weigh(x - 0.5, widths[p, 0], width, kind, wx)
                r, ny, sum_y = weigh(y - 0.5, widths[p, 1], height, kind, wy)
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
                        value /= inside
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
def weigh_line(first, at, width, kind, weights, total):  # type: ignore[no-untyped-def]
    """Weights of the taps ``first[n] + k`` around the sample indices ``at[n]``, and their sums, for a line of samples."""
    narrow = 1.0 / width
    total[:] = 0.0
    for k in range(weights.shape[0]):
        if kind == 0:
            for n in range(at.size):
                weights[k, n] = covered(abs((first[n] + k) - at[n]), width)
        elif kind == 1:
            for n in range(at.size):
                weights[k, n] = weight_of(abs((first[n] + k) - at[n]) * narrow, 1)
        elif kind == 2:
            for n in range(at.size):
                weights[k, n] = weight_of(abs((first[n] + k) - at[n]) * narrow, 2)
        else:
            for n in range(at.size):
                weights[k, n] = weight_of(abs((first[n] + k) - at[n]) * narrow, 3)
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
def weighted_clear(src, corner, where, window, m, out, widths, kind, rounds, low, high):  # type: ignore[no-untyped-def]
    """One window whose taps, and one pixel around them, are all valid: the sums of ``weighted``, bit for bit, but faster.

    ``src`` are the pixels around them in float64, from ``corner`` on.

    Every pixel takes the same number of taps, some of weight 0, so that weights are computed for a line of pixels at once
    and shared by all bands.
    """
    row_out, col_out = where[4], where[5]
    top, left = corner
    stride, bottom, right = src.shape[2], top + src.shape[1], left + src.shape[2]
    flat = src.reshape(src.shape[0], -1)
    reach_x, reach_y = reach_of(kind, widths[0]), reach_of(kind, widths[1])
    # Of two taps at both ends of the reach the second weighs 0.
    nx, ny = math.ceil(2.0 * reach_x), math.ceil(2.0 * reach_y)
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
        weigh_line(first_x, at_x, widths[0], kind, wx, sum_x)
        weigh_line(first_y, at_y, widths[1], kind, wy, sum_y)
        for n in range(count):
            share[n] = sum_x[n] * sum_y[n]
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
                    line[n] = np.int32(min(max(math.floor(values[n] / share[n] + 0.5), low), high))
            else:
                for n in range(count):
                    line[n] = values[n] / share[n]


@njit(nogil=True, cache=True)
def is_upright(m):  # type: ignore[no-untyped-def]
    """Whether x depends on the column alone, y on the row alone."""
    x_turned = m[4] != 0.0 or m[5] != 0.0 or m[14] != 0.0 or m[15] != 0.0 or m[17] != 0.0
    y_turned = m[7] != 0.0 or m[9] != 0.0 or m[20] != 0.0 or m[21] != 0.0 or m[22] != 0.0
    return not (x_turned or y_turned or m[18] != 0.0 or m[23] != 0.0)


@njit(nogil=True, cache=True)
def all_serve(mask, where, window, m, reach_x, reach_y):  # type: ignore[no-untyped-def]
    """Whether all samples of the window exist and the pixels within ``reach`` of them are, as far as loaded, valid."""
    top, left, height, width, _, _ = where
    x_low, x_high, y_low, y_high = spanned(window, m)
    if not (x_low + EDGE >= 0 and y_low + EDGE >= 0 and x_high + EDGE < width and y_high + EDGE < height):
        return False
    row0, row1 = max(0, math.ceil(y_low - 0.5 - reach_y) - top), math.floor(y_high - 0.5 + reach_y) + 1 - top
    col0, col1 = max(0, math.ceil(x_low - 0.5 - reach_x) - left), math.floor(x_high - 0.5 + reach_x) + 1 - left
    for b in range(mask.shape[0]):
        for r in range(row0, min(row1, mask.shape[1])):
            for c in range(col0, min(col1, mask.shape[2])):
                if not mask[b, r, c]:
                    return False
    return True


@njit(nogil=True, cache=True)
def upright(src, mask, where, windows, maps, out, done, widths, kind, rounds, low, high):  # type: ignore[no-untyped-def]
    """Sample the windows whose x depends on the column alone, y on the row alone, all taps valid; True for those left over."""
    top, left, height, width, row_out, col_out = where
    rest = np.ones(windows.shape[0], np.bool_)
    for p in range(windows.shape[0]):
        reach_x, reach_y = reach_of(kind, widths[p, 0]), reach_of(kind, widths[p, 1])
        if not (is_upright(maps[p]) and all_serve(mask, where, windows[p], maps[p], reach_x, reach_y)):
            continue
        rest[p] = False
        i0, j0 = windows[p, 0] - row_out, windows[p, 2] - col_out
        rows, cols = windows[p, 1] - windows[p, 0], windows[p, 3] - windows[p, 2]
        done[:, i0 : i0 + rows, j0 : j0 + cols] = True
        wx, wy = np.empty((cols, min(int(2 * reach_x) + 2, width))), np.empty((rows, min(int(2 * reach_y) + 2, height)))
        x_first, x_count, x_sum = np.empty(cols, np.int64), np.empty(cols, np.int64), np.empty(cols)
        y_first, y_count, y_sum = np.empty(rows, np.int64), np.empty(rows, np.int64), np.empty(rows)
        for n in range(cols):
            u = n + windows[p, 2] + 0.5 - maps[p, 1]
            xr, xs, xq, _, _, _ = line_of(maps[p], 0.5)
            x = xr + (xs + xq * u) * u
            x_first[n], x_count[n], x_sum[n] = weigh(x - 0.5, widths[p, 0], width, kind, wx[n])
        for m in range(rows):
            _, _, _, y, _, _ = line_of(maps[p], m + windows[p, 0] + 0.5 - maps[p, 0])
            y_first[m], y_count[m], y_sum[m] = weigh(y - 0.5, widths[p, 1], height, kind, wy[m])
        base, end = y_first.min(), (y_first + y_count).max()
        x_base, x_end = x_first.min(), (x_first + x_count).max()
        lines, sums = np.empty((end - base + 7, cols)), np.empty(cols)
        strip = np.empty((x_end - x_base, 8))
        x_first -= x_base
        for b in range(src.shape[0]):
            add_across(src[b, base - top : end - top, x_base - left : x_end - left], wx, x_first, x_count, strip, lines)
            for m in range(rows):
                sums[:] = 0.0
                for q in range(y_count[m]):
                    w, r = wy[m, q], y_first[m] - base + q
                    for n in range(cols):
                        sums[n] += w * lines[r, n]
                result = out[b, i0 + m, j0 : j0 + cols]
                for n in range(cols):
                    value = sums[n] / (x_sum[n] * y_sum[m])
                    result[n] = min(max(math.floor(value + 0.5), low), high) if rounds else value
    return rest


@njit(nogil=True, cache=True)
def add_across(src, weights, first, count, strip, lines):  # type: ignore[no-untyped-def]
    """Weighted sums along the rows of ``src``, into ``lines``, which has room for seven rows more.

    Eight rows at a time, side by side in ``strip``: each sum is one of eight that are added to at once.
    """
    rows, last = src.shape[0], src.shape[0] - 1
    for r in range(0, rows, 8):
        for e in range(8):
            row = src[min(r + e, last)]
            for c in range(strip.shape[0]):
                strip[c, e] = row[c]
        for n in range(first.size):
            s0, s1, s2, s3, s4, s5, s6, s7 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
            k = np.uint64(first[n])
            for q in range(np.uint64(count[n])):
                w, at = weights[n, q], k + q
                s0 += w * strip[at, 0]
                s1 += w * strip[at, 1]
                s2 += w * strip[at, 2]
                s3 += w * strip[at, 3]
                s4 += w * strip[at, 4]
                s5 += w * strip[at, 5]
                s6 += w * strip[at, 6]
                s7 += w * strip[at, 7]
            lines[r, n], lines[r + 1, n], lines[r + 2, n], lines[r + 3, n] = s0, s1, s2, s3
            lines[r + 4, n], lines[r + 5, n], lines[r + 6, n], lines[r + 7, n] = s4, s5, s6, s7


@njit(nogil=True, cache=True)
def is_whole(mask, where, window, m, widths):  # type: ignore[no-untyped-def]
    """Whether the window is upright and its boxes are made of whole pixels, all of them valid and none twice."""
    _, _, height, width, _, _ = where
    nx, ny = round(widths[0]), round(widths[1])
    if not (nx == widths[0] and ny == widths[1] and widths[0] * widths[1] <= _MOST_ADDED and is_upright(m)):
        return False
    if m[3] != nx or m[8] != ny or m[16] != 0.0 or m[19] != 0.0:
        return False
    x0, y0, off = corner_of(window, m, nx, ny)
    inside = x0 >= 0 and y0 >= 0 and x0 + (window[3] - window[2]) * nx <= width and y0 + (window[1] - window[0]) * ny <= height
    return inside and off <= 0.5 * EDGE and all_serve(mask, where, window, m, reach_of(0, nx), reach_of(0, ny))


@njit(nogil=True, cache=True)
def corner_of(window, m, nx, ny):  # type: ignore[no-untyped-def]
    """Column and row of the first pixel of a window of boxes of whole pixels, and how far off that is."""
    x = m[2] + nx * (window[2] + 0.5 - m[1]) - 0.5 * nx
    y = m[6] + ny * (window[0] + 0.5 - m[0]) - 0.5 * ny
    return round(x), round(y), max(abs(x - round(x)), abs(y - round(y)))


@njit(nogil=True, cache=True)
def whole_means(src, mask, where, windows, maps, out, done, widths, rounds, room):  # type: ignore[no-untyped-def]
    """``upright`` for boxes that are made of whole pixels, the same number each; True for the windows left over.

    Sums are of the type of ``room``: integers may be added in any order, floats are in that of ``upright``.
    """
    top, left, _, _, row_out, col_out = where
    rest = np.ones(windows.shape[0], np.bool_)
    for p in range(windows.shape[0]):
        rest[p] = not is_whole(mask, where, windows[p], maps[p], widths[p])
    p = 0
    while p < windows.shape[0]:
        first, nx, ny = p, round(widths[p, 0]), round(widths[p, 1])
        p += 1
        if rest[first]:
            continue
        # Windows side by side are one: loops over long lines are the fastest.
        while p < windows.shape[0] and not rest[p] and follows(windows, maps, p):
            p += 1
        x0, y0, _ = corner_of(windows[first], maps[first], nx, ny)
        i0, j0, j1 = windows[first, 0] - row_out, windows[first, 2] - col_out, windows[p - 1, 3] - col_out
        rows, cols = windows[first, 1] - windows[first, 0], j1 - j0
        done[:, i0 : i0 + rows, j0:j1] = True
        lines, sums = np.empty(cols * nx, room.dtype), np.empty(cols, room.dtype)
        for b in range(src.shape[0]):
            for m in range(rows):
                r = y0 - top + m * ny
                mean_of_squares(
                    src[b, r : r + ny, x0 - left : x0 - left + cols * nx], nx, rounds, lines, sums, out[b, i0 + m, j0:j1]
                )
    return rest


@njit(nogil=True, cache=True)
def follows(windows, maps, p):  # type: ignore[no-untyped-def]
    """Whether window ``p`` goes on to the right of the one before it, by the same map."""
    along = windows[p, 0] == windows[p - 1, 0] and windows[p, 1] == windows[p - 1, 1] and windows[p, 2] == windows[p - 1, 3]
    for k in range(maps.shape[1]):
        along = along and maps[p, k] == maps[p - 1, k]
    return along


@njit(nogil=True, cache=True)
def mean_of_squares(square, nx, rounds, lines, sums, result):  # type: ignore[no-untyped-def]
    """Means of all rows of ``square`` and ``nx`` columns each."""
    ny = square.shape[0]
    two = np.uint64(2)
    if nx == 2 and ny == 2 and rounds:
        upper, lower = square[0], square[1]
        for n in range(np.uint64(result.size)):
            k, next_k = two * n, two * n + np.uint64(1)
            total = (np.int32(upper[k]) + np.int32(upper[next_k])) + (np.int32(lower[k]) + np.int32(lower[next_k]))
            result[n] = (total + np.int32(2)) >> np.int32(2)
    elif nx == 2 and ny == 2:
        upper, lower = square[0], square[1]
        for n in range(np.uint64(result.size)):
            k, next_k = two * n, two * n + np.uint64(1)
            line = (0.0 + upper[k]) + upper[next_k]
            result[n] = (line + ((0.0 + lower[k]) + lower[next_k])) * 0.25
    elif rounds:
        add_rows_first(square, nx, lines, sums)
        half, shift = nx * ny // 2, 0
        while 1 << shift < nx * ny:
            shift += 1
        if 1 << shift == nx * ny:
            for n in range(result.size):
                result[n] = (np.int32(sums[n]) + np.int32(half)) >> np.int32(shift)
        else:
            for n in range(result.size):
                result[n] = np.int32(math.floor(sums[n] / (nx * ny) + 0.5))
    else:
        add_columns_first(square, nx, sums)
        for n in range(result.size):
            result[n] = sums[n] / (nx * ny)


@njit(nogil=True, cache=True)
def add_rows_first(square, nx, lines, sums):  # type: ignore[no-untyped-def]
    """Sums of ``nx`` columns of all rows: the order that is fastest."""
    for c in range(lines.size):
        lines[c] = square[0, c]
    for r in range(1, square.shape[0]):
        for c in range(lines.size):
            lines[c] += square[r, c]
    if nx == 2:
        for n in range(sums.size):
            sums[n] = lines[2 * n] + lines[2 * n + 1]
    elif nx == 4:
        for n in range(sums.size):
            sums[n] = (lines[4 * n] + lines[4 * n + 1]) + (lines[4 * n + 2] + lines[4 * n + 3])
    else:
        for n in range(sums.size):
            total = lines[n * nx]
            for k in range(1, nx):
                total += lines[n * nx + k]
            sums[n] = total


@njit(nogil=True, cache=True)
def add_columns_first(square, nx, sums):  # type: ignore[no-untyped-def]
    """Sums of ``nx`` columns of all rows, in the order in which ``upright`` adds."""
    sums[:] = 0
    for r in range(square.shape[0]):
        row = square[r]
        if nx == 2:
            for n in range(sums.size):
                sums[n] += (0.0 + row[2 * n]) + row[2 * n + 1]
        else:
            for n in range(sums.size):
                total = 0.0
                for k in range(nx):
                    total += row[n * nx + k]
                sums[n] += total
