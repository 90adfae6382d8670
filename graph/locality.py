"""In which order to compute chunks, so that tiles that neighbours share are still in the cache when the second one comes."""

from __future__ import annotations

from itertools import pairwise

from .cache import tile_cache
from .chunks import chunk_edges
from .grid import Region
from .plan import Plan
from .source import TiledSource
from .sweep import Program, needs_down

# What part of the tile cache one row of a strip may fill, so that the next row finds the tiles that both need; more where tasks
# need tiles of tasks before them, never of those after.
_SHARE, _SHARE_LOOKING_BACK = 0.65, 0.8


def strips(plan: Plan, *, looking_back: bool = False) -> list[tuple[int, int]]:
    """Every chunk (i, j) of the result: strips of columns narrow enough for the tile cache, each row by row."""
    rows, cols = len(plan.chunks[0]), len(plan.chunks[1])
    width = max(1, min(cols, _strip_width(plan, _SHARE_LOOKING_BACK if looking_back else _SHARE)))
    count = -(-cols // width)
    edges = [round(k * cols / count) for k in range(count + 1)]
    return [(i, j) for left, right in pairwise(edges) for i in range(rows) for j in range(left, right)]


def source_needs(program: Program, region: Region) -> list[tuple[TiledSource, Region]]:
    """What of each tiled source the pixels of ``region`` need."""
    return [
        (node, use.region)
        for node, uses in zip(program.nodes, needs_down(program, region), strict=True)
        if isinstance(node, TiledSource)
        for use in uses
        if not use.region.is_empty
    ]


def _strip_width(plan: Plan, share: float) -> int:
    """How many chunks in a row use no more source tiles than the cache has room for, the fewest of some sampled rows."""
    row_edges, col_edges = chunk_edges(plan.chunks[0]), chunk_edges(plan.chunks[1])
    room = share * tile_cache().max_bytes
    least = len(plan.chunks[1])
    for i in {0, len(plan.chunks[0]) // 2, len(plan.chunks[0]) - 1}:
        used: set[tuple[str, Region]] = set()
        total = 0
        for j in range(least):
            region = Region(row_edges[i], row_edges[i + 1], col_edges[j], col_edges[j + 1])
            for node, needed in source_needs(plan.program, region):
                pixel = len(node.meta.bands) * node.meta.dtype.itemsize
                fresh = {(node.token, tile) for tile in node.tiles(needed)} - used
                total += sum(tile.size for _, tile in fresh) * pixel
                used |= fresh
            if total > room:
                least = j
                break
    return least
