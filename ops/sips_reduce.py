"""SIPS reduction: an image of half the size by the standard's two steps (NGA.STND.0014, section 2.2), level by level.

Both steps are weighed sums, computed for every pixel and every second one: the anti-alias kernel of 7 x 7 pixels (Table 2.2,
weights as printed), then LaGrange's 4 x 4 for the point between four pixels. Output pixel k of an axis is made of the input
pixels 2 k - 4 .. 2 k + 5 and lies at 2 k + 1 in corner coordinates. Beyond its border an image goes on as its mirror image
without repeating the border's pixels ("Mirror Edge - Odd").

- Integers, and floats of a given ``bit_depth``: both steps are rounded half up and clipped, as in the standard's own figures.
  Sums are float64: exact up to 20 bits a pixel, ties included; beyond that a tie may be missed.
- Floats otherwise: neither is rounded, and the steps are one: 10 x 10 weights that are the square of 10. They come from the
  line [-.08333, 0, .33333, .5, .33333, 0, -.08333], whose square is Table 2.2 within 1.2e-7 and whose sum is 1. Sums are
  float64 here too.

Invalid pixels take no part: in each step the weights of the valid ones are made to sum to one, and where these hold less than
half of the weight of all, the result of the step is invalid. Floats follow the two steps with the table's weights there, that
is, wherever one of the 100 pixels is invalid; it is decided pixel by pixel, so blocks never show.

An infinity makes the pixels around it infinite, or NaN, which is invalid, where the signs of its weights or of several
infinities meet; pixels of weight 0 do not count. With a bit depth it is clipped like any other number.
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from affine import Affine
from numpy.lib.stride_tricks import as_strided

from ..graph.block import Block
from ..graph.errors import ArgumentError
from ..graph.grid import EMPTY, Grid, Region
from ..graph.node import Meta, Node, operation, verb
from .common import avoid_nodata, fill_value, filled, finished
from .select import picked_bands
from .sips import as_taken, check_dtype, checked_image, dtype_limits, fits_int32
from .sips_loops import AROUND, BEFORE, mirrored, reduce

__all__ = ["sips_reduce", "sips_rrds_resample"]

Limits = tuple[float, float]


@operation("sips_reduce")
@dataclass(frozen=True, eq=False)
class SipsReduce(Node):
    """``source`` at half its size, rounded up."""

    cost: ClassVar[float] = 20.0
    workspace: ClassVar[float] = 1.0

    source: Node
    bit_depth: int | None = None

    def _meta(self) -> Meta:
        meta = self.source.meta
        step_limits(meta.dtype, self.bit_depth)
        grid = Grid(_halved(meta.grid.shape), meta.grid.transform @ Affine.scale(2), meta.grid.crs)
        is_float = meta.dtype.kind == "f"
        nodata = math.nan if is_float and meta.nodata is None else meta.nodata
        # Of floats, infinities of both signs may meet.
        return meta.having(grid=grid, nodata=nodata, masked=meta.masked or is_float, tile=(512, 512))

    def need(self, region: Region) -> tuple[Region]:
        if region.is_empty:
            return (EMPTY,)
        rows, cols = self.source.meta.grid.shape
        return (Region(*_span(region.row0, region.row1, rows), *_span(region.col0, region.col1, cols)),)

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        (block,) = blocks
        limits = step_limits(self.meta.dtype, self.bit_depth)
        covered, shape = self.need(region)[0], self.source.meta.grid.shape
        data, valid = _reduced(as_taken(block.data), block.valid, covered, shape, region, limits)
        data, fill = data.astype(self.meta.dtype, copy=False), fill_value(self.meta)
        result = finished(data, valid, fill) if self.meta.dtype.kind == "f" else filled(data, valid, fill)
        if limits is not None and self.meta.nodata == limits[1]:
            _step_below(result.data, result.valid, limits[1])
        else:
            avoid_nodata(result.data, result.valid, self.meta)
        return result

    def select(self, bands: tuple[int, ...]) -> Node:
        return SipsReduce(picked_bands(self.source, bands), self.bit_depth)


@verb
def sips_reduce(raster: Node, levels: int = 1, *, bit_depth: int | None = None) -> Node:
    """Halve the image by the SIPS method for reduced resolution data sets (RRDS), once or several times.

    Parameters
    ----------
    raster : Raster, (band, y, x), integer of up to 32 bits or float
    levels : int
        How often: the result is 2**levels times coarser. 0 is the raster itself.
    bit_depth : int, optional
        Significant bits of a pixel: after each step values are clipped to 0 .. 2**bit_depth - 1. Left out, integers are clipped
        to what their dtype holds, and floats are neither rounded nor clipped. With it, floats are rounded like integers.

    Returns
    -------
    Raster of the same bands and dtype
        Per level (n + 1) // 2 pixels along an axis of n, twice as large on the ground: the last of an odd number reaches one
        pixel beyond the image. Invalid pixels take no part, and a result with less than half of its weight valid is invalid.
        A valid result that happens to be the nodata value takes one beside it. Method: NGA.STND.0014, section 2.2.

    Raises
    ------
    ArgumentError
        ``levels`` is no whole number of at least 0, or the dtype has no room for ``bit_depth``.
    DtypeError
        The pixels are bool, complex, or integers of 64 bits.
    """
    try:
        count = -1 if isinstance(levels, bool) else operator.index(levels)
    except TypeError:
        count = -1
    if count < 0:
        raise ArgumentError(f"levels is how often the image is halved, a whole number from 0 on; got {levels!r}")
    step_limits(raster.meta.dtype, bit_depth)
    depth = None if bit_depth is None else operator.index(bit_depth)
    for _ in range(count):
        raster = SipsReduce(raster, depth)
    return raster


def sips_rrds_resample(image: Any, target_rows: int, target_cols: int, *, bit_depth: int | None = None) -> np.ndarray:
    """Halve an array by the SIPS method for reduced resolution data sets (RRDS).

    Parameters
    ----------
    image : (rows, cols) or (bands, rows, cols), integer of up to 32 bits or float
        Never written into. NaN takes no part: weights of the other pixels are made to sum to one.
    target_rows, target_cols : int
        (rows + 1) // 2 and (cols + 1) // 2; nothing else can be had.
    bit_depth : int, optional
        Significant bits of a pixel: after each step values are clipped to 0 .. 2**bit_depth - 1. Left out, integers are clipped
        to what their dtype holds, and floats are neither rounded nor clipped. With it, floats are rounded like integers.

    Returns
    -------
    ndarray
        (target_rows, target_cols), with the image's bands and dtype. NaN where NaN held half of the weight or more, and where
        infinities of both signs meet. Reproduces Tables 2.5 and 2.6 of NGA.STND.0014 with integers and a bit depth of 11.

    Raises
    ------
    ArgumentError
        The image has other than two or three axes or no pixels, the target is not half of it, or the dtype has no room for
        ``bit_depth``.
    DtypeError
        The pixels are bool, complex, or integers of 64 bits.
    """
    array, planes = checked_image(image, "SIPS reduction")
    limits = step_limits(planes.dtype, bit_depth)
    half = _halved(planes.shape[1:])
    if (target_rows, target_cols) != half:
        raise ArgumentError(
            f"SIPS reduction of {planes.shape[1:]} pixels gives {half}, half of it rounded up; got a target of "
            f"{(target_rows, target_cols)}; choose another resampling for other sizes"
        )
    region, shape = Region(0, half[0], 0, half[1]), planes.shape[1:]
    whole = Region(0, shape[0], 0, shape[1])
    out, _ = _reduced(planes, None, whole, shape, region, limits)
    if out.dtype.kind == "f" and np.isnan(out).any():  # a NaN spreads over all that weighs it, so none would stay unseen
        valid = ~np.isnan(planes)
        if not valid.all():
            out, done = _reduced(planes, valid, whole, shape, region, limits)
            assert done is not None
            out[~done] = math.nan
    return out.astype(array.dtype, copy=False).reshape(*array.shape[:-2], *half)


def step_limits(dtype: np.dtype, bit_depth: int | None) -> Limits | None:
    """What values are clipped to after each step; None if they are not rounded either.

    Raises
    ------
    DtypeError
        The pixels are bool, complex, or integers of 64 bits.
    ArgumentError
        ``bit_depth`` is no whole number from 1 on, or the dtype does not hold all integers of so many bits.
    """
    check_dtype(dtype, "SIPS reduction")
    if bit_depth is None:
        return dtype_limits(dtype)
    try:
        bits = 0 if isinstance(bit_depth, bool) else operator.index(bit_depth)
    except TypeError:
        bits = 0
    most = np.finfo(dtype).nmant + 1 if dtype.kind == "f" else int(np.iinfo(dtype).max).bit_length()
    if not 1 <= bits <= most:
        raise ArgumentError(f"bit_depth is a whole number of bits, for {dtype} from 1 to {most}; got {bit_depth!r}")
    return 0.0, float(2**bits - 1)


def _reduced(
    data: np.ndarray, valid: np.ndarray | None, covered: Region, shape: tuple[int, int], region: Region, limits: Limits | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Pixels and validity of ``region``, from a block that covers ``covered`` of an image of ``shape`` pixels."""
    out = np.empty((len(data), *region.shape), data.dtype)
    done = np.empty((0 if valid is None else len(valid), *region.shape), bool)
    flat, strides = _flat(data)
    mask, mask_strides = _flat(np.ones((1, 1, 1), bool) if valid is None else valid)
    band = -1 if valid is None else mask_strides[0] if len(valid) > 1 else 0
    where = np.array([covered.row0, covered.col0, *shape, region.row0, region.col0])
    plain = True if limits is None else None
    reduce(flat, strides, mask, (band, mask_strides[1]), where, limits, plain, fits_int32(data.dtype), out, done)
    return out, None if valid is None else done


