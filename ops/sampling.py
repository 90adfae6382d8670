"""Sampling kernels: what each resampling computes of one block, whatever made the coordinates.

A sample at source coordinate (x, y) exists where ``0 <= x < width`` and ``0 <= y < height``. Its taps are the pixels
that it is made of; taps outside the image or on invalid pixels are dropped and the other weights made to sum to one. Where
the valid taps hold less than half of the weight (of mode, min, max and median: the number) of all taps inside the image,
the result is invalid.

- ``nearest`` takes the pixel that (x, y) lies in. Coordinates within a millionth of a pixel below an edge lie on it, so a
  tie goes to the pixel right and below, whatever the rounding of the coordinates. Exact for every dtype.
- ``bilinear`` weighs 2 x 2 pixels, ``cubic`` 4 x 4 (Keys 1981, a = -0.5, also called Catmull-Rom), ``lanczos`` 6 x 6
  (sinc(t) sinc(t / 3), |t| < 3; Duchon 1979). With ``antialias`` they widen by the local scale (source pixels per output
  pixel, per source axis), as GDAL and Pillow do, from a scale of 1/0.95 on, GDAL's threshold; below it the taps are the
  plain ones.
- ``average`` weighs each pixel by how much of it lies in a box around (x, y) that is as wide as the local scale: the mean
  over the output pixel. So halving is the mean of 2 x 2 pixels, and every source pixel weighs the same in total. Enlarging,
  the box lies within one pixel but near its borders, so pixels become squares, as those of ``nearest``, with mixed borders.
- ``mode``, ``min``, ``max`` and ``median`` pick from the pixels whose centres lie in that box (half-open, so that each
  source pixel counts once when shrinking upright); along an axis where there is none, the pixel that (x, y) lies in. Of
  several most frequent values ``mode`` takes the smallest; the median of an even number is the mean of the middle two. Exact
  for every integer type; a NaN that is valid is the greatest value, and -0.0 counts as 0.0. ``antialias`` says nothing to
  them nor to ``average``.

Integers are rounded half up and saturate. uint8, uint16, int16, float32 and float64 are weighed as they are and summed in
float64; other types pass through float64 (64-bit integers beyond 2**53 lose their last digits), complex as two floats. A
valid result that was computed, not picked, and happens to be the nodata value takes one beside it, as it would read as
invalid later.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from ..graph.block import Block
from ..graph.errors import ArgumentError, DtypeError
from ..graph.grid import EMPTY, Region
from ..graph.node import Meta
from .common import avoid_nodata, fill_value
from .footprint_loops import MAX, MEDIAN, MIN, MODE, footprint, ordered
from .sampling_loops import EDGE, bilinear, nearest
from .weighted_loops import upright, weighted, whole_means

WIDEN_FROM = 1 / 0.95
_LEAST_WIDTH, _MOST_WIDTH = 2.0**-10, 2.0**40  # source pixels; what is narrower is a point, and no image is wider
_PART = 16  # pixels a side of the parts of windows that are not all valid


class Resampling(NamedTuple):
    """What the rest of the package asks about a resampling, instead of its name.

    Parameters
    ----------
    radius : int
        Of the plain kernel, in source pixels; 0 where there is none.
    footprint : bool
        Made of the pixels beneath the output pixel, whatever ``antialias`` says.
    picks : int, optional
        What is picked from the footprint (for ``footprint_loops``) instead of weighing.
    """

    radius: int
    footprint: bool = False
    picks: int | None = None

    @property
    def weighs(self) -> bool:
        """Whether the result is a weighted mean, so that means of pixels (an overview) may stand for them."""
        return self.radius > 0 or (self.footprint and self.picks is None)

    def averages(self, antialias: bool) -> bool:
        """Whether every pixel counts where the output is coarser."""
        return self.weighs and (antialias or self.footprint)


RESAMPLINGS = {
    "nearest": Resampling(0),
    "bilinear": Resampling(1),
    "cubic": Resampling(2),
    "lanczos": Resampling(3),
    "average": Resampling(0, footprint=True),
    "mode": Resampling(0, footprint=True, picks=MODE),
    "min": Resampling(0, footprint=True, picks=MIN),
    "max": Resampling(0, footprint=True, picks=MAX),
    "median": Resampling(0, footprint=True, picks=MEDIAN),
}

_DIRECT = frozenset(np.dtype(name) for name in ("uint8", "uint16", "int16", "float32", "float64"))


MAP_SIZE = 24


class Patches(NamedTuple):
    """Coordinates: output windows, each with the function that gives its source coordinates.

    Parameters
    ----------
    windows : (n, 4) int64
        row0, row1, col0, col1 of the output pixels.
    maps : (n, MAP_SIZE) float64
        Of the pixel centre's distances u (columns) and v (rows) from an origin, the biquadratic functions x and y.
        0, 1: the origin (row, col). 2 to 5: x at the origin, and its factors of u, v, u v; 6 to 9: those of y. 10, 11: the
        scale along x and y. 12, 13: how far x and y may lie beyond their values in the corners of a window. 14 to 18: the
        factors of v^2, u v^2, u^2, u^2 v, u^2 v^2 in x; 19 to 23: those in y.
    """

    windows: np.ndarray
    maps: np.ndarray


def check_resampling(resampling: str, dtype: np.dtype | None = None) -> str:
    """``resampling`` if there is one of that name, and it can be made of pixels of ``dtype``.

    Raises
    ------
    ArgumentError
        There is not; the message lists those that are.
    DtypeError
        It needs an order and the pixels are complex.
    """
    if resampling not in RESAMPLINGS:
        raise ArgumentError(f"no resampling {resampling!r}; choose one of {', '.join(RESAMPLINGS)}")
    if dtype is not None and dtype.kind == "c" and RESAMPLINGS[resampling].picks is not None:
        raise DtypeError(f"{resampling} needs pixels that have an order, not {dtype}; take abs() of them first")
    return resampling


def widening(scale: np.ndarray, resampling: str, antialias: bool) -> np.ndarray:
    """How much wider than plain the kernel is at these scales, or how wide the footprint, in source pixels."""
    kind = RESAMPLINGS[resampling]
    if kind.footprint:
        widths: np.ndarray = np.clip(scale, _LEAST_WIDTH, _MOST_WIDTH)
        return widths
    wide = np.minimum(scale, _MOST_WIDTH)
    return np.where(scale > WIDEN_FROM, wide, 1.0) if antialias and kind.weighs else np.ones_like(scale)


def _reach(widths: np.ndarray, resampling: str) -> np.ndarray:
    """How far from the sample index, half a pixel below the coordinate, a tap may be, with some slack for rounding."""
    kind = RESAMPLINGS[resampling]
    reach: np.ndarray = kind.radius * widths + 2 * EDGE
    if not kind.radius:
        # Of a box the slack is what the kernel keeps clear of: the box that ends with a pixel needs no other.
        reach = 0.5 * widths + 0.5 - 0.5 * EDGE if kind.weighs else np.maximum(0.5 * widths, 0.5) + 2 * EDGE
    return reach


def taps(patches: Patches, shape: tuple[int, int], resampling: str, antialias: bool) -> Region:
    """The box of source pixels, clipped to ``shape``, that sampling ``patches`` may weigh; empty where there are none."""
    row0, row1, col0, col1 = (patches.windows[:, k] for k in range(4))
    maps = patches.maps
    corners = []
    for rows in (row0, row1 - 1):
        v = rows + 0.5 - maps[:, 0]
        for cols in (col0, col1 - 1):
            u = cols + 0.5 - maps[:, 1]
            corners.append([placed(maps, first, extra, u, v) for first, extra in ((2, 14), (6, 19))])
    points = np.array(corners).reshape(4, 2, -1)
    low, high = points.min(axis=0) - maps[:, 12:14].T, points.max(axis=0) + maps[:, 12:14].T
    size = np.array([[shape[1]], [shape[0]]], float)
    reach = _reach(widening(maps[:, 10:12].T, resampling, antialias), resampling)
    touching = ((high >= -2 * EDGE) & (low < size)).all(axis=0)
    if not touching.any():
        return EMPTY
    low = np.ceil(np.maximum(low, 0) - 0.5 - reach).min(axis=1, where=touching, initial=np.inf)
    high = np.floor(np.minimum(high, size) - 0.5 + reach).max(axis=1, where=touching, initial=-np.inf) + 1
    box = Region(int(max(low[1], 0)), int(min(high[1], shape[0])), int(max(low[0], 0)), int(min(high[0], shape[1])))
    return EMPTY if box.is_empty else box


def placed(maps: np.ndarray, first: int, extra: int, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """x or y of ``maps``, whose factors stand from ``first`` and ``extra`` on, at ``u`` and ``v``."""
    at = maps.T
    constant = at[first] + (at[first + 2] + at[extra] * v) * v
    slope = at[first + 1] + (at[first + 3] + at[extra + 1] * v) * v
    bend = at[extra + 2] + (at[extra + 3] + at[extra + 4] * v) * v
    result: np.ndarray = constant + (slope + bend * u) * u
    return result


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
    kind = RESAMPLINGS[resampling]
    mask = np.empty((0, 1, 1), bool) if block.valid is None else np.ascontiguousarray(block.valid)
    if kind.picks is not None:
        return _picked(block.data, mask, covered, shape, pieces, region, meta, kind.picks)
    planes, fill = _as_planes(block.data, fill_value(meta), kind.weighs)
    if 1 < len(mask) < len(planes):
        mask = np.repeat(mask, 2, axis=0)  # one for the real, one for the imaginary plane of a band
    out = np.empty((len(planes), *region.shape), planes.dtype)
    done = np.zeros((max(1, len(mask)), *region.shape), bool)
    where = np.array([covered.row0, covered.col0, *shape, region.row0, region.col0])
    for patches in pieces:
        if not kind.weighs:
            nearest(planes, mask, where, patches.windows, patches.maps, out, done)
            continue
        widths = widening(patches.maps[:, 10:12], resampling, antialias)
        wide = np.full(len(widths), True) if kind.radius != 1 else (widths > 1).any(axis=1)
        for chosen, wanted in ((~wide, False), (wide, True)):
            if not chosen.any():
                continue
            windows, maps = (patches.windows, patches.maps) if chosen.all() else (patches.windows[chosen], patches.maps[chosen])
            if wanted:
                _sample_wide(planes, mask, where, windows, maps, out, done, widths[chosen], kind.radius)
            else:
                bilinear(planes, mask, where, windows, maps, out, done, planes.dtype.kind in "iu")
    if not done.all():
        np.copyto(out, fill, where=~done)
    if len(done) == 2 * len(block.data):
        done = done[::2]
    valid = None if not meta.masked or done.all() else done
    data = _from_planes(out, valid, meta)
    if kind.weighs:
        avoid_nodata(data, valid, meta)
    return Block(data, valid)


def _picked(
    data: np.ndarray,
    mask: np.ndarray,
    covered: Region,
    shape: tuple[int, int],
    pieces: Iterable[Patches],
    region: Region,
    meta: Meta,
    how: int,
) -> Block:
    """``sample`` by mode, min, max or median."""
    keys = _as_keys(data)
    lower = np.zeros((len(keys), *region.shape), keys.dtype)
    upper = np.zeros_like(lower) if how == MEDIAN else lower[:0]
    done = np.zeros((max(1, len(mask)), *region.shape), bool)
    where = np.array([covered.row0, covered.col0, *shape, region.row0, region.col0])
    counts = np.zeros(2 ** (8 * keys.itemsize) if how == MODE and keys.itemsize <= 2 else 0, np.uint32)
    for windows, maps in pieces:
        widths = np.clip(maps[:, 10:12], _LEAST_WIDTH, _MOST_WIDTH)
        footprint(keys, mask, where, windows, maps, lower, upper, done, widths, how, counts)
    if how == MEDIAN and meta.dtype.kind in "iu":
        lower = (lower | upper) - ((lower ^ upper) >> lower.dtype.type(1))  # half up, without overflow
    result = _from_keys(lower, meta.dtype)
    if how == MEDIAN and meta.dtype.kind == "f":
        result = _mean(result, _from_keys(upper, meta.dtype))
    valid = None if not meta.masked or done.all() else done
    if not done.all():
        np.copyto(result, fill_value(meta), where=~done)
    if how == MEDIAN:
        avoid_nodata(result, valid, meta)
    return Block(result, valid)


def _as_keys(data: np.ndarray) -> np.ndarray:
    """Unsigned integers that are in the order of the pixels; NaN is the greatest."""
    dtype = data.dtype
    if dtype.byteorder == ">":
        data = data.astype(dtype.newbyteorder("="))
    keys = np.ascontiguousarray(data).view(f"u{dtype.itemsize}")
    top = keys.dtype.type(1 << (8 * dtype.itemsize - 1))
    if dtype.kind == "i":
        keys = keys ^ top
    if dtype.kind in "bui":
        return keys
    keys, infinity = keys.copy(), np.array(np.inf, dtype.newbyteorder("=")).view(keys.dtype)[()]
    ordered(keys.reshape(-1), top, infinity, keys.dtype.type(np.iinfo(keys.dtype).max))
    return keys


def _from_keys(keys: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The pixels of ``_as_keys``."""
    top = keys.dtype.type(1 << (8 * keys.itemsize - 1))
    if dtype.kind == "i":
        keys = keys ^ top
    elif dtype.kind == "f":
        keys = np.where(keys & top, keys ^ top, ~keys)
    result: np.ndarray = keys.view(dtype.newbyteorder("=")).astype(dtype, copy=False)
    return result


