"""The loops of the sampling kernels, compiled by numba on first use and kept on disk. ``sampling`` says what they compute.

Arguments they share: ``src`` (bands, rows, cols) and ``mask`` (0, 1 or bands, rows, cols) of a block; ``where`` = (the
block's first row and col, the image's height and width, the output's first row and col); ``windows`` and ``maps`` of
``Patches``; ``out`` and ``done`` (bands or 1) to fill. Masks of 0 bands mean that all is valid.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

EDGE = 1e-6  # pixels; a coordinate this close below a pixel's edge lies on it


@njit(nogil=True, cache=True)
def line_of(m, v):  # type: ignore[no-untyped-def]
    """The factors of 1, u and u^2 in x, then in y, along the line of pixels at ``v``."""
    xr, xs = m[2] + (m[4] + m[14] * v) * v, m[3] + (m[5] + m[15] * v) * v
    yr, ys = m[6] + (m[8] + m[19] * v) * v, m[7] + (m[9] + m[20] * v) * v
    return xr, xs, m[16] + (m[17] + m[18] * v) * v, yr, ys, m[21] + (m[22] + m[23] * v) * v


@njit(nogil=True, cache=True)
def spanned(window, m):  # type: ignore[no-untyped-def]
    """Least and greatest x, then y, of the window's samples in source coordinates, by its map ``m``."""
    x_low, x_high, y_low, y_high = np.inf, -np.inf, np.inf, -np.inf
    for k in range(4):  # a bilinear function is extreme in the corners; how far beyond a bent one goes is known
        v = (window[0] if k < 2 else window[1] - 1) + 0.5 - m[0]
        u = (window[2] if k % 2 == 0 else window[3] - 1) + 0.5 - m[1]
        xr, xs, xq, yr, ys, yq = line_of(m, v)
        x, y = xr + (xs + xq * u) * u, yr + (ys + yq * u) * u
        x_low, x_high = min(x_low, x), max(x_high, x)
        y_low, y_high = min(y_low, y), max(y_high, y)
    return x_low - m[12], x_high + m[12], y_low - m[13], y_high + m[13]


@njit(nogil=True, cache=True)
def is_clear(mask, where, windows, maps, p, reach_x, reach_y):  # type: ignore[no-untyped-def]
    """Whether all pixels within ``reach`` of the window's sample indices are in the image and, as far as loaded, valid."""
    top, left, height, width, _, _ = where
    x_low, x_high, y_low, y_high = spanned(windows[p], maps[p])
    x_low, x_high = x_low - 0.5 - reach_x - EDGE, x_high - 0.5 + reach_x + EDGE
    y_low, y_high = y_low - 0.5 - reach_y - EDGE, y_high - 0.5 + reach_y + EDGE
    if not (x_low >= 0 and y_low >= 0 and x_high <= width - 1 and y_high <= height - 1):
        return False
    for b in range(mask.shape[0]):
        for r in range(max(0, int(y_low) - top), min(mask.shape[1], math.ceil(y_high) + 1 - top)):
            for c in range(max(0, int(x_low) - left), min(mask.shape[2], math.ceil(x_high) + 1 - left)):
                if not mask[b, r, c]:
                    return False
    return True


@njit(nogil=True, cache=True)
def nearest(src, mask, where, windows, maps, out, done):  # type: ignore[no-untyped-def]
    top, left, height, width, row_out, col_out = where
    masks = mask.shape[0]
    flat = src.reshape(src.shape[0], -1)
    at = np.empty((windows[:, 3] - windows[:, 2]).max(), np.int64)
    for p in range(windows.shape[0]):
        clear = is_clear(mask, where, windows, maps, p, 1.0, 1.0)
        first, count = windows[p, 2] - col_out, windows[p, 3] - windows[p, 2]
        if clear:
            done[:, windows[p, 0] - row_out : windows[p, 1] - row_out, first : first + count] = True
        for i in range(windows[p, 0], windows[p, 1]):
            v = i + 0.5 - maps[p, 0]
            xr, xs, xq, yr, ys, yq = line_of(maps[p], v)
            if clear:
                for n in range(count):
                    u = n + windows[p, 2] + 0.5 - maps[p, 1]
                    x, y = xr + (xs + xq * u) * u + EDGE, yr + (ys + yq * u) * u + EDGE
                    at[n] = (int(y) - top) * src.shape[2] + (int(x) - left)
                for b in range(src.shape[0]):
                    plane, line = flat[b], out[b, i - row_out, first : first + count]
                    for n in range(count):
                        line[n] = plane[np.uint64(at[n])]
                continue
            for j in range(windows[p, 2], windows[p, 3]):
                u = j + 0.5 - maps[p, 1]
                x, y = xr + (xs + xq * u) * u + EDGE, yr + (ys + yq * u) * u + EDGE
                if not (0 <= x < width and 0 <= y < height):
                    continue
                r, c = int(y) - top, int(x) - left
                if masks <= 1:
                    if masks == 1 and not mask[0, r, c]:
                        continue
                    done[0, i - row_out, j - col_out] = True
                    for b in range(src.shape[0]):
                        out[b, i - row_out, j - col_out] = src[b, r, c]
                else:
                    for b in range(src.shape[0]):
                        if mask[b, r, c]:
                            done[b, i - row_out, j - col_out] = True
                            out[b, i - row_out, j - col_out] = src[b, r, c]