def _flat(planes: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """The memory of (bands, rows, cols) as a line, and how far bands and rows are apart in it; copies only what has gaps."""
    size = planes.itemsize
    if planes.strides[2] != size or any(step < 0 or step % size for step in planes.strides):
        planes = np.ascontiguousarray(planes)
    band, row = planes.strides[0] // size, planes.strides[1] // size
    bands, rows, cols = planes.shape
    length = (bands - 1) * band + (rows - 1) * row + cols
    return as_strided(planes, (length,), (size,), writeable=False), (band, row)


def _halved(shape: tuple[int, ...]) -> tuple[int, int]:
    rows, cols = shape
    return (rows + 1) // 2, (cols + 1) // 2


def _span(first: int, stop: int, size: int) -> tuple[int, int]:
    """The input pixels of an axis that output pixels ``first`` to ``stop - 1`` are made of."""
    start, end = 2 * first - BEFORE, 2 * stop + AROUND - BEFORE
    outside = [mirrored(k, size) for k in (*range(start, 0), *range(size, end))]
    return min([max(start, 0), *outside]), max([min(end, size) - 1, *outside]) + 1


def _step_below(data: np.ndarray, valid: np.ndarray | None, nodata: float) -> None:
    """Move valid pixels that hold the nodata value one below, where that is the greatest of the bit depth."""
    meets = data == nodata
    if valid is not None:
        meets &= valid
    data[meets] = nodata - 1