def _mean(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The mean of two arrays of floats of one dtype."""
    with np.errstate(all="ignore"):
        total = a + b.astype(np.float64)
        mean: np.ndarray = np.where(np.isinf(total), 0.5 * a + 0.5 * b, 0.5 * total).astype(a.dtype)
    return mean


def _sample_wide(
    planes: np.ndarray,
    mask: np.ndarray,
    where: np.ndarray,
    windows: np.ndarray,
    maps: np.ndarray,
    out: np.ndarray,
    done: np.ndarray,
    widths: np.ndarray,
    radius: int,
) -> None:
    """Other than 2 x 2 taps: upright windows by rows and columns, the others pixel by pixel; bit for bit the same sums."""
    how = (radius, planes.dtype.kind in "iu", *_limits(planes.dtype))
    if radius == 0:
        # Sums of integers fit: at most 2**15 pixels of 16 bits.
        room = np.zeros(0, np.int32 if planes.dtype.kind in "iu" else np.float64)
        rest = whole_means(planes, mask, where, windows, maps, out, done, widths, how[1], room)
        if not rest.any():
            return
        windows, maps, widths = windows[rest], maps[rest], widths[rest]
    rest = upright(planes, mask, where, windows, maps, out, done, widths, *how)
    if len(mask) and rest.any():
        # A single invalid pixel makes a whole window slow, so try smaller ones.
        windows, of = _parts(windows[rest])
        maps, widths = maps[rest][of], widths[rest][of]
        rest = upright(planes, mask, where, windows, maps, out, done, widths, *how)
    if rest.any():
        # A weight of 0 cancels what is finite only; what stands beneath the mask is no tap.
        finite = planes.dtype.kind != "f" or bool((np.isfinite(planes) | ~mask if len(mask) else np.isfinite(planes)).all())
        weighted(planes, mask, where, windows[rest], maps[rest], out, done, widths[rest], *how, finite)


def _parts(windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The windows cut into parts of at most ``_PART`` pixels a side, and which window each is a part of."""
    (row0, row1, col0, col1), longest = windows.T, int((windows[:, 1::2] - windows[:, ::2]).max())
    steps = np.arange(0, longest, _PART)
    of, i, j = (index.ravel() for index in np.meshgrid(np.arange(len(windows)), steps, steps, indexing="ij"))
    row, col = row0[of] + i, col0[of] + j
    parts = np.stack([row, np.minimum(row + _PART, row1[of]), col, np.minimum(col + _PART, col1[of])], axis=1)
    some = (parts[:, 0] < parts[:, 1]) & (parts[:, 2] < parts[:, 3])
    return parts[some], of[some]


def _as_planes(data: np.ndarray, fill: Any, weighs: bool) -> tuple[np.ndarray, Any]:
    """The data in a type that a kernel takes, without a copy where there is one, and the fill value in it."""
    dtype, one = data.dtype, np.array([fill])
    if dtype == np.complex128 or (dtype.kind == "c" and weighs):
        part = np.dtype(f"f{dtype.itemsize // 2}")
        split = np.stack([data.real, data.imag], axis=1).reshape(-1, *data.shape[1:])
        if weighs:
            return split, np.zeros(1, part)[0]
        whole = np.dtype(f"u{part.itemsize}")
        return split.view(whole), np.zeros(1, whole)[0]
    if not weighs:
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
        result[~np.broadcast_to(valid, result.shape)] = fill_value(meta)
    return result


def _limits(dtype: np.dtype) -> tuple[float, float]:
    return (float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)) if dtype.kind in "iu" else (-math.inf, math.inf)