@njit(nogil=True, cache=True)
def bilinear(src, mask, where, windows, maps, out, done, rounds):  # type: ignore[no-untyped-def]
    top, left, _, _, row_out, col_out = where
    stride = src.shape[2]
    flat = src.reshape(src.shape[0], -1)
    longest = (windows[:, 3] - windows[:, 2]).max()
    at, across, down, values = np.empty(longest, np.int64), np.empty(longest), np.empty(longest), np.empty(longest)
    one, below = np.uint64(1), np.uint64(stride)
    for p in range(windows.shape[0]):
        if not is_clear(mask, where, windows, maps, p, 1.0, 1.0):
            bilinear_checked(src, mask, where, windows, maps, out, done, rounds, p)
            continue
        first, count = windows[p, 2] - col_out, windows[p, 3] - windows[p, 2]
        done[:, windows[p, 0] - row_out : windows[p, 1] - row_out, first : first + count] = True
        for i in range(windows[p, 0], windows[p, 1]):
            v = i + 0.5 - maps[p, 0]
            xr, xs, xq, yr, ys, yq = line_of(maps[p], v)
            # Positions, sums and stores in loops of their own: the compiler makes the first and the last one SIMD.
            for n in range(count):
                u = n + windows[p, 2] + 0.5 - maps[p, 1]
                x, y = xr + (xs + xq * u) * u - 0.5, yr + (ys + yq * u) * u - 0.5
                c, r = int(x), int(y)
                across[n], down[n] = x - c, y - r
                at[n] = (r - top) * stride + (c - left)
            for b in range(src.shape[0]):
                plane, line = flat[b], out[b, i - row_out, first : first + count]
                for n in range(count):
                    k, fx, fy = np.uint64(at[n]), across[n], down[n]
                    upper = (1.0 - fx) * plane[k] + fx * plane[k + one]
                    lower = (1.0 - fx) * plane[k + below] + fx * plane[k + below + one]
                    values[n] = (1.0 - fy) * upper + fy * lower
                if rounds:
                    for n in range(count):
                        line[n] = np.int32(math.floor(values[n] + 0.5))
                else:
                    for n in range(count):
                        line[n] = values[n]


@njit(nogil=True, cache=True)
def bilinear_checked(src, mask, where, windows, maps, out, done, rounds, p):  # type: ignore[no-untyped-def]
    """One window whose taps may be outside or invalid. Where all four serve, the sum is that of ``bilinear``, bit for bit."""
    top, left, height, width, row_out, col_out = where
    masks = mask.shape[0]
    weight = np.empty(4)
    for i in range(windows[p, 0], windows[p, 1]):
        v = i + 0.5 - maps[p, 0]
        xr, xs, xq, yr, ys, yq = line_of(maps[p], v)
        for j in range(windows[p, 2], windows[p, 3]):
            u = j + 0.5 - maps[p, 1]
            x, y = xr + (xs + xq * u) * u, yr + (ys + yq * u) * u
            if not (0 <= x + EDGE < width and 0 <= y + EDGE < height):
                continue
            x, y = x - 0.5, y - 0.5
            c, r = math.floor(x), math.floor(y)
            fx, fy = x - c, y - r
            gx, gy = 1.0 - fx, 1.0 - fy
            total, inside, whole = 0.0, 0.0, True
            for b in range(src.shape[0]):
                if b == 0 or masks > 1:
                    total, inside, whole = 0.0, 0.0, True
                    for k in range(4):
                        rk, ck = r + k // 2, c + k % 2
                        weight[k] = 0.0
                        if not (0 <= rk < height and 0 <= ck < width):
                            whole = False
                            continue
                        w = (fy if k // 2 else gy) * (fx if k % 2 else gx)
                        inside += w
                        if masks > 0 and not mask[b if masks > 1 else 0, rk - top, ck - left]:
                            whole = False
                            continue
                        weight[k] = w
                        total += w
                if total < 0.5 * inside or total <= 0.0:
                    continue
                if masks > 1 or b == 0:
                    done[b, i - row_out, j - col_out] = True
                if whole:
                    r0, c0 = r - top, c - left
                    upper = gx * src[b, r0, c0] + fx * src[b, r0, c0 + 1]
                    lower = gx * src[b, r0 + 1, c0] + fx * src[b, r0 + 1, c0 + 1]
                    value = gy * upper + fy * lower
                else:
                    value = 0.0
                    for k in range(4):
                        if weight[k] > 0.0:
                            value += weight[k] * src[b, r + k // 2 - top, c + k % 2 - left]
                    value /= total
                out[b, i - row_out, j - col_out] = math.floor(value + 0.5) if rounds else value
