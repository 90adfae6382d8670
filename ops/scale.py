"""Scale: more or fewer pixels over the same ground, by a factor. An ``Affine``, so it composes with others into one."""

from __future__ import annotations

import math

from ..graph.errors import ArgumentError
from ..graph.node import Node, verb
from .resize import resized

__all__ = ["scale"]


@verb
def scale(
    raster: Node,
    factor: float | tuple[float, float],
    *,
    resampling: str = "bilinear",
    antialias: bool = True,
) -> Node:
    """Make the image ``factor`` times as large in pixels.

    Parameters
    ----------
    raster : Raster, (band, y, x)
    factor : float, or (y, x)
        Above 0; 0.5 halves the number of rows and columns. The shape is ``max(1, round(n * factor))`` per axis, and the
        pixels are as large as it takes to cover the same ground exactly.
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
        A factor is not above 0 and finite, or there is no such resampling.
    DtypeError
        Complex pixels have no mode, min, max or median.
    GridError
        The result has too many pixels.
    """
    try:
        down, across = (factor, factor) if isinstance(factor, (int, float)) else factor
        usable = all(math.isfinite(f) and f > 0 for f in (down, across))
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"a factor is a number or (y, x); got {factor!r}") from error
    if not usable:
        raise ArgumentError(f"a factor is above 0 and finite; got {factor!r}")
    rows, cols = raster.meta.grid.shape
    return resized(raster, (max(1, round(rows * down)), max(1, round(cols * across))), resampling, antialias)
