"""What the tests of pixel operations share: a source of an array, and a node's pixels looked at from all sides.

``from .helpers import ...`` works because pytest's importlib mode makes a namespace package of each test folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from weft.graph.block import Block
from weft.graph.grid import Grid, Region
from weft.graph.node import Meta, Node, Source, operation
from weft.graph.optimize import optimize
from weft.graph.sweep import Program, evaluate
from weft.graph.values import FrozenArray


@operation("test_pixels")
@dataclass(frozen=True, eq=False)
class Pixels(Source):
    """An array as a source, (bands, rows, cols); it serves a coarser form of itself, every n-th pixel, when it may."""

    data: FrozenArray
    valid: FrozenArray | None
    nodata: int | float | complex | None
    lies: Grid
    bands: tuple[str, ...]
    coarsest: int = 1
    attrs: tuple[tuple[str, str | tuple[float, ...]], ...] = ()

    def _meta(self) -> Meta:
        masked = self.valid is not None
        return Meta(self.lies, self.bands, self.data.array.dtype, self.nodata, masked, (16, 16), dict(self.attrs))

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        valid = None if self.valid is None else self.valid.array[:, region.rows, region.cols]
        block = Block(self.data.array[:, region.rows, region.cols], valid)
        # Operations meet both forms of "all valid": a mask that says so, and None.
        return block if region == self.lies.region else block.compact()

    def reduced(self, factor: float) -> Node | None:
        step = min(int(factor), self.coarsest)
        if step < 2:
            return None
        few = self.data.array[:, ::step, ::step]
        valid = None if self.valid is None else FrozenArray(self.valid.array[:, ::step, ::step])
        grid = self.lies.resized(few.shape[1:])
        return Pixels(FrozenArray(few), valid, self.nodata, grid, self.bands, attrs=self.attrs)


def array_source(
    data: Any,
    valid: Any = None,
    nodata: float | None = None,
    transform: Any = None,
    crs: str | None = None,
    bands: Sequence[str] | None = None,
    coarsest: int = 1,
    attrs: Mapping[str, Any] | None = None,
) -> Pixels:
    """A source of an array (bands, rows, cols) or (rows, cols); ``valid`` likewise, one band serving all."""
    pixels = np.asarray(data)
    pixels = pixels if pixels.ndim == 3 else pixels[None]
    mask = None
    if valid is not None:
        flags = np.asarray(valid)
        mask = FrozenArray(flags if flags.ndim == 3 else flags[None])
    names = tuple(f"b{band}" for band in range(len(pixels))) if bands is None else tuple(bands)
    grid = Grid(pixels.shape[1:], transform, crs)
    return Pixels(FrozenArray(pixels), mask, nodata, grid, names, coarsest, tuple((attrs or {}).items()))


def computed(node: Node) -> tuple[np.ndarray, np.ndarray]:
    """A node's (data, valid), ``valid`` spread over the bands.

    Its promises are looked at too: the shape and dtype that ``meta`` announces, ``masked``, and the same answer from tiles
    of odd sizes and from what the exact rules leave.
    """
    block = evaluate(Program(node), node.meta.grid.region)
    assert block.data.shape == (len(node.meta.bands), *node.meta.grid.shape)
    assert block.data.dtype == node.meta.dtype
    assert node.meta.masked or block.valid is None
    data, valid = block.data, np.broadcast_to(True if block.valid is None else block.valid, block.data.shape)
    for tile in ((3, 5), (7, 2)):
        _same(*_tiled(node, tile), data, valid)
    best = optimize(node, "exact").node
    assert (best.meta.grid, best.meta.bands, best.meta.dtype) == (node.meta.grid, node.meta.bands, node.meta.dtype)
    np.testing.assert_equal(best.meta.nodata, node.meta.nodata)
    _same(*_tiled(best, (4, 6)), data, valid)
    return data, valid


def _tiled(node: Node, tile: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    rows, cols = node.meta.grid.shape
    data = np.empty((len(node.meta.bands), rows, cols), node.meta.dtype)
    valid = np.ones(data.shape, bool)
    program = Program(node)
    for row in range(0, rows, tile[0]):
        for col in range(0, cols, tile[1]):
            region = Region(row, row + tile[0], col, col + tile[1]).intersect(node.meta.grid.region)
            block = evaluate(program, region)
            data[:, region.rows, region.cols] = block.data
            if block.valid is not None:
                valid[:, region.rows, region.cols] = block.valid
    return data, valid


def _same(data: np.ndarray, valid: np.ndarray, expected: np.ndarray, expected_valid: np.ndarray) -> None:
    np.testing.assert_array_equal(valid, expected_valid)
    np.testing.assert_array_equal(data, expected)
