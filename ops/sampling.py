"""Sampling kernels: what nearest, bilinear and cubic compute of one block, whatever made the coordinates.

A sample at source coordinate (x, y) exists where ``0 <= x < width`` and ``0 <= y < height``. Its taps are the pixels
that the interpolation weighs; taps outside the image or on invalid pixels are dropped and the other weights made to sum
to one. Where the valid taps hold less than half of the weight of all taps inside the image, the result is invalid.

- ``nearest`` takes the pixel that (x, y) lies in. Coordinates within a millionth of a pixel below an edge lie on it, so a
  tie goes to the pixel right and below, whatever the rounding of the coordinates. Exact for every dtype.
- ``bilinear`` weighs 2 x 2 pixels, ``cubic`` 4 x 4 (Keys 1981, a = -0.5, also called Catmull-Rom).
- With ``antialias`` both widen by the local scale (source pixels per output pixel, per source axis), as GDAL and Pillow do,
  from a scale of 1/0.95 on, GDAL's threshold; below it the taps are the plain ones.

Integers are rounded half up and saturate. uint8, uint16, int16, float32 and float64 are sampled as they are and summed in
float64; other types pass through float64 (64-bit integers beyond 2**53 lose their last digits), complex as two floats.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from ..graph.block import Block
from ..graph.errors import ArgumentError
from ..graph.grid import EMPTY, Region
from ..graph.node import Meta

RADIUS = {"nearest": 0.0, "bilinear": 1.0, "cubic": 2.0}  # of the plain kernel, in source pixels
WIDEN_FROM = 1 / 0.95
EDGE = 1e-6  # pixels; a coordinate this close below a pixel's edge lies on it

_DIRECT = frozenset(np.dtype(name) for name in ("uint8", "uint16", "int16", "float32", "float64"))


class Patches(NamedTuple):
    """Coordinates: output windows, each with the bilinear function that gives its source coordinates.

    Parameters
    ----------
    windows : (n, 4) int64
        row0, row1, col0, col1 of the output pixels.
    maps : (n, 12) float64
        Origin (row, col), then x = m2 + m3 u + m4 v + m5 u v and y = m6 + m7 u + m8 v + m9 u v of the pixel centre's
        distances u (columns) and v (rows) from the origin, then the scale along x and along y.
    """

    windows: np.ndarray
    maps: np.ndarray


def check_resampling(resampling: str) -> str:
    """``resampling`` if there is one of that name.

    Raises
    ------
    ArgumentError
        There is not; the message lists those that are.
    """
    if resampling not in RADIUS:
        raise ArgumentError(f"no resampling {resampling!r}; choose one of {', '.join(RADIUS)}")
    return resampling


def widening(scale: np.ndarray, resampling: str, antialias: bool) -> np.ndarray:
    """How much wider than plain the kernel is at these scales: 1 where it stays plain."""
    if not antialias or resampling == "nearest":
        return np.ones_like(scale)
    return np.where(scale > WIDEN_FROM, scale, 1.0)


def taps(patches: Patches, shape: tuple[int, int], resampling: str, antialias: bool) -> Region:
    """The box of source pixels, clipped to ``shape``, that sampling ``patches`` may weigh; empty where there are none."""
    row0, row1, col0, col1 = (patches.windows[:, k] for k in range(4))
    maps = patches.maps
    corners = []
    for rows in (row0, row1 - 1):
        v = rows + 0.5 - maps[:, 0]
        for cols in (col0, col1 - 1):
            u = cols + 0.5 - maps[:, 1]
            corners.append([maps[:, k] + maps[:, k + 2] * v + (maps[:, k + 1] + maps[:, k + 3] * v) * u for k in (2, 6)])
    points = np.array(corners).reshape(4, 2, -1)
    low, high = points.min(axis=0), points.max(axis=0)
    size = np.array([[shape[1]], [shape[0]]], float)
    reach = RADIUS[resampling] * widening(maps[:, 10:12].T, resampling, antialias) + 2 * EDGE
    touching = ((high >= -2 * EDGE) & (low < size)).all(axis=0)
    if not touching.any():
        return EMPTY
    # A tap's index is at most the radius away from the sample index, which is half a pixel below the coordinate.
    low = np.floor(np.maximum(low, 0) - 0.5 - reach).min(axis=1, where=touching, initial=np.inf)
    high = np.ceil(np.minimum(high, size) + 0.5 + reach).max(axis=1, where=touching, initial=-np.inf)
    box = Region(int(max(low[1], 0)), int(min(high[1], shape[0])), int(max(low[0], 0)), int(min(high[0], shape[1])))
    return EMPTY if box.is_empty else box


def sample(
    block: Block,
    covered: Region,
    shape: tuple[int, int],
    pieces: Iterable[Patches],
    region: Region,
    meta: Meta,
    resampling: str,
    antialias: bool,
) -> Block:
    """The output pixels of ``region``.

    Parameters
    ----------
    block : Block
        The source's pixels of ``covered``, which holds every tap inside the image.
    shape : (rows, cols) of the whole source image
    pieces : Patches with windows inside ``region``; pixels in no window are invalid
    meta : of the result: its dtype is the block's, ``fill`` is written where the result is invalid

    Returns
    -------
    Block
    """
    planes, fill = _as_planes(block.data, _fill(meta), resampling)
    mask = np.empty((0, 1, 1), bool) if block.valid is None else np.ascontiguousarray(block.valid)
    if block.valid is not None and 1 < len(mask) < len(planes):
        mask = np.repeat(mask, 2, axis=0)  # one for the real, one for the imaginary plane of a band
    out = np.full((len(planes), *region.shape), fill, planes.dtype)
    done = np.zeros((max(1, len(mask)), *region.shape), bool)
    where = np.array([covered.row0, covered.col0, *shape, region.row0, region.col0])
    for patches in pieces:
        if resampling == "nearest":
            _nearest(planes, mask, where, patches.windows, patches.maps, out, done)
            continue
        widths = widening(patches.maps[:, 10:12], resampling, antialias)
        rounds = planes.dtype.kind in "iu"
        wide = np.full(len(widths), True) if resampling == "cubic" else (widths > 1).any(axis=1)
        for chosen, wanted in ((~wide, False), (wide, True)):
            if not chosen.any():
                continue
            windows, maps = (patches.windows, patches.maps) if chosen.all() else (patches.windows[chosen], patches.maps[chosen])
            if wanted:
                low, high = _limits(planes.dtype)
                kernel_args = (widths[chosen], resampling == "cubic", rounds, low, high)
                _weighted(planes, mask, where, windows, maps, out, done, *kernel_args)
            else:
                _bilinear(planes, mask, where, windows, maps, out, done, rounds)
    if len(done) == 2 * len(block.data):
        done = done[::2]
    valid = None if not meta.masked or done.all() else done
    return Block(_from_planes(out, valid, meta), valid)


def _fill(meta: Meta) -> Any:
    """``meta.fill`` as a value of its dtype; 0 where the dtype cannot hold it."""
    try:
        with np.errstate(all="raise"):
            return np.array([meta.fill], meta.dtype)[0]
    except (OverflowError, ValueError, TypeError, FloatingPointError):
        return np.zeros(1, meta.dtype)[0]


def _as_planes(data: np.ndarray, fill: Any, resampling: str) -> tuple[np.ndarray, Any]:
    """The data in a type that a kernel takes, without a copy where there is one, and the fill value in it."""
    dtype, one = data.dtype, np.array([fill])
    if dtype == np.complex128 or (dtype.kind == "c" and resampling != "nearest"):
        part = np.dtype(f"f{dtype.itemsize // 2}")
        split = np.stack([data.real, data.imag], axis=1).reshape(-1, *data.shape[1:])
        if resampling != "nearest":
            return split, np.zeros(1, part)[0]
        whole = np.dtype(f"u{part.itemsize}")
        return split.view(whole), np.zeros(1, whole)[0]
    if resampling == "nearest":
        whole = np.dtype(f"u{dtype.itemsize}")
        return np.ascontiguousarray(data).view(whole), one.view(whole)[0]
    if dtype in _DIRECT:
        return np.ascontiguousarray(data), fill
    return data.astype(np.float64), np.float64(0)


def _from_planes(out: np.ndarray, valid: np.ndarray | None, meta: Meta) -> np.ndarray:
    """The sampled planes in the result's dtype, the fill value beneath invalid pixels."""
    dtype = meta.dtype
    if out.dtype == dtype:
        return out
    if dtype.kind == "c" and len(out) == 2 * len(meta.bands):
        part = np.dtype(f"f{dtype.itemsize // 2}")
        result = np.empty((len(out) // 2, *out.shape[1:]), dtype)
        result.real, result.imag = out.view(part)[::2], out.view(part)[1::2]
    elif out.dtype.kind == "u":
        return out.view(dtype)
    elif dtype.kind == "b":
        result = out >= 0.5
    elif dtype.kind == "f":
        result = out.astype(dtype)
    else:
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        rounded = np.floor(out + 0.5) if dtype.itemsize < 8 else np.where(np.abs(out) < 2.0**52, np.floor(out + 0.5), out)
        above, below = rounded >= float(high), rounded <= float(low)
        result = np.where(above | below, 0, rounded).astype(dtype)
        result[above], result[below] = high, low
    if valid is not None:
        result[~np.broadcast_to(valid, result.shape)] = _fill(meta)
    return result


def _limits(dtype: np.dtype) -> tuple[float, float]:
    return (float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)) if dtype.kind in "iu" else (-math.inf, math.inf)


@njit(nogil=True, cache=True)
def _is_clear(mask, where, windows, maps, p, reach_x, reach_y):  # type: ignore[no-untyped-def]
    """Whether every tap of the window is in the image and valid; ``reach`` is how far taps lie from the sample index."""
    top, left, height, width, _, _ = where
    x_low, x_high, y_low, y_high = np.inf, -np.inf, np.inf, -np.inf
    for k in range(4):  # a bilinear function is extreme in the corners
        v = (windows[p, 0] if k < 2 else windows[p, 1] - 1) + 0.5 - maps[p, 0]
        u = (windows[p, 2] if k % 2 == 0 else windows[p, 3] - 1) + 0.5 - maps[p, 1]
        x = (maps[p, 2] + maps[p, 4] * v) + (maps[p, 3] + maps[p, 5] * v) * u
        y = (maps[p, 6] + maps[p, 8] * v) + (maps[p, 7] + maps[p, 9] * v) * u
        x_low, x_high = min(x_low, x), max(x_high, x)
        y_low, y_high = min(y_low, y), max(y_high, y)
    x_low, x_high = x_low - 0.5 - reach_x - EDGE, x_high - 0.5 + reach_x + EDGE
    y_low, y_high = y_low - 0.5 - reach_y - EDGE, y_high - 0.5 + reach_y + EDGE
    if not (x_low >= 0 and y_low >= 0 and x_high <= width - 1 and y_high <= height - 1):
        return False
    for b in range(mask.shape[0]):
        for r in range(int(y_low) - top, math.ceil(y_high) + 1 - top):
            for c in range(int(x_low) - left, math.ceil(x_high) + 1 - left):
                if not mask[b, r, c]:
                    return False
    return True


@njit(nogil=True, cache=True)
def _nearest(src, mask, where, windows, maps, out, done):  # type: ignore[no-untyped-def]
    top, left, height, width, row_out, col_out = where
    masks = mask.shape[0]
    for p in range(windows.shape[0]):
        for i in range(windows[p, 0], windows[p, 1]):
            v = i + 0.5 - maps[p, 0]
            xr, xs = maps[p, 2] + maps[p, 4] * v, maps[p, 3] + maps[p, 5] * v
            yr, ys = maps[p, 6] + maps[p, 8] * v, maps[p, 7] + maps[p, 9] * v
            for j in range(windows[p, 2], windows[p, 3]):
                u = j + 0.5 - maps[p, 1]
                x, y = xr + xs * u + EDGE, yr + ys * u + EDGE
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
def _bilinear(src, mask, where, windows, maps, out, done, rounds):  # type: ignore[no-untyped-def]
    top, left, _, _, row_out, col_out = where
    stride = src.shape[2]
    flat = src.reshape(src.shape[0], -1)
    longest = (windows[:, 3] - windows[:, 2]).max()
    at, across, down, values = np.empty(longest, np.int64), np.empty(longest), np.empty(longest), np.empty(longest)
    one, below = np.uint64(1), np.uint64(stride)
    for p in range(windows.shape[0]):
        if not _is_clear(mask, where, windows, maps, p, 1.0, 1.0):
            _bilinear_checked(src, mask, where, windows, maps, out, done, rounds, p)
            continue
        first, count = windows[p, 2] - col_out, windows[p, 3] - windows[p, 2]
        done[:, windows[p, 0] - row_out : windows[p, 1] - row_out, first : first + count] = True
        for i in range(windows[p, 0], windows[p, 1]):
            v = i + 0.5 - maps[p, 0]
            xr, xs = maps[p, 2] + maps[p, 4] * v, maps[p, 3] + maps[p, 5] * v
            yr, ys = maps[p, 6] + maps[p, 8] * v, maps[p, 7] + maps[p, 9] * v
            # Positions, sums and stores in loops of their own: the compiler makes the first and the last one SIMD.
            for n in range(count):
                u = n + windows[p, 2] + 0.5 - maps[p, 1]
                x, y = xr + xs * u - 0.5, yr + ys * u - 0.5
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
def _bilinear_checked(src, mask, where, windows, maps, out, done, rounds, p):  # type: ignore[no-untyped-def]
    """One window whose taps may be outside or invalid. Where all four serve, the sum is that of ``_bilinear``, bit for bit."""
    top, left, height, width, row_out, col_out = where
    masks = mask.shape[0]
    weight = np.empty(4)
    for i in range(windows[p, 0], windows[p, 1]):
        v = i + 0.5 - maps[p, 0]
        xr, xs = maps[p, 2] + maps[p, 4] * v, maps[p, 3] + maps[p, 5] * v
        yr, ys = maps[p, 6] + maps[p, 8] * v, maps[p, 7] + maps[p, 9] * v
        for j in range(windows[p, 2], windows[p, 3]):
            u = j + 0.5 - maps[p, 1]
            x, y = xr + xs * u, yr + ys * u
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


@njit(nogil=True, cache=True)
def _weigh(at, width, size, cubic, weight):  # type: ignore[no-untyped-def]
    """Weights of the taps around sample index ``at`` that are in [0, size), into ``weight``: first tap, count, their sum."""
    radius = 2.0 * width if cubic else width
    first = max(0, math.ceil(at - radius))
    last = min(size - 1, math.floor(at + radius))
    total = 0.0
    for k in range(first, last + 1):
        t = abs(k - at) / width
        if not cubic:
            w = max(0.0, 1.0 - t)
        elif t <= 1.0:
            w = (1.5 * t - 2.5) * t * t + 1.0
        elif t < 2.0:
            w = ((-0.5 * t + 2.5) * t - 4.0) * t + 2.0
        else:
            w = 0.0
        weight[k - first] = w
        total += w
    return first, last + 1 - first, total


@njit(nogil=True, cache=True)
def _weighted(src, mask, where, windows, maps, out, done, widths, cubic, rounds, low, high):  # type: ignore[no-untyped-def]
    """Any number of separable taps: cubic, and everything that is widened."""
    top, left, height, width, row_out, col_out = where
    masks = mask.shape[0]
    widest = int(4 * widths.max()) + 4
    wx, wy = np.empty(widest), np.empty(widest)
    radius = 2.0 if cubic else 1.0
    for p in range(windows.shape[0]):
        clear = _is_clear(mask, where, windows, maps, p, radius * widths[p, 0], radius * widths[p, 1])
        for i in range(windows[p, 0], windows[p, 1]):
            v = i + 0.5 - maps[p, 0]
            xr, xs = maps[p, 2] + maps[p, 4] * v, maps[p, 3] + maps[p, 5] * v
            yr, ys = maps[p, 6] + maps[p, 8] * v, maps[p, 7] + maps[p, 9] * v
            for j in range(windows[p, 2], windows[p, 3]):
                u = j + 0.5 - maps[p, 1]
                x, y = xr + xs * u, yr + ys * u
                if not (0 <= x + EDGE < width and 0 <= y + EDGE < height):
                    continue
                c, nx, sum_x = _weigh(x - 0.5, widths[p, 0], width, cubic, wx)
                r, ny, sum_y = _weigh(y - 0.5, widths[p, 1], height, cubic, wy)
                c -= left
                r -= top
                inside, total, whole = sum_x * sum_y, 0.0, True
                for b in range(src.shape[0]):
                    band_mask = b if masks > 1 else 0
                    if not clear and masks > 0 and (b == 0 or masks > 1):
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
