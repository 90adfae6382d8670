"""Where: keep pixels where a condition holds, take others elsewhere. Where the condition is invalid, so is the result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..graph.block import Block, both_valid
from ..graph.errors import BandError, DtypeError
from ..graph.formula import BOOL, Formula, Pixel, computable
from ..graph.grid import Region
from ..graph.node import HasNode, Meta, Node, operation, verb
from .common import Number, filled, fitting, joint_nodata, nodata_for, plain_number, same_pixels, same_value
from .select import picked_bands

__all__ = ["where"]


@operation("where")
@dataclass(frozen=True, eq=False)
class Where(Node):
    """``source`` where ``cond`` is True, elsewhere the one raster of ``others``, or ``value``; without either, invalid."""

    source: Node
    cond: Node
    others: tuple[Node, ...] = ()
    value: bool | int | float | complex | None = None

    is_pointwise = True

    def _meta(self) -> Meta:
        meta, most = self.source.meta, len(self.source.meta.bands)
        same_pixels("where", self.inputs)
        if self.cond.meta.dtype != bool:
            raise DtypeError(
                f"where needs a condition of dtype bool, not {self.cond.meta.dtype}; compare it first, as in r > 0"
            )
        for what, node in (("condition", self.cond), *(("other raster", node) for node in self.others)):
            if len(node.meta.bands) not in (1, most):
                raise BandError(f"where: the {what} has {len(node.meta.bands)} bands, the raster {most}; give as many, or one")
        masked = meta.masked or self.cond.meta.masked
        if self.others:
            other = self.others[0].meta
            dtype = np.result_type(meta.dtype, other.dtype)
            nodata = joint_nodata([meta.nodata, other.nodata], dtype)
            return meta.having(dtype=dtype, nodata=nodata, masked=masked or other.masked)
        dtype = meta.dtype if self.value is None else np.result_type(meta.dtype, self.value)
        if self.value is not None:
            fitting(self.value, dtype, "where's other")
        return meta.having(dtype=dtype, nodata=nodata_for(meta.nodata, dtype), masked=masked or self._elsewhere_invalid)

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        block, cond = blocks[:2]
        other = blocks[2] if self.others else Block(np.array(self.meta.fill if self.value is None else self.value))
        data = np.where(cond.data, block.data.astype(self.meta.dtype, copy=False), other.data.astype(self.meta.dtype))
        elsewhere = np.array(False) if self._elsewhere_invalid else other.valid
        valid = None
        if block.valid is not None or elsewhere is not None:
            kept, taken = (np.array(True) if flags is None else flags for flags in (block.valid, elsewhere))
            valid = np.where(cond.data, kept, taken)
        return filled(data, both_valid(valid, cond.valid), self.meta.fill)

    def scalar(self, formula: Formula, pixels: tuple[Pixel, ...]) -> Pixel | None:
        dtype = self.meta.dtype
        if not computable(*(node.meta.dtype for node in self.inputs), dtype):
            return None
        pixel, cond = pixels[:2]
        if self.others:
            other = pixels[2]
        else:
            invalid = formula.constant(False, BOOL) if self._elsewhere_invalid else None
            other = Pixel(formula.constant(self.meta.fill if self.value is None else self.value, dtype), invalid)
        value = formula.select(cond.value, formula.cast(pixel.value, dtype), formula.cast(other.value, dtype))
        valid = None
        if pixel.valid is not None or other.valid is not None:
            kept, taken = (formula.constant(True, BOOL) if flag is None else flag for flag in (pixel.valid, other.valid))
            valid = formula.select(cond.value, kept, taken)
        return formula.filled(value, formula.both(valid, cond.valid), self.meta.fill)

    def select(self, bands: tuple[int, ...]) -> Node | None:
        source = picked_bands(self.source, bands)
        cond, *others = (node if len(node.meta.bands) == 1 else picked_bands(node, bands) for node in (self.cond, *self.others))
        return Where(source, cond, tuple(others), self.value)

    @property
    def _elsewhere_invalid(self) -> bool:
        """Whether pixels where the condition is False are invalid: no other, or a number that reads as nodata."""
        if self.others:
            return False
        return self.value is None or self.value != self.value or same_value(self.value, self.source.meta.nodata)


@verb
def where(raster: Node, cond: HasNode, other: Any = None) -> Node:
    """Keep pixels where ``cond`` holds; take ``other`` elsewhere.

    Parameters
    ----------
    raster : Raster, (band, y, x)
    cond : Raster of dtype bool on the same pixels, with as many bands or one
        Where it is invalid, the result is invalid.
    other : number, or Raster on the same pixels with as many bands or one, optional
        Left out, the pixels become invalid; so they do with NaN or the nodata value.

    Returns
    -------
    Raster with the bands of the first; dtype as numpy promotes (Python numbers are weak). The nodata value stays where
    both rasters have the same and the dtype can hold it, else it is NaN for floats and None for integers.

    Raises
    ------
    GridError
        Rasters lie on different pixels.
    DtypeError
        ``cond`` is not a raster of dtype bool.
    BandError
        Numbers of bands that do not fit.
    ArgumentError
        ``other`` is neither a raster nor a number that the dtype can hold.
    """
    if not isinstance(getattr(cond, "node", None), Node):
        raise DtypeError(f"where's condition is a raster of dtype bool, as r > 0 gives one; got {type(cond).__name__}")
    if isinstance(getattr(other, "node", None), Node):
        return Where(raster, cond.node, (other.node,))
    value: Number | None = None if other is None else plain_number(other, "where's other")
    return Where(raster, cond.node, (), value)
