"""Overview: one of the reduced images that the file itself holds. Read as stored, nothing is resampled.

Works on what is read straight from a file, and through operations that work pixel by pixel. Overviews have the sizes that
the file gives them: their pixels are not always exactly 2, 4, 8 times larger.
"""

from __future__ import annotations

from ..graph.errors import ArgumentError
from ..graph.flat import topological
from ..graph.node import Node, verb

__all__ = ["overview", "overviews_of"]


@verb
def overview(raster: Node, level: int) -> Node:
    """The image at one of its file's levels, on that level's own, coarser grid.

    Parameters
    ----------
    raster : Raster, (band, y, x)
        Opened from a file, or made from such by pixelwise operations.
    level : int
        0 is the full image, 1 its first overview, and so on; -1 is the last.

    Returns
    -------
    Raster of the same bands and dtype; its grid covers the same ground.

    Raises
    ------
    ArgumentError
        There is no such level; the message lists the shapes of those there are.
    """
    levels = (raster, *overviews_of(raster))
    if isinstance(level, bool) or not isinstance(level, int) or not -len(levels) <= level < len(levels):
        shapes = "; ".join(f"{i}: {rows} x {cols}" for i, (rows, cols) in enumerate(n.meta.grid.shape for n in levels))
        lack = " (no overviews)" if len(levels) == 1 else ""
        raise ArgumentError(f"no level {level!r}; the raster has these{lack}: {shapes} pixels")
    return levels[level]


def overviews_of(root: Node) -> tuple[Node, ...]:
    """The reduced images of ``root``, finest first; of a pixelwise operation those that all its inputs have."""
    levels: dict[str, tuple[Node, ...]] = {}
    for node in topological(root):
        own = node.overview_levels()
        if not own and node.is_pointwise and node.inputs:
            per_level = zip(*(levels[child.token] for child in node.inputs), strict=False)
            aligned = (row for row in per_level if all(n.meta.grid.same_pixels(row[0].meta.grid) for n in row))
            own = tuple(node.with_inputs(row) for row in aligned)
        levels[node.token] = own
    return levels[root.token]
