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
A valid bilinear or cubic result that happens to be the nodata value takes one beside it, as it would read as invalid later.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from ..graph.block import Block
from ..graph.errors import ArgumentError
from ..graph.grid import EMPTY, Region
from ..graph.node import Meta
from .sampling_loops import EDGE, bilinear, nearest
from .weighted_loops import upright, weighted

RADIUS = {"nearest": 0.0, "bilinear": 1.0, "cubic": 2.0}  # of the plain kernel, in source pixels
WIDEN_FROM = 1 / 0.95

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
            corners.append([placed(maps, first, extra, u, v) for first, extra in ((2, 14), (6, 19))])
    points = np.array(corners).reshape(4, 2, -1)
    low, high = points.min(axis=0) - maps[:, 12:14].T, points.max(axis=0) + maps[:, 12:14].T
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
    planes, fill = _as_planes(block.data, _fill(meta), resampling)
    mask = np.empty((0, 1, 1), bool) if block.valid is None else np.ascontiguousarray(block.valid)
    if block.valid is not None and 1 < len(mask) < len(planes):
        mask = np.repeat(mask, 2, axis=0)  # one for the real, one for the imaginary plane of a band
    out = np.empty((len(planes), *region.shape), planes.dtype)
    done = np.zeros((max(1, len(mask)), *region.shape), bool)
    where = np.array([covered.row0, covered.col0, *shape, region.row0, region.col0])
    for patches in pieces:
        if resampling == "nearest":
            nearest(planes, mask, where, patches.windows, patches.maps, out, done)
            continue
        widths = widening(patches.maps[:, 10:12], resampling, antialias)
        wide = np.full(len(widths), True) if resampling == "cubic" else (widths > 1).any(axis=1)
        for chosen, wanted in ((~wide, False), (wide, True)):
            if not chosen.any():
                continue
            windows, maps = (patches.windows, patches.maps) if chosen.all() else (patches.windows[chosen], patches.maps[chosen])
            if wanted:
                _sample_wide(planes, mask, where, windows, maps, out, done, widths[chosen], resampling == "cubic")
            else:
                bilinear(planes, mask, where, windows, maps, out, done, planes.dtype.kind in "iu")
    if not done.all():
        np.copyto(out, fill, where=~done)
    if len(done) == 2 * len(block.data):
        done = done[::2]
    valid = None if not meta.masked or done.all() else done
    data = _from_planes(out, valid, meta)
    if resampling != "nearest":
        _avoid_nodata(data, valid, meta)
    return Block(data, valid)


def _avoid_nodata(data: np.ndarray, valid: np.ndarray | None, meta: Meta) -> None:
    """Move valid pixels that hold the nodata value one value aside."""
    if meta.nodata is None or not np.isfinite(meta.nodata) or meta.dtype.kind not in "iuf":
        return
    meets = data == meta.nodata
    if valid is not None:
        meets &= valid
    if not meets.any():
        return
    if meta.dtype.kind == "f":
        # Readers of files take floats within a few units of the last place for nodata too.
        value = meta.dtype.type(meta.nodata)
        step = 16 * np.spacing(abs(value))
        data[meets] = value - step if value > 0 else value + step
    else:
        nodata = int(meta.nodata.real)
        data[meets] = nodata + (1 if nodata < np.iinfo(meta.dtype).max else -1)


def _sample_wide(
    planes: np.ndarray,
    mask: np.ndarray,
    where: np.ndarray,
    windows: np.ndarray,
    maps: np.ndarray,
    out: np.ndarray,
    done: np.ndarray,
    widths: np.ndarray,
    cubic: bool,
) -> None:
    """More than 2 x 2 taps: upright windows by rows and columns, the others pixel by pixel; bit for bit the same sums."""
    how = (cubic, planes.dtype.kind in "iu", *_limits(planes.dtype))
    rest = upright(planes, mask, where, windows, maps, out, done, widths, *how)
    if rest.any():
        # A weight of 0 cancels what is finite only; what stands beneath the mask is no tap.
        finite = planes.dtype.kind != "f" or bool((np.isfinite(planes) | ~mask if len(mask) else np.isfinite(planes)).all())
        weighted(planes, mask, where, windows[rest], maps[rest], out, done, widths[rest], *how, finite)


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
