"""Pad: grow the image on its four sides. The pixels there are stay as stored; the transform moves with the corner."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..graph.block import Block
from ..graph.errors import ArgumentError
from ..graph.grid import EMPTY, Region
from ..graph.node import Meta, Node, operation, rule, verb
from .common import fitting, same_value, spread
from .select import picked_bands

__all__ = ["pad"]


@operation("pad")
@dataclass(frozen=True, eq=False)
class Pad(Node):
    """``source`` with so many pixels more on each side, holding ``value`` or, where None, invalid."""

    source: Node
    top: int
    bottom: int
    left: int
    right: int
    value: bool | int | float | complex | None = None

    def _meta(self) -> Meta:
        meta = self.source.meta
        if min(self.top, self.bottom, self.left, self.right) < 0:
            raise ArgumentError("pad grows an image, so widths are not negative; use crop() to cut")
        if self.value is not None:
            fitting(self.value, meta.dtype, "pad value")
        grew = self.top or self.bottom or self.left or self.right
        rows, cols = meta.grid.shape
        grown = Region(-self.top, rows + self.bottom, -self.left, cols + self.right)
        return meta.having(grid=meta.grid.crop(grown), masked=meta.masked or bool(grew and self._invalid))

    def need(self, region: Region) -> tuple[Region, ...]:
        inside = region.shifted(-self.top, -self.left).intersect(self.source.meta.grid.region)
        return (EMPTY if inside.is_empty else inside,)

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        (block,) = blocks
        inside = self.need(region)[0].shifted(self.top, self.left)
        if inside == region:
            return block
        shape = len(self.meta.bands), *region.shape
        data = np.full(shape, self.meta.fill if self.value is None else self.value, self.meta.dtype)
        valid = None
        if self._invalid or block.valid is not None:
            bands = 1 if block.valid is None else block.valid.shape[0]
            valid = np.full((bands, *region.shape), not self._invalid)
        if block.data.size:
            rows, cols = inside.within(region)
            data[:, rows, cols] = block.data
            if valid is not None:
                valid[:, rows, cols] = spread(block.valid, (valid.shape[0], *inside.shape))
        return Block(data, valid)

    @rule("pad by nothing", exact=True)
    def _identity(self) -> Node | None:
        return None if self.top or self.bottom or self.left or self.right else self.source

    def select(self, bands: tuple[int, ...]) -> Node | None:
        return Pad(picked_bands(self.source, bands), self.top, self.bottom, self.left, self.right, self.value)

    @property
    def _invalid(self) -> bool:
        """Whether the new pixels are invalid: without a value, or with one that reads as nodata."""
        return self.value is None or self.value != self.value or same_value(self.value, self.source.meta.nodata)


@verb
def pad(raster: Node, width: Any, *, value: complex | None = None) -> Node:
    """Grow the raster on its four sides.

    Parameters
    ----------
    raster : Raster, (band, y, x)
    width : int, (rows, cols), (top, bottom, left, right) or ((top, bottom), (left, right))
        Pixels to add. Two numbers go on both ends of their axis.
    value : number, optional
        What the new pixels hold; they are valid, unless it is NaN or the raster's nodata value. Left out, they are invalid
        and hold the nodata value (else NaN for floats, else 0).

    Returns
    -------
    Raster of the same bands and dtype, its corner moved; the old pixels are untouched.

    Raises
    ------
    ArgumentError
        A width is negative or not a whole number, or the dtype cannot hold the value.
    GridError
        The raster would be larger than a grid can be.
    """
    held = None if value is None else fitting(value, raster.meta.dtype, "pad value")
    return Pad(raster, *_widths(width), held)


def _widths(width: Any) -> tuple[int, int, int, int]:
    try:
        entries = [width] * 4 if np.ndim(width) == 0 else list(width)
        if len(entries) == 2:
            entries = [end for axis in entries for end in ([axis] * 2 if np.ndim(axis) == 0 else axis)]
        top, bottom, left, right = map(operator.index, entries)
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"a pad width is a whole number, (rows, cols) or (top, bottom, left, right) of them; got {width!r}"
        ) from error
    return top, bottom, left, right
