"""In which order to compute chunks, so that tiles that neighbours share are still in the cache when the second one comes."""

from __future__ import annotations

from itertools import pairwise

from .cache import tile_cache
from .grid import Region
from .plan import Plan, sample_regions
from .source import TiledSource
from .sweep import Program, needs_down

# What part of the tile cache one row of a strip may fill, so that the next row finds the tiles that both need.
_SHARE = 0.65


def strips(plan: Plan) -> list[tuple[int, int]]:
    """Every chunk (i, j) of the result: strips of columns narrow enough for the tile cache, each row by row."""
    rows, cols = len(plan.chunks[0]), len(plan.chunks[1])
    width = max(1, min(cols, int(_SHARE * tile_cache().max_bytes / max(1, _source_bytes(plan)))))
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


def _source_bytes(plan: Plan) -> int:
    """Bytes of source tiles that a task uses, the most of some sampled ones."""
    most = 0
    for region in sample_regions(plan.chunks, most=4):
        total = 0
        for node, needed in source_needs(plan.program, region):
            pixel = len(node.meta.bands) * node.meta.dtype.itemsize
            total += sum(tile.size * pixel for tile in node.tiles(needed))
        most = max(most, total)
    return most
