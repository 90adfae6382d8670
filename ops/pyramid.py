"""Pyramid: the same image at 1/2, 1/4, 1/8, ... of its resolution, each level made of the one before.

Level k + 1 has ``(n + 1) // 2`` pixels along an axis on which level k has n, each covering 2 x 2 of them, from the same corner
on. A level is an ordinary node, so one level alone is computed like any other image; ``WithCoarser`` lets a task that computes
a chunk of one level hand on the chunk's share of the next, so that a whole pyramid costs one pass over the base.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from ..graph.block import Block
from ..graph.chunks import Chunks, chunk_edges
from ..graph.errors import ArgumentError, PlanError
from ..graph.grid import Region
from ..graph.node import HasNode, Meta, Node
from .halve import METHODS as HALVINGS
from .halve import Halve
from .overview import overviews_of
from .sips_reduce import SipsReduce

__all__ = ["build_pyramid_levels"]

METHODS = ("sips", *HALVINGS)


@dataclass(frozen=True)
class TwoLevels(Block):
    """A block of one level with its share of the next one."""

    coarse: Block | None = None


@dataclass(frozen=True, eq=False)
class WithCoarser(Node):
    """``fine``, whose blocks carry along the share of ``coarse``, half as large, that is theirs.

    ``lag`` is how many rows and columns of ``coarse`` a share is behind its block, so that it needs no pixels after it: what a
    task needs of the source then overlaps with what tasks before it read, and with nothing that is yet to be read.
    """

    fine: Node
    coarse: Node
    lag: int = 0

    name: ClassVar[str] = "with_coarser"
    cost: ClassVar[float] = 0.0

    def _meta(self) -> Meta:
        if self.coarse.meta.grid.shape != halved_shape(self.fine.meta.grid.shape):
            raise PlanError(f"{self.coarse.meta.grid} is not half of {self.fine.meta.grid}")
        return self.fine.meta

    def need(self, region: Region) -> tuple[Region, ...]:
        rows, cols = self.fine.meta.grid.shape
        row0, row1 = self.share(region.row0, rows), self.share(region.row1, rows)
        col0, col1 = self.share(region.col0, cols), self.share(region.col1, cols)
        return region, Region(row0, row1, col0, col1)

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        fine, coarse = blocks
        return TwoLevels(fine.data, fine.valid, coarse)

    def share(self, edge: int, length: int) -> int:
        """Where on an axis of ``coarse`` the shares of the blocks before and after ``edge`` meet."""
        if edge == length:
            return (length + 1) // 2
        if edge % 2:
            raise PlanError(f"a block that ends at pixel {edge} of {length} cannot be halved")
        return max(0, edge // 2 - self.lag)

    def kept_chunks(self, chunks: Chunks) -> Chunks:
        """The chunks of ``coarse`` that tasks over ``chunks`` of ``fine`` hand on."""
        axes = []
        for lengths, n in zip(chunks, self.fine.meta.grid.shape, strict=True):
            edges = [self.share(edge, n) for edge in chunk_edges(lengths)]
            axes.append(tuple(stop - start for start, stop in pairwise(edges)))
        return axes[0], axes[1]


def with_coarser(fine: Node, coarse: Node, chunks: Chunks) -> WithCoarser:
    """The two levels for tasks over ``chunks``; shares lag behind where every task still has one."""
    row, col = (min(8, length) for length in coarse.meta.grid.shape)
    need = coarse.need(Region(0, row, 0, col))[0]
    lag = max(0, (need.row1 - 2 * row + 1) // 2, (need.col1 - 2 * col + 1) // 2)
    fits = all(len(lengths) == 1 or min(lengths[:-1]) > 2 * lag for lengths in chunks)
    return WithCoarser(fine, coarse, lag if fits else 0)


def halved_shape(shape: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of the level after one of ``shape``."""
    rows, cols = shape
    return (rows + 1) // 2, (cols + 1) // 2


def halved(node: Node, method: str, bit_depth: int | None = None) -> Node:
    """The level after ``node``.

    Raises
    ------
    ArgumentError
        There is no such method, or a bit depth is given to another one than "sips".
    """
    if method not in METHODS:
        raise ArgumentError(f"no pyramid method {method!r}; choose one of {', '.join(METHODS)}")
    if method == "sips":
        return SipsReduce(node, bit_depth)
    if bit_depth is not None:
        raise ArgumentError(f'bit_depth belongs to the method "sips"; got {method!r}')
    return Halve(node, method)


def pyramid_levels(
    base: Node, method: str, min_size: int, use_native_levels: bool = False, bit_depth: int | None = None
) -> tuple[Node, ...]:
    """The levels of a pyramid, ``base`` first. See ``build_pyramid_levels``."""
    if isinstance(min_size, bool) or not isinstance(min_size, int) or min_size < 1:
        raise ArgumentError(f"min_size is a whole number of pixels above 0; got {min_size!r}")
    halved(base, method, bit_depth)  # refuses a wrong method or dtype, even where there is nothing to reduce
    native = {node.meta.grid.shape: node for node in overviews_of(base)} if use_native_levels else {}
    levels = [base]
    while _continues(levels, min_size) and (own := native.get(halved_shape(levels[-1].meta.grid.shape))) is not None:
        levels.append(own)
    while _continues(levels, min_size):
        levels.append(halved(levels[-1], method, bit_depth))
    return tuple(levels)


def _continues(levels: list[Node], min_size: int) -> bool:
    shape = levels[-1].meta.grid.shape
    return min(shape) >= min_size and max(shape) > 1


def cascades(levels: Sequence[Node]) -> list[list[Node]]:
    """``levels`` cut where one is not made of the one before it: each part can be computed in one pass over its first."""
    parts: list[list[Node]] = []
    for level in levels:
        if parts and any(node.token == parts[-1][-1].token for node in level.inputs):
            parts[-1].append(level)
        else:
            parts.append([level])
    return parts


def build_pyramid_levels(
    source: HasNode,
    min_size: int = 256,
    scale_factor: int = 2,
    *,
    method: str = "sips",
    use_native_levels: bool = False,
    bit_depth: int | None = None,
) -> list[HasNode]:
    """The levels of a pyramid as a list of lazy images; nothing is read.

    Parameters
    ----------
    source : Raster, (band, y, x)
        Level 0.
    min_size : int, pixels
        The first level with fewer rows or columns is the last one.
    scale_factor : int
        2; no other factor between levels is built.
    method : "sips", "average", "bilinear", "cubic", "lanczos", "nearest", "mode", "min", "max" or "median"
        How a level is made of the one before: SIPS RRDS (NGA.STND.0014 section 2.2), or see ``halve``.
    use_native_levels : bool
        Take the overviews that the file holds where they are half, a quarter, ... of the image, and reduce only from the
        coarsest of them on.
    bit_depth : int, optional
        Of "sips": the values' number of bits; the dtype's when left out.

    Returns
    -------
    [source, level 1, level 2, ...], all of the kind of ``source``, of its bands and dtype

    Raises
    ------
    ArgumentError
        An unknown method, another factor than 2, or a ``min_size`` below 1.
    DtypeError
        The method does not work on the pixels' dtype.
    """
    if scale_factor != 2:
        raise ArgumentError(f"the levels of a pyramid differ by a factor of 2; got scale_factor={scale_factor!r}")
    levels = pyramid_levels(source.node, method, min_size, use_native_levels, bit_depth)
    return [source.with_node(level) for level in levels]
