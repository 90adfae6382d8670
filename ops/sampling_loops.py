"""The loops of the sampling kernels, compiled by numba on first use and kept on disk. ``sampling`` says what they compute.

Arguments they share: ``src`` (bands, rows, cols) and ``mask`` (0, 1 or bands, rows, cols) of a block; ``where`` = (the
block's first row and col, the image's height and width, the output's first row and col); ``windows`` and ``maps`` of
``Patches``; ``out`` and ``done`` (bands or 1) to fill. Masks of 0 bands mean that all is valid.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

_CACHE_LINE = 64  # bytes
_SPARSE = 4  # samples per cache line of the source, below which fetching it ahead does not pay
# Two neighbouring pixels as one value, by a pixel's bytes; a pair of float64 is only ever copied.
_PAIRS: dict[int, np.dtype] = {
    1: np.dtype(np.uint16),
    2: np.dtype(np.uint32),
    4: np.dtype(np.uint64),
    8: np.dtype(np.complex128),
}
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
def is_away(where, windows, maps, p):  # type: ignore[no-untyped-def]
    """Whether all samples of the window are surely outside the image."""
    _, _, height, width, _, _ = where
    x_low, x_high, y_low, y_high = spanned(windows[p], maps[p])
    return not (x_high >= -2 * EDGE and y_high >= -2 * EDGE and x_low < width + EDGE and y_low < height + EDGE)


@njit(nogil=True, cache=True)
def fetched(src, where, windows, maps, p):  # type: ignore[no-untyped-def]
    """A value made of one pixel per cache line of a clear window's source: it is in the cache then.

    The loops that gather wait for memory pixel by pixel; this one has many lines on their way at a time.
    """
    top, left, _, _, _, _ = where
    x_low, x_high, y_low, y_high = spanned(windows[p], maps[p])
    row0, row1 = max(int(y_low - 0.5) - top, 0), min(int(y_high + 0.5) - top + 1, src.shape[1])
    col0, col1 = max(int(x_low - 0.5) - left, 0), min(int(x_high + 0.5) - left + 1, src.shape[2])
    total = src[0, row0, col0] * 0
    step = _CACHE_LINE // src.itemsize
    pixels = (windows[p, 1] - windows[p, 0]) * (windows[p, 3] - windows[p, 2])
    if _SPARSE * (row1 - row0) * ((col1 - col0) // step + 1) > pixels:
        return total  # samples too far apart, or too few, to be worth it
    for b in range(src.shape[0]):
        for r in range(row0, row1):
            for c in range(col0, col1, step):
                total += src[b, r, c]
    return total


def nearest(
    src: np.ndarray,
    mask: np.ndarray,
    where: np.ndarray,
    windows: np.ndarray,
    maps: np.ndarray,
    out: np.ndarray,
    done: np.ndarray,
) -> None:
    """The pixel that each sample lies in."""
    _nearest(_read_only(src), mask, where, windows, maps, out, done)


@njit(nogil=True, cache=True)
def _nearest(src, mask, where, windows, maps, out, done):  # type: ignore[no-untyped-def]
    top, left, height, width, row_out, col_out = where
    masks = mask.shape[0]
    flat = src.reshape(src.shape[0], -1)
    at = np.empty((windows[:, 3] - windows[:, 2]).max(), np.int64)
    kept = 0
    for p in range(windows.shape[0]):
        if is_away(where, windows, maps, p):
            continue
        clear = is_clear(mask, where, windows, maps, p, 1.0, 1.0)
        first, count = windows[p, 2] - col_out, windows[p, 3] - windows[p, 2]
        if clear:
            kept += int(fetched(src, where, windows, maps, p))
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
    return kept


def bilinear(
    src: np.ndarray,
    mask: np.ndarray,
    where: np.ndarray,
    windows: np.ndarray,
    maps: np.ndarray,
    out: np.ndarray,
    done: np.ndarray,
    rounds: bool,
) -> None:
    """2 x 2 taps: by one loop where all of a window's are there, pixel by pixel elsewhere; bit for bit the same sums."""
    _bilinear(_read_only(src), _paired(src), mask, where, windows, maps, out, done, rounds)


def _read_only(src: np.ndarray) -> np.ndarray:
    """So that the compiler meets one type of array."""
    view = src.view()
    view.flags.writeable = False
    return view


def _paired(src: np.ndarray) -> np.ndarray:
    """(bands, pixels - 1): each pixel of contiguous planes with the one after it as one value, read by one load."""
    pair = _PAIRS[src.itemsize]
    if min(src.shape) == 0 or min(src.shape[1:]) < 2:  # no window of it is clear; one type of array all the same
        src = np.zeros((1, 2, 2), src.dtype)
    size = src.shape[1] * src.shape[2]
    pairs: np.ndarray = np.ndarray((len(src), size - 1), pair, src, strides=(size * src.itemsize, src.itemsize))
    return _read_only(pairs)


@njit(nogil=True, cache=True)
def _bilinear(src, pairs, mask, where, windows, maps, out, done, rounds):  # type: ignore[no-untyped-def]
    top, left, _, _, row_out, col_out = where
    stride = src.shape[2]
    longest = (windows[:, 3] - windows[:, 2]).max()
    at, across, down = np.empty(longest, np.int64), np.empty(longest), np.empty(longest)
    above, below = np.empty(longest, pairs.dtype), np.empty(longest, pairs.dtype)
    upper, lower = above.view(src.dtype), below.view(src.dtype)
    kept = src.dtype.type(0)
    for p in range(windows.shape[0]):
        if not is_clear(mask, where, windows, maps, p, 1.0, 1.0):
            if not is_away(where, windows, maps, p):
                bilinear_checked(src, mask, where, windows, maps, out, done, rounds, p)
            continue
        kept += fetched(src, where, windows, maps, p)
        first, count = windows[p, 2] - col_out, windows[p, 3] - windows[p, 2]
        done[:, windows[p, 0] - row_out : windows[p, 1] - row_out, first : first + count] = True
        for i in range(windows[p, 0], windows[p, 1]):
            v = i + 0.5 - maps[p, 0]
            xr, xs, xq, yr, ys, yq = line_of(maps[p], v)
            # Positions, taps and sums in loops of their own: the compiler makes the first and the last one SIMD.
            for n in range(count):
                u = n + windows[p, 2] + 0.5 - maps[p, 1]
                x, y = xr + (xs + xq * u) * u - 0.5, yr + (ys + yq * u) * u - 0.5
                c, r = int(x), int(y)
                across[n], down[n] = x - c, y - r
                at[n] = (r - top) * stride + (c - left)
            for b in range(src.shape[0]):
                plane, next_line, line = pairs[b], pairs[b, stride:], out[b, i - row_out, first : first + count]
                for n in range(count):
                    k = np.uint64(at[n])
                    above[n] = plane[k]
                    below[n] = next_line[k]
                if rounds:
                    for n in range(count):
                        fx, fy = across[n], down[n]
                        high = (1.0 - fx) * upper[2 * n] + fx * upper[2 * n + 1]
                        low = (1.0 - fx) * lower[2 * n] + fx * lower[2 * n + 1]
                        line[n] = np.int32(np.floor((1.0 - fy) * high + fy * low + 0.5))
                else:
                    for n in range(count):
                        fx, fy = across[n], down[n]
                        high = (1.0 - fx) * upper[2 * n] + fx * upper[2 * n + 1]
                        low = (1.0 - fx) * lower[2 * n] + fx * lower[2 * n + 1]
                        line[n] = (1.0 - fy) * high + fy * low
    return kept


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
