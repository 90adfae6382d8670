"""Resize: the same ground in a given number of pixels. An ``Affine``, so it composes with others into one."""

from __future__ import annotations

from ..graph.node import Node, verb
from .affine import Affine
from .coordinates import Matrix
from .sampling import check_resampling

__all__ = ["resize"]


def resized(raster: Node, shape: tuple[int, int], resampling: str, antialias: bool) -> Node:
    """``raster`` in ``shape`` pixels, by the exact ratio of each axis."""
    check_resampling(resampling, raster.meta.dtype)
    grid = raster.meta.grid.resized(shape)
    return Affine(raster, ratio(raster.meta.grid.shape, grid.shape), grid, resampling, bool(antialias))


def ratio(source: tuple[int, int], target: tuple[int, int]) -> Matrix:
    """The matrix from the pixels of a shape to those of another one over the same ground."""
    return source[1] / target[1], 0.0, 0.0, 0.0, source[0] / target[0], 0.0


@verb
def resize(raster: Node, shape: tuple[int, int], *, resampling: str = "bilinear", antialias: bool = True) -> Node:
    """Make the image ``shape`` pixels large, over the same ground.

    Parameters
    ----------
    raster : Raster, (band, y, x)
    shape : (rows, cols)
        The two axes may change by different ratios; pixels are then not square on the ground.
    resampling : "nearest", "bilinear", "cubic", "lanczos", "average", "mode", "min", "max" or "median"
        How values between pixels are found: see ``warp``.
    antialias : bool
        Widen the bilinear, cubic or Lanczos kernel when shrinking, so that every input pixel counts.

    Returns
    -------
    Raster
        Same bands and dtype; integers are rounded half up and saturate.

    Raises
    ------
    ArgumentError
        There is no such resampling.
    DtypeError
        Complex pixels have no mode, min, max or median.
    GridError
        The shape is not two whole numbers of at least 1, or has too many pixels.
    """
    return resized(raster, shape, resampling, antialias)
