"""Which pixels a sampled statistic looks at: pixels or blocks chosen by a seed, the others made invalid.

What is chosen depends on the seed and on where a pixel lies, never on chunks, threads or the order of reading.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from ..graph.block import Block, both_valid
from ..graph.chunks import choose_chunks, chunk_edges
from ..graph.errors import ArgumentError
from ..graph.grid import Region
from ..graph.node import Meta, Node, operation
from ..graph.values import FrozenArray

BLOCK_SIDE = 1024


@operation("sampled_pixels")
@dataclass(frozen=True, eq=False)
class SampledPixels(Node):
    """``source`` with about the share ``rate`` of its pixels valid, the same in all bands."""

    source: Node
    rate: float
    seed: int

    is_pointwise = False  # a pixel depends on where it lies

    def _meta(self) -> Meta:
        checked_rate(self.rate)
        return self.source.meta.having(masked=True)

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        (block,) = blocks
        return Block(block.data, both_valid(block.valid, chosen_pixels(region, self.rate, self.seed)[None]))


@operation("sampled_blocks")
@dataclass(frozen=True, eq=False)
class SampledBlocks(Node):
    """``source`` with some blocks valid; the others are not read.

    Parameters
    ----------
    source : Node
    block : (rows, cols) of a block; blocks begin at the image's corner
    chosen : numbers of the blocks, row by row from 0
    """

    source: Node
    block: tuple[int, int]
    chosen: FrozenArray

    def _meta(self) -> Meta:
        numbers = self.chosen.array
        if numbers.ndim != 1 or numbers.dtype.kind not in "iu" or not all(side > 0 for side in self.block):
            raise ArgumentError("blocks are chosen by a list of whole numbers, and have at least one pixel")
        return self.source.meta.having(masked=True)

    def need(self, region: Region) -> tuple[Region, ...]:
        around = Region(0, 0, 0, 0)
        for box in self._boxes(region):
            around = around.union(box)
        return (around,)

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        (block,) = blocks
        needed = self.need(region)[0]
        data = np.zeros((len(self.meta.bands), *region.shape), self.meta.dtype)
        valid = np.zeros((1 if block.valid is None else len(block.valid), *region.shape), bool)
        for box in self._boxes(region):
            part = block.cut(needed, box)
            rows, cols = box.within(region)
            data[:, rows, cols] = part.data
            valid[:, rows, cols] = True if part.valid is None else part.valid
        return Block(data, valid)

    def _boxes(self, region: Region) -> list[Region]:
        """The parts of ``region`` that lie in chosen blocks."""
        height, width = self.block
        across = -(-self.meta.grid.shape[1] // width)
        rows = np.arange(region.row0 // height, -(-region.row1 // height))
        cols = np.arange(region.col0 // width, -(-region.col1 // width))
        numbers = (rows[:, None] * across + cols).ravel()
        found = numbers[np.isin(numbers, self.chosen.array)].tolist()
        corners = ((number // across * height, number % across * width) for number in found)
        return [Region(row, row + height, col, col + width).intersect(region) for row, col in corners]


def some_blocks(source: Node, share: float | None, count: int | None, seed: int) -> tuple[Node, float]:
    """``source`` with some of its blocks valid, and the share of the pixels that these have.

    Parameters
    ----------
    source : Node
        A block is whole tiles of the source, about ``BLOCK_SIDE`` pixels a side.
    share, count : how many blocks to take: a share of them (at least one), or a number (all of them if there are fewer)
    seed : of ``numpy.random.default_rng``
    """
    lengths = choose_chunks(source.meta, side=BLOCK_SIDE)
    rows, cols = (np.diff(chunk_edges(axis)) for axis in lengths)
    total = len(rows) * len(cols)
    wanted = min(total, max(1, round((share or 0) * total)) if count is None else count)
    chosen = np.sort(np.random.default_rng(seed).permutation(total)[:wanted])
    covered = int((rows[chosen // len(cols)] * cols[chosen % len(cols)]).sum())
    return SampledBlocks(source, (lengths[0][0], lengths[1][0]), FrozenArray(chosen)), covered / source.meta.grid.region.size


def checked_rate(rate: float) -> float:
    if not 0 < rate <= 1:
        raise ArgumentError(f"a sample rate is a share above 0 and at most 1; got {rate!r}")
    return float(rate)


def chosen_pixels(region: Region, rate: float, seed: int) -> np.ndarray:
    """Which pixels of a region are in a random sample, (rows, cols) bool: each with probability ``rate``, independently."""
    chosen = np.empty(region.shape, bool)
    start = np.uint64(int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]))
    _choose(np.uint64(region.row0), np.uint64(region.col0), start, np.uint64(int(rate * 2.0**53)), chosen)
    return chosen


@njit(nogil=True, cache=True)
def _choose(row: Any, col: Any, start: Any, below: Any, chosen: Any) -> None:  # pragma: no cover
    """Pixels whose hash lies below ``below`` of 2**53: the mixing steps of SplitMix64 (G. L. Steele, D. Lea, C. H. Flood,
    "Fast splittable pseudorandom number generators", 2014), once over the row and once over the column."""
    for r in range(chosen.shape[0]):
        line = _mixed(start + (row + np.uint64(r)) * np.uint64(0x9E3779B97F4A7C15))
        for c in range(chosen.shape[1]):
            chosen[r, c] = _mixed(line + (col + np.uint64(c)) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(11) < below


@njit(nogil=True, cache=True)
def _mixed(z: Any) -> Any:  # pragma: no cover
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
