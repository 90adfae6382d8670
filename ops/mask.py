"""Mask: make pixels invalid. Those that are invalid already stay so; all invalid pixels then hold nodata (else NaN or 0)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..graph.block import Block, both_valid
from ..graph.errors import ArgumentError, BandError, DtypeError, GridError
from ..graph.formula import BOOL, Formula, Pixel, computable
from ..graph.grid import Grid, Region
from ..graph.node import Meta, Node, Source, operation, verb
from ..graph.values import FrozenArray
from .common import same_pixels
from .select import picked_bands

__all__ = ["mask"]


@operation("mask")
@dataclass(frozen=True, eq=False)
class Mask(Node):
    """``source``, invalid wherever ``keep`` is 0, False or invalid."""

    source: Node
    keep: Node

    is_pointwise = True

    def _meta(self) -> Meta:
        meta, keep = self.source.meta, self.keep.meta
        same_pixels("mask", self.inputs)
        if keep.dtype.kind not in "biu":
            raise DtypeError(f"mask needs bool or integers, not {keep.dtype}; compare it first, as in r > 0")
        if len(keep.bands) not in (1, len(meta.bands)):
            raise BandError(f"the mask has {len(keep.bands)} bands, the raster {len(meta.bands)}; give as many, or one")
        return meta.having(masked=True)

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        block, keep = blocks
        valid = both_valid(both_valid(keep.data != 0, keep.valid), block.valid)
        masked = Block(block.data, valid).compact()
        return Block(masked.filled(np.asarray(self.meta.fill).astype(self.meta.dtype)), masked.valid)

    def scalar(self, formula: Formula, pixels: tuple[Pixel, ...]) -> Pixel | None:
        pixel, keep = pixels
        if not computable(self.meta.dtype):
            return None
        return formula.filled(
            pixel.value, formula.both(formula.cast(keep.value, BOOL), keep.valid, pixel.valid), self.meta.fill
        )

    def select(self, bands: tuple[int, ...]) -> Node | None:
        keep = self.keep if len(self.keep.meta.bands) == 1 else picked_bands(self.keep, bands)
        return Mask(picked_bands(self.source, bands), keep)


@operation("flags")
@dataclass(frozen=True, eq=False)
class Flags(Source):
    """A bool array (bands, rows, cols) in memory, lying on ``grid``."""

    pixels: Grid
    array: FrozenArray

    def _meta(self) -> Meta:
        array = self.array.array
        if array.dtype != bool or array.ndim != 3 or array.shape[1:] != self.pixels.shape or not len(array):
            raise ArgumentError(f"a mask array is bool and (bands, rows, cols); got {array.dtype} {array.shape}")
        return Meta(self.pixels, tuple(f"valid_{band + 1}" for band in range(len(array))), np.dtype(bool))

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        return Block(self.array.array[:, region.rows, region.cols])


@verb
def mask(raster: Node, valid: Any) -> Node:
    """Make pixels invalid where ``valid`` is False, on top of those that are already.

    Parameters
    ----------
    raster : Raster, (band, y, x)
    valid : Raster on the same pixels, or bool array (rows, cols) or (bands, rows, cols)
        With as many bands as the raster, or one for all. Of a raster, bool or integer, nonzero keeps a pixel and an invalid
        pixel makes one invalid. An array is copied into the graph.

    Returns
    -------
    Raster of the same bands and dtype; invalid pixels hold the nodata value (else NaN for floats, else 0).

    Raises
    ------
    GridError
        The grids differ, or the array has another shape.
    BandError
        Numbers of bands that do not fit.
    DtypeError
        The raster is neither bool nor integer, or the array is not bool.
    """
    node = getattr(valid, "node", None)
    if isinstance(node, Node):
        return Mask(raster, node)
    array = np.array(valid)
    if array.dtype != bool:
        raise DtypeError(f"mask needs a raster or a bool array, not {array.dtype}; compare it first, as in a > 0")
    grid = raster.meta.grid
    if array.ndim not in (2, 3) or array.shape[-2:] != grid.shape:
        raise GridError(f"a mask array of shape {array.shape} does not fit the image of {grid.shape} pixels")
    flags = array if array.ndim == 3 else array[None]
    return Mask(raster, Flags(grid, FrozenArray(flags)))
