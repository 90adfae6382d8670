"""Which chunks a result is computed in: one dask task each, equal to the unit in which a sink writes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from .errors import ArgumentError
from .grid import Region
from .node import Meta

Chunks = tuple[tuple[int, ...], tuple[int, ...]]

TARGET_SIDE = 1024
TARGET_BYTES = 32 * 2**20


def choose_chunks(meta: Meta, chunks: Any = None, *, side: int = TARGET_SIDE) -> Chunks:
    """Chunk lengths along rows and columns.

    Parameters
    ----------
    meta : Meta
        Of the result.
    chunks : None or "auto", an int, (rows, cols), (bands, rows, cols), or dask's tuples of lengths
        Sizes may be -1 for the whole axis. Left out, whole tiles of the result are joined until about ``side`` pixels a
        side, fewer where many bands would make a chunk heavier than 32 MiB.
    side : int
        What to aim at when ``chunks`` is left out.

    Raises
    ------
    ArgumentError
        The chunks do not describe the grid.
    """
    rows, cols = meta.grid.shape
    if chunks is None or chunks == "auto":
        height, width = _joined_tiles(meta, side)
        return _regular(rows, height), _regular(cols, width)
    if isinstance(chunks, (int, np.integer)):
        return _axis(rows, chunks), _axis(cols, chunks)
    sizes = tuple(chunks) if isinstance(chunks, (tuple, list)) else ()
    if len(sizes) == 3:
        sizes = sizes[1:]
    if len(sizes) != 2:
        raise ArgumentError(f"chunks are an int, (rows, cols) or (bands, rows, cols); got {chunks!r}")
    return _axis(rows, sizes[0]), _axis(cols, sizes[1])


def even_chunks(meta: Meta, side: int) -> Chunks:
    """Chunk lengths of about equal size, whole tiles each, at most about ``side`` pixels a side: for what keeps no chunks."""
    rows, cols = meta.grid.shape
    height, width = _joined_tiles(meta, side)
    return _even(rows, meta.tile[0], height), _even(cols, meta.tile[1], width)


def chunk_regions(chunks: Chunks) -> Iterable[tuple[tuple[int, int], Region]]:
    """((i, j), region) of every chunk, row by row."""
    row0 = 0
    for i, height in enumerate(chunks[0]):
        col0 = 0
        for j, width in enumerate(chunks[1]):
            yield (i, j), Region(row0, row0 + height, col0, col0 + width)
            col0 += width
        row0 += height


def chunk_edges(lengths: tuple[int, ...]) -> list[int]:
    """Where chunks of these lengths begin, and where the last one ends."""
    return list(accumulate(lengths, initial=0))


def _joined_tiles(meta: Meta, side: int) -> tuple[int, int]:
    pixel_bytes = max(1, len(meta.bands) * max(meta.dtype.itemsize, 4))
    side = max(64, min(side, math.isqrt(TARGET_BYTES // pixel_bytes)))
    height, width = meta.tile
    width *= max(1, side // width)
    side = min(side, TARGET_BYTES // (pixel_bytes * min(width, meta.grid.shape[1])))  # tiles may be strips as wide as the image
    return max(1, side // height) * height, width


def _even(length: int, tile: int, most: int) -> tuple[int, ...]:
    tiles = -(-length // tile)
    count = -(-tiles // max(1, most // tile))
    edges = [min(length, round(k * tiles / count) * tile) for k in range(count + 1)]
    return tuple(stop - start for start, stop in pairwise(edges))


def _axis(length: int, sizes: Any) -> tuple[int, ...]:
    if isinstance(sizes, (tuple, list)):
        if not all(_is_whole(size) and size > 0 for size in sizes) or sum(sizes) != length:
            raise ArgumentError(f"chunks {tuple(sizes)} do not add up to the {length} pixels of the axis")
        return tuple(int(size) for size in sizes)
    if not _is_whole(sizes) or sizes == 0 or sizes < -1:
        raise ArgumentError(f"a chunk size is a whole number above 0, or -1 for the whole axis; got {sizes!r}")
    return _regular(length, length if sizes == -1 else int(sizes))


def _is_whole(size: Any) -> bool:
    return isinstance(size, (int, np.integer)) and not isinstance(size, bool)


def _regular(length: int, size: int) -> tuple[int, ...]:
    whole, rest = divmod(length, size)
    return (size,) * whole + ((rest,) if rest else ())
