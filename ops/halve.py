"""Halve: one step of a pyramid, each output pixel made of two rows and two columns of the input or the taps around them.

Output pixel k of an axis lies on source pixels 2k and 2k + 1, its centre at source coordinate 2k + 1. Where the number of
source pixels is odd, the last output pixel lies on one of them and reaches one pixel beyond the image.

- ``nearest`` is pixel (2k, 2k) as stored, of every dtype. The other methods weigh pixels, their taps.
- ``average``, ``min``, ``max``, ``median`` and ``mode`` are those of the 2 x 2 pixels. The median of an even number is the
  mean of the two in the middle, the mode of equally frequent ones the smallest.
- ``bilinear`` is the triangle, ``cubic`` the kernel of Keys (1981) with a = -0.5, ``lanczos`` that of Duchon (1979) with
  a = 3, each widened by 2, along rows and columns: 4, 8 and 12 taps at half-odd distances from the centre, the first two
  (1, 3, 3, 1) / 8 and (-3, -9, 29, 111, 111, 29, -9, -3) / 256.

Taps outside the image or on invalid pixels are dropped and the other weights made to sum to one; where the valid taps hold
less than half of the weight of all taps inside the image, the result is invalid.

Integers are rounded half up, -1.5 to -1, and saturate; floats are summed in float64, and bools are 0 and 1 of which half is
true. Means and medians of integers are exact up to 64 bits: the wide ones are divided before they are added, and what the
divisions leave is added apart. The kernels along rows and columns take 64-bit integers through float64, so that those
beyond 2**53 lose their last digits. Half floats go through float32, complex as two planes of floats.
A freshly computed result that happens to be the nodata value takes one beside it, as it would read as invalid later.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from affine import Affine

from ..graph.block import Block
from ..graph.errors import ArgumentError, DtypeError
from ..graph.grid import Grid, Region
from ..graph.node import Meta, Node, operation, verb
from .common import avoid_nodata, fill_value, filled
from .halve_loops import AVERAGE, MAX, MEDIAN, MIN, MODE, separable, two_by_two, two_by_two_valid
from .select import picked_bands

__all__ = ["halve"]


def _lanczos() -> np.ndarray:
    """One side of the widened kernel, from the centre out.

    Rounded to multiples of 2**-26 (7e-9): sums of products of two are then exact in float64, whatever their order, and an
    exact half of the weight is found to be one.
    """
    t = (np.arange(6) + 0.5) / 2
    weights = np.sinc(t) * np.sinc(t / 3)
    steps = np.round(weights / weights.sum() * 2**25)
    steps[0] += 2**25 - steps.sum()
    result: np.ndarray = steps / 2**26
    return result


_BOXES = {"average": AVERAGE, "min": MIN, "max": MAX, "median": MEDIAN, "mode": MODE}
_KERNELS = {  # one side, from the centre out
    "bilinear": np.array([3, 1]) / 8,
    "cubic": np.array([111, 29, -9, -3]) / 256,
    "lanczos": _lanczos(),
}
_PICKED = ("nearest", "min", "max", "mode")  # the result is one of the pixels

_NO_MASK = np.ones((1, 1, 1), bool)

METHODS = ("nearest", *_BOXES, *_KERNELS)


@operation("halve")
@dataclass(frozen=True, eq=False)
class Halve(Node):
    """Half the pixels of ``source`` per axis, by one of ``METHODS``."""

    source: Node
    method: str

    cost: ClassVar[float] = 6.0

    def _meta(self) -> Meta:
        meta = self.source.meta
        if self.method not in METHODS:
            raise ArgumentError(f"no method {self.method!r}; choose one of {', '.join(METHODS)}")
        if meta.dtype.kind == "c" and self.method in ("min", "max", "median", "mode"):
            raise DtypeError(f"{self.method} needs pixels that have an order, not {meta.dtype}; take abs() of them first")
        rows, cols = meta.grid.shape
        grid = Grid(((rows + 1) // 2, (cols + 1) // 2), meta.grid.transform @ Affine.scale(2), meta.grid.crs)
        nodata = meta.nodata if meta.nodata is not None or meta.dtype.kind not in "fc" else np.nan
        return meta.having(grid=grid, nodata=nodata, tile=(512, 512))

    def need(self, region: Region) -> tuple[Region, ...]:
        box = Region(2 * region.row0, 2 * region.row1, 2 * region.col0, 2 * region.col1)
        if self.method == "nearest":
            return (Region(box.row0, box.row1 - 1, box.col0, box.col1 - 1),)
        reach = len(_KERNELS[self.method]) - 1 if self.method in _KERNELS else 0
        return (box.grown(reach, reach).intersect(self.source.meta.grid.region),)

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        (block,) = blocks
        meta = self.meta
        if self.method == "nearest":
            picked = None if block.valid is None else block.valid[:, ::2, ::2].copy()
            return filled(block.data[:, ::2, ::2].copy(), picked, fill_value(meta))
        planes, mask = _planes(block.data, through_float=self.method in _KERNELS), block.valid
        if mask is not None and 1 < len(mask) < len(planes):
            mask = np.repeat(mask, 2, axis=0)  # one for the real, one for the imaginary plane of a band
        out = np.empty((len(planes), *region.shape), planes.dtype)
        done = np.empty((0 if mask is None else len(mask), *region.shape), bool)
        if self.method in _BOXES:
            self._box(planes, mask, out, done)
        else:
            self._weigh(planes, mask, region, out, done)
        if len(done) == 2 * len(block.data):
            done = done[::2]
        result = filled(_from_planes(out, meta.dtype), None if mask is None else done, fill_value(meta))
        if self.method not in _PICKED:
            avoid_nodata(result.data, result.valid, meta)
        return result

    def _box(self, planes: np.ndarray, mask: np.ndarray | None, out: np.ndarray, done: np.ndarray) -> None:
        how, given = _BOXES[self.method], (*_flat(planes), planes.shape[1:])
        if mask is None:
            two_by_two(how, *given, out)
        else:
            two_by_two_valid(how, *given, *_flat(mask), planes.dtype.type(0), out, done)

    def _weigh(self, planes: np.ndarray, mask: np.ndarray | None, region: Region, out: np.ndarray, done: np.ndarray) -> None:
        (box,) = self.need(region)
        weights, (height, width) = _KERNELS[self.method], self.source.meta.grid.shape
        sums = [_inside(weights, region.row0, region.row1, height), _inside(weights, region.col0, region.col1, width)]
        given = (*_flat(planes), planes.shape[1:], *_flat(_NO_MASK if mask is None else mask))
        lead, limits = (2 * region.row0 - box.row0, 2 * region.col0 - box.col0), _limits(self.meta.dtype)
        separable(*given, lead, weights, np.concatenate(sums), limits, planes.dtype.type(0), out, done)

    def select(self, bands: tuple[int, ...]) -> Node | None:
        return Halve(picked_bands(self.source, bands), self.method)


def _inside(weights: np.ndarray, start: int, stop: int, size: int) -> np.ndarray:
    """Per output pixel of an axis, what the weights of its taps inside an image of ``size`` pixels add up to."""
    half = len(weights)
    taps = 2 * np.arange(start, stop)[:, None] + np.arange(1 - half, half + 1)
    both = np.concatenate([weights[::-1], weights])
    result: np.ndarray = np.where((taps >= 0) & (taps < size), both, 0.0).sum(axis=1)
    return result


def _flat(array: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """The elements from the first to the last one as they lie in memory, and how many lie between two bands and two rows.

    A block is often a window of a larger one: the loops want rows without gaps, not a copy.
    """
    size = array.itemsize
    between, inner = array.strides[:2], array.strides[2]
    if inner != size or not array.flags.aligned or any(stride < 0 or stride % size for stride in between):
        array = np.array(array, order="C")
        between = array.strides[:2]
    steps = between[0] // size, between[1] // size
    last = sum((n - 1) * step for n, step in zip(array.shape, (*steps, 1), strict=True))
    return np.lib.stride_tricks.as_strided(array, (last + 1,), (size,), writeable=False), steps


def _planes(data: np.ndarray, *, through_float: bool) -> np.ndarray:
    """The data in a type that the loops take, without a copy where there is one."""
    kind, size = data.dtype.kind, data.dtype.itemsize
    if kind == "c":
        data = np.stack([data.real, data.imag], axis=1).reshape(-1, *data.shape[1:])
        kind, size = "f", size // 2
    if kind == "b":
        return data.view(np.uint8)
    if kind == "f" and size not in (4, 8):
        return data.astype(np.float32 if size == 2 else np.float64)
    return data.astype(np.float64) if through_float and kind in "iu" and size == 8 else data


def _from_planes(out: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The planes in the result's dtype."""
    if out.dtype == dtype:
        return out
    if dtype.kind == "c":
        result = np.empty((len(out) // 2, *out.shape[1:]), dtype)
        result.real, result.imag = out[::2], out[1::2]
        return result
    if dtype.kind == "b":
        return out.view(bool)
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return out.astype(dtype)
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max  # 64 bits, whose greatest numbers a float64 rounds up
    whole = np.where(np.abs(out) < 2.0**52, np.floor(out + 0.5), out)
    above, below = whole >= float(high), whole <= float(low)
    result = np.where(above | below, 0, whole).astype(dtype)
    result[above], result[below] = high, low
    return result


def _limits(dtype: np.dtype) -> tuple[float, float]:
    """The least and the greatest number that the loops round to; alike where they do not round."""
    if dtype.kind == "b":
        return 0.0, 1.0
    if dtype.kind in "iu" and dtype.itemsize < 8:
        return float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)
    return 0.0, 0.0


@verb
def halve(raster: Node, method: str = "average") -> Node:
    """Half the pixels along both axes: one step of a pyramid.

    Parameters
    ----------
    raster : Raster, (band, y, x)
    method : str
        "nearest", "average", "min", "max", "median", "mode" of the 2 x 2 pixels beneath each output pixel, or one of the
        kernels "bilinear" (4 x 4 pixels), "cubic" (8 x 8, a = -0.5) and "lanczos" (12 x 12, a = 3).

    Returns
    -------
    Raster
        Same bands and dtype, of (n + 1) // 2 pixels per axis, each exactly twice as large: output pixel k lies on source
        pixels 2k and 2k + 1, and for an odd n the last one reaches one pixel beyond the image. Integers are rounded half up
        and saturate. Invalid pixels take no part; a pixel with less than half of its weight valid is invalid.

    Raises
    ------
    ArgumentError
        There is no such method.
    DtypeError
        The pixels are complex, which have no order, and the method is "min", "max", "median" or "mode".
    """
    return Halve(raster, method)
