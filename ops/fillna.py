"""Fillna: give invalid pixels a value. Afterwards every pixel is valid, so there is no nodata value any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..graph.block import Block
from ..graph.errors import ArgumentError, BandError
from ..graph.formula import Formula, Pixel, computable
from ..graph.grid import Region
from ..graph.node import Meta, Node, operation, rule, verb
from .common import fitting
from .select import picked_bands

__all__ = ["fillna"]


@operation("fillna")
@dataclass(frozen=True, eq=False)
class FillNa(Node):
    """``source`` with ``values``, one for all bands or one per band, at every invalid pixel and every NaN."""

    source: Node
    values: tuple[bool | int | float | complex, ...]

    is_pointwise = True

    def _meta(self) -> Meta:
        meta = self.source.meta
        if len(self.values) not in (1, len(meta.bands)):
            raise BandError(f"fillna takes one value or one per band; got {len(self.values)} for {len(meta.bands)} bands")
        for value in self.values:
            if fitting(value, meta.dtype, "fill value") != value or value != value:
                raise ArgumentError(f"fillna needs a number that {meta.dtype} holds exactly, not {value!r}")
        return meta.having(nodata=None, masked=False)

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        (block,) = blocks
        missing = None if block.valid is None else ~block.valid
        if block.data.dtype.kind in "fc":
            nan = np.isnan(block.data)
            missing = nan if missing is None else nan | missing
        if missing is None or not missing.any():
            return Block(block.data)
        values = np.array(self.values, block.data.dtype)[:, None, None]
        return Block(np.where(missing, values, block.data))

    def scalar(self, formula: Formula, pixels: tuple[Pixel, ...]) -> Pixel | None:
        (pixel,) = pixels
        if not computable(self.meta.dtype):
            return None
        there = formula.both(pixel.valid, formula.number(pixel.value))
        values = self.values[0] if len(self.values) == 1 else self.values
        return Pixel(formula.filled(pixel.value, there, values).value)

    @rule("nothing to fill", exact=True)
    def _identity(self) -> Node | None:
        meta = self.source.meta
        return self.source if not meta.masked and meta.nodata is None and meta.dtype.kind not in "fc" else None

    def select(self, bands: tuple[int, ...]) -> Node | None:
        values = self.values if len(self.values) == 1 else tuple(self.values[band] for band in bands)
        return FillNa(picked_bands(self.source, bands), values)


@verb
def fillna(raster: Node, value: Any) -> Node:
    """Give invalid pixels, and NaN, a value and make them valid.

    Parameters
    ----------
    raster : Raster, (band, y, x)
    value : number, or a sequence of one per band
        The dtype must be able to hold it; floats are rounded to it.

    Returns
    -------
    Raster of the same bands and dtype without invalid pixels and without nodata value.

    Raises
    ------
    ArgumentError
        The dtype cannot hold the value, or it is NaN.
    BandError
        A number of values that is neither 1 nor the number of bands.
    """
    values = [value] if np.ndim(value) == 0 else list(value)
    return FillNa(raster, tuple(fitting(each, raster.meta.dtype, "fill value") for each in values))
