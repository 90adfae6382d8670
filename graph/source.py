"""``TiledSource``: a source that reads whole tiles of its own layout, through the process's tile cache."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from functools import partial

import dask.array as da
import numpy as np

from .block import Block, empty_block, widened
from .cache import tile_cache
from .grid import Region
from .node import Source

# Bytes that are read at once at the most: a quarter of the cache.
_MOST_TOGETHER = 32 * 2**20


class TiledSource(Source):
    """A source whose pixels lie in tiles of ``meta.tile`` from the grid's corner; define ``_meta`` and ``read``.

    ``kernel`` cuts the region out of tiles, each decoded at most once while it stays in the cache.
    """

    def read(self, region: Region) -> Block:
        """Decode the pixels of ``region``: one tile of the source clipped to its grid, or several that make up a box.

        Called from any thread.
        """
        raise NotImplementedError(type(self).__name__)

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        bands, dtype = len(self.meta.bands), self.meta.dtype
        if region.is_empty:
            return empty_block(bands, dtype)
        tiles = list(self.tiles(region))
        whole = self._together(tiles, region)
        if whole is not None:
            return whole
        data: np.ndarray | None = None
        valid: np.ndarray | None = None
        for tile in tiles:
            part = tile.intersect(region)
            block = tile_cache().get((self.token, tile), partial(self._read_compact, tile)).window(*part.within(tile))
            if part == region:
                return block.compact()  # a view: who hands pixels to users copies what is not its own
            rows, cols = part.within(region)
            if data is None:
                data = np.empty((bands, *region.shape), dtype)
            data[:, rows, cols] = block.data
            if block.valid is not None:
                valid = widened(valid, len(block.valid), region.shape)
                valid[:, rows, cols] = block.valid
        assert data is not None
        return Block(data, valid).compact()

    def _together(self, tiles: list[Region], region: Region) -> Block | None:
        """The pixels of ``region`` read at once, if it is made of whole tiles none of which is in the cache."""
        pixel = len(self.meta.bands) * self.meta.dtype.itemsize
        if len(tiles) == 1 or sum(tile.size for tile in tiles) != region.size or region.size * pixel > _MOST_TOGETHER:
            return None
        read: list[Block] = []

        def load() -> dict[Hashable, Block]:
            block = self._read_compact(region)
            read.append(block)
            return {(self.token, tile): block.cut(region, tile).compact() for tile in tiles}

        if tile_cache().get_together([(self.token, tile) for tile in tiles], load) is None:
            return None
        return read[0].window(slice(None), slice(None))  # a view: who hands pixels to users copies what is not its own

    def tiles(self, region: Region) -> Iterator[Region]:
        """The tiles that ``region`` touches, row by row, clipped to the grid."""
        height, width = self.meta.tile
        whole = self.meta.grid.region
        for row in range(region.row0 // height * height, region.row1, height):
            for col in range(region.col0 // width * width, region.col1, width):
                yield Region(row, row + height, col, col + width).intersect(whole)

    def _read_compact(self, tile: Region) -> Block:
        return self.read(tile).compact()


class ChunkedSource(Source):
    """A source whose pixels come as chunks of dask arrays; the tasks that need them depend on those chunks."""

    @property
    def array(self) -> da.Array:
        """(band, y, x), all bands in one chunk."""
        raise NotImplementedError(type(self).__name__)

    @property
    def valid(self) -> da.Array | None:
        """(band or 1, y, x) bool with the chunks of ``array`` along y and x, or None."""
        raise NotImplementedError(type(self).__name__)

    @property
    def validator(self) -> Callable[[np.ndarray, np.ndarray | None], Block]:
        """Makes the block of assembled data and valid: less valid by the source's nodata rule. Goes to every task's worker,
        so it holds that rule and not the arrays."""
        raise NotImplementedError(type(self).__name__)
