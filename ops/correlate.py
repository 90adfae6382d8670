"""Correlate and convolve: a weighted sum of the pixels around each one, by the rules of SIPS (NGA.STND.0014).

Beyond its border an image goes on as its mirror image without repeating the border's pixels ("Mirror Edge - Odd"). Sums are
float64; integers are rounded half up and saturate. The array functions are ``sips_correlate`` and ``sips_convolve``.

Invalid pixels take no part: where the kernel's weights add up to more than 0, those of the valid pixels are scaled to that sum,
and the result is invalid where they hold less than half of it. Other kernels, differences, have no such share: their result is
invalid where any pixel of weight is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..graph.block import Block
from ..graph.grid import EMPTY, Region
from ..graph.node import Meta, Node, operation, verb
from .common import avoid_nodata, fill_value, filled, finished, spread
from .select import picked_bands
from .sips import as_taken, check_dtype, checked_kernel, dtype_limits, fits_int32
from .sips_loops import correlated, mirrored

__all__ = ["convolve", "correlate"]

# Half of the weight is enough, and adding weights up may lose a little of it.
_SLACK = 1e-9

Weights = tuple[tuple[float, ...], ...]


@operation("correlate")
@dataclass(frozen=True, eq=False)
class Correlate(Node):
    """Sums of ``source`` weighed by ``weights``, whose element ((m - 1) // 2, (n - 1) // 2) lies on the pixel computed."""

    cost: ClassVar[float] = 20.0
    workspace: ClassVar[float] = 24.0

    source: Node
    weights: Weights

    def _meta(self) -> Meta:
        meta = self.source.meta
        check_dtype(meta.dtype, "a filter")
        checked_kernel(self.weights)
        is_float = meta.dtype.kind == "f"
        nodata = math.nan if is_float and meta.nodata is None else meta.nodata
        return meta.having(nodata=nodata, masked=meta.masked or is_float)

    def need(self, region: Region) -> tuple[Region]:
        if region.is_empty:
            return (EMPTY,)
        rows, cols = self._taps(region)
        return (Region(int(rows.min()), int(rows.max()) + 1, int(cols.min()), int(cols.max()) + 1),)

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        (block,) = blocks
        covered = self.need(region)[0]
        rows, cols = self._taps(region)
        at = (slice(None), (rows - covered.row0)[:, None], cols - covered.col0)
        data = as_taken(block.data)[at]
        shape = (len(data), *region.shape)
        out = self._sums(data, shape)
        valid = None
        if block.valid is not None:
            mask = spread(block.valid, block.data.shape)[at]
            out, valid = self._of_valid(out, data, mask, shape)
        out, fill = out.astype(self.meta.dtype, copy=False), fill_value(self.meta)
        result = finished(out, valid, fill) if self.meta.dtype.kind == "f" else filled(out, valid, fill)
        avoid_nodata(result.data, result.valid, self.meta)
        return result

    def select(self, bands: tuple[int, ...]) -> Node:
        return Correlate(picked_bands(self.source, bands), self.weights)

    def describe(self) -> str:
        return f"{len(self.weights)} x {len(self.weights[0])}"

    def _taps(self, region: Region) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the image that the region and its surroundings are, mirrored at the border."""
        spans = ((region.row0, region.row1), (region.col0, region.col1))
        sizes, taps = self.source.meta.grid.shape, (len(self.weights), len(self.weights[0]))
        rows, cols = (
            np.array([mirrored(k, size) for k in range(first - (n - 1) // 2, last + n // 2)])
            for (first, last), size, n in zip(spans, sizes, taps, strict=True)
        )
        return rows, cols

    def _sums(self, data: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        out, limits = np.empty(shape, data.dtype), dtype_limits(data.dtype)
        low, high = limits or (-math.inf, math.inf)
        correlated(
            np.ascontiguousarray(data), np.array(self.weights), limits is not None, low, high, fits_int32(data.dtype), out
        )
        return out

    def _of_valid(
        self, plain: np.ndarray, data: np.ndarray, mask: np.ndarray, shape: tuple[int, ...]
    ) -> tuple[np.ndarray, np.ndarray]:
        """``plain`` where all taps are valid, elsewhere the sums of the valid ones; and where there are enough of them."""
        weights = np.array(self.weights)
        total = float(weights.sum())
        whole = _weighed(~mask, np.abs(weights), shape) == 0
        if total <= 0:
            return plain, whole
        held = _weighed(mask, weights, shape)
        sums = _weighed(np.where(mask, data, 0), weights, shape)
        enough = held >= total * (0.5 - _SLACK)
        with np.errstate(all="ignore"):
            scaled = sums * (total / np.where(enough, held, 1))
            limits = dtype_limits(plain.dtype)
            if limits is not None:
                scaled = np.clip(np.floor(scaled + 0.5), *limits)
            scaled = np.where(enough, scaled, 0).astype(plain.dtype)
        return np.where(whole, plain, scaled), whole | enough


def _weighed(data: np.ndarray, weights: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    out = np.empty(shape)
    correlated(np.ascontiguousarray(data, np.float64), weights, False, -math.inf, math.inf, False, out)
    return out


@verb
def correlate(raster: Node, kernel: Any) -> Node:
    """Replace each pixel by a weighted sum of the pixels around it; the kernel lies on the image as it stands.

    Parameters
    ----------
    raster : Raster, (band, y, x), integer up to 32 bits or float
    kernel : (m, n) numbers
        Its element ((m - 1) // 2, (n - 1) // 2) lies on the pixel that is computed.

    Returns
    -------
    Raster of the same grid, bands and dtype; sums in float64, integers rounded half up and saturated. The array function is
    ``sips_correlate``.

    Raises
    ------
    ArgumentError
        The kernel has other than two axes, no elements, or some that are not finite.
    DtypeError
        The pixels are bool, complex, or integers of 64 bits.
    """
    return Correlate(raster, _as_tuples(checked_kernel(kernel)))


@verb
def convolve(raster: Node, kernel: Any) -> Node:
    """Correlate with the kernel turned by 180 degrees, its element (m // 2, n // 2) on the pixel that is computed.

    Parameters
    ----------
    raster : Raster, (band, y, x), integer up to 32 bits or float
    kernel : (m, n) numbers

    Returns
    -------
    Raster of the same grid, bands and dtype. The array function is ``sips_convolve``.

    Raises
    ------
    ArgumentError, DtypeError
        As ``correlate``.
    """
    return Correlate(raster, _as_tuples(checked_kernel(kernel)[::-1, ::-1]))


def _as_tuples(weights: np.ndarray) -> Weights:
    return tuple(tuple(row) for row in weights.tolist())
