"""Small operations to try the engine with, handed out by the fixture ``ops``, and a second, naive way to compute them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, ClassVar

import dask.array as da
import numpy as np
import pytest

from weft.graph.block import Block, both_valid
from weft.graph.cache import tile_cache
from weft.graph.flat import topological
from weft.graph.grid import Grid, Region
from weft.graph.node import Meta, Node, Reduction, operation
from weft.graph.source import ChunkedSource, TiledSource

INT64 = np.dtype("i8")


class Calls:
    """What kernels were called for, from any thread: (token, region) in order."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Region]] = []
        self._lock = threading.Lock()

    def note(self, node: Node, region: Region) -> None:
        with self._lock:
            self.seen.append((node.token, region))

    def regions(self, node: Node) -> list[Region]:
        return [region for token, region in self.seen if token == node.token]

    def count(self) -> Counter[str]:
        return Counter(token for token, _ in self.seen)

    def clear(self) -> None:
        self.seen.clear()

    def __reduce__(self) -> tuple[Any, ...]:  # a worker process counts for itself
        return Calls, ()


CALLS = Calls()


def noise(region: Region, bands: int, seed: int, masked: bool) -> Block:
    """Whole numbers that look random, each made of its place alone; a fifth of them invalid if ``masked``."""
    band = np.arange(bands, dtype="u8")[:, None, None]
    row = np.arange(region.row0, region.row1, dtype="u8")[:, None]
    col = np.arange(region.col0, region.col1, dtype="u8")
    bits = (row * np.uint64(0x9E3779B97F4A7C15)) ^ (col * np.uint64(0xC2B2AE3D27D4EB4F)) ^ (band + np.uint64(seed * 7919 + 1))
    bits = (bits ^ (bits >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    bits ^= bits >> np.uint64(32)
    data = (bits % np.uint64(2001)).astype("i8") - 1000
    return Block(data, bits >> np.uint64(40) & np.uint64(1023) > 204 if masked else None)


@operation("test-noise")
@dataclass(frozen=True, eq=False)
class Noise(TiledSource):
    """Whole numbers from a seed, in tiles."""

    shape: tuple[int, int] = (40, 50)
    tile: tuple[int, int] = (16, 16)
    seed: int = 0
    bands: int = 1
    masked: bool = False

    def _meta(self) -> Meta:
        names = tuple(f"b{k + 1}" for k in range(self.bands))
        return Meta(Grid(self.shape), names, INT64, masked=self.masked, tile=self.tile)

    def read(self, region: Region) -> Block:
        CALLS.note(self, region)
        return noise(region, self.bands, self.seed, self.masked)

    def whole(self) -> Block:
        return noise(self.meta.grid.region, self.bands, self.seed, self.masked)


@operation("test-flat")
@dataclass(frozen=True, eq=False)
class Flat(TiledSource):
    """Zeros, for images too large to hold."""

    side: int
    tile: tuple[int, int] = (512, 512)

    def _meta(self) -> Meta:
        return Meta(Grid((self.side, self.side)), ("b1",), np.dtype("u1"), tile=self.tile)

    def read(self, region: Region) -> Block:
        return Block(np.zeros((1, *region.shape), "u1"))


@operation("test-plus")
@dataclass(frozen=True, eq=False)
class Plus(Node):
    """Adds a number."""

    source: Node
    amount: int = 1
    is_pointwise: ClassVar[bool] = True

    def _meta(self) -> Meta:
        return self.source.meta

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        CALLS.note(self, region)
        return Block((blocks[0].data + self.amount).astype(self.meta.dtype), blocks[0].valid)

    def whole(self, block: Block) -> Block:
        return Block((block.data + self.amount).astype(self.meta.dtype), block.valid)


@operation("test-heavy")
@dataclass(frozen=True, eq=False)
class Heavy(Plus):
    """Adds a number and claims that this is dear."""

    cost: ClassVar[float] = 100.0


@operation("test-greedy")
@dataclass(frozen=True, eq=False)
class Greedy(Plus):
    """Adds a number and claims to hold 1000 bytes a pixel meanwhile."""

    workspace: ClassVar[float] = 1000.0


@operation("test-add")
@dataclass(frozen=True, eq=False)
class Add(Node):
    """Adds two images."""

    left: Node
    right: Node
    is_pointwise: ClassVar[bool] = True

    def _meta(self) -> Meta:
        return self.left.meta.having(masked=self.left.meta.masked or self.right.meta.masked)

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        CALLS.note(self, region)
        return self.whole(*blocks)

    def whole(self, left: Block, right: Block) -> Block:
        return Block(left.data + right.data, both_valid(left.valid, right.valid))


@operation("test-sum")
@dataclass(frozen=True, eq=False)
class Sum(Node):
    """Adds any number of images."""

    images: tuple[Node, ...]

    def _meta(self) -> Meta:
        return self.images[0].meta.having(masked=any(node.meta.masked for node in self.images))

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        CALLS.note(self, region)
        return self.whole(*blocks)

    def whole(self, *blocks: Block) -> Block:
        total = blocks[0]
        for block in blocks[1:]:
            total = Block(total.data + block.data, both_valid(total.valid, block.valid))
        return total


@operation("test-shift")
@dataclass(frozen=True, eq=False)
class Shift(Node):
    """Output (r, c) is input (r + rows, c + cols); invalid zeros where that lies outside."""

    source: Node
    rows: int
    cols: int

    def _meta(self) -> Meta:
        return self.source.meta.having(masked=True)

    def need(self, region: Region) -> tuple[Region, ...]:
        return (region.shifted(self.rows, self.cols).intersect(self.source.meta.grid.region),)

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        CALLS.note(self, region)
        data = np.zeros((len(self.meta.bands), *region.shape), self.meta.dtype)
        valid = np.zeros(data.shape, bool)
        (need,) = self.need(region)
        if not need.is_empty:
            rows, cols = need.within(region.shifted(self.rows, self.cols))
            data[:, rows, cols] = blocks[0].data
            valid[:, rows, cols] = True if blocks[0].valid is None else blocks[0].valid
        return Block(data, valid).compact()

    def whole(self, block: Block) -> Block:
        height, width = block.data.shape[1:]
        data, valid = np.zeros_like(block.data), np.zeros(block.data.shape, bool)
        given = np.ones(block.data.shape, bool) if block.valid is None else block.valid
        for r in range(height):
            for c in range(width):
                if 0 <= r + self.rows < height and 0 <= c + self.cols < width:
                    data[:, r, c] = block.data[:, r + self.rows, c + self.cols]
                    valid[:, r, c] = given[:, r + self.rows, c + self.cols]
        return Block(data, valid)


@operation("test-stencil")
@dataclass(frozen=True, eq=False)
class Stencil(Node):
    """Sum of the valid pixels of a square window, zeros outside the image."""

    source: Node
    radius: int

    def _meta(self) -> Meta:
        return self.source.meta.having(masked=False)

    def need(self, region: Region) -> tuple[Region, ...]:
        return (region.grown(self.radius, self.radius).intersect(self.source.meta.grid.region),)

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        CALLS.note(self, region)
        around = region.grown(self.radius, self.radius)
        padded = np.zeros((len(self.meta.bands), *around.shape), self.meta.dtype)
        rows, cols = self.need(region)[0].within(around)
        padded[:, rows, cols] = blocks[0].filled(0)
        views = np.lib.stride_tricks.sliding_window_view(padded, (2 * self.radius + 1,) * 2, axis=(1, 2))
        return Block(views.sum((3, 4), dtype=self.meta.dtype))

    def whole(self, block: Block) -> Block:
        data = block.filled(0)
        out = np.empty_like(data)
        for r in range(data.shape[1]):
            for c in range(data.shape[2]):
                rows = slice(max(0, r - self.radius), r + self.radius + 1)
                out[:, r, c] = data[:, rows, max(0, c - self.radius) : c + self.radius + 1].sum((1, 2))
        return Block(out)


@operation("test-total")
@dataclass(frozen=True, eq=False)
class Total(Reduction):
    """Per band, the sum of all valid pixels."""

    source: Node

    def _meta(self) -> Meta:
        return Meta(Grid((1, 1)), self.source.meta.bands, INT64)

    def partial(self, blocks: tuple[Block, ...]) -> np.ndarray:
        total: np.ndarray = blocks[0].filled(0).sum((1, 2), dtype="i8")
        return total

    def combine(self, states: list[np.ndarray]) -> np.ndarray:
        total: np.ndarray = np.sum(states, axis=0)
        return total

    def finish(self, state: np.ndarray) -> Block:
        return Block(state[:, None, None])

    def whole(self, block: Block) -> Block:
        return Block(block.filled(0).sum((1, 2), dtype="i8")[:, None, None])


@operation("test-above")
@dataclass(frozen=True, eq=False)
class Above(Total):
    """Per band, how many valid pixels exceed what a table says: a statistic on a statistic."""

    limit: Node = field(default=None)  # type: ignore[assignment]

    def partial(self, blocks: tuple[Block, ...]) -> np.ndarray:
        image, table = blocks
        above = image.data > table.data
        if image.valid is not None:
            above = above & image.valid
        count: np.ndarray = above.sum((1, 2), dtype="i8")
        return count

    def whole(self, *blocks: Block) -> Block:
        return self.finish(self.partial(blocks))


@operation("test-half")
@dataclass(frozen=True, eq=False)
class Half(Node):
    """A table from a table."""

    table: Node

    def _meta(self) -> Meta:
        return self.table.meta

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        CALLS.note(self, region)
        return self.whole(*blocks)

    def whole(self, block: Block) -> Block:
        return Block(block.data // 2)


@operation("test-centre")
@dataclass(frozen=True, eq=False)
class Centre(Node):
    """An image less a table's value."""

    source: Node
    table: Node

    def _meta(self) -> Meta:
        return self.source.meta

    def need(self, region: Region) -> tuple[Region, ...]:
        return region, self.table.meta.grid.region

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        return self.whole(*blocks)

    def whole(self, image: Block, table: Block) -> Block:
        return Block(image.data - table.data, image.valid)


@operation("test-fail")
@dataclass(frozen=True, eq=False)
class Fail(Node):
    """Cannot compute one pixel."""

    source: Node
    row: int
    col: int

    def _meta(self) -> Meta:
        return self.source.meta

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        if region.contains(Region(self.row, self.row + 1, self.col, self.col + 1)):
            raise ZeroDivisionError("cannot compute that pixel")
        return blocks[0]


class Arrays:
    """Dask arrays as a value of a node."""

    def __init__(self, data: da.Array, valid: da.Array | None) -> None:
        self.data, self.valid = data, valid
        self.token = f"{data.name}/{valid.name if valid is not None else ''}"


@operation("test-chunked")
@dataclass(frozen=True, eq=False)
class Chunked(ChunkedSource):
    """Pixels from dask; what equals ``nodata`` is invalid."""

    arrays: Arrays = field(metadata={"json": False})
    nodata: int = -999

    def _meta(self) -> Meta:
        bands, rows, cols = self.arrays.data.shape
        names = tuple(f"b{k + 1}" for k in range(bands))
        return Meta(Grid((rows, cols)), names, self.arrays.data.dtype, nodata=self.nodata, masked=True)

    @property
    def array(self) -> da.Array:
        return self.arrays.data

    @property
    def valid(self) -> da.Array | None:
        return self.arrays.valid

    @property
    def validator(self) -> Callable[[np.ndarray, np.ndarray | None], Block]:
        nodata = self.nodata
        return lambda data, valid: Block(data, both_valid(valid, data != nodata)).compact()

    def whole(self) -> Block:
        data = self.arrays.data.compute(scheduler="sync")
        valid = None if self.arrays.valid is None else self.arrays.valid.compute(scheduler="sync")
        return self.validator(data, valid)


def whole(root: Node) -> Block:
    """The whole image of ``root``, each node computed on whole arrays."""
    blocks: dict[str, Block] = {}
    for node in topological(root):
        blocks[node.token] = node.whole(*(blocks[child.token] for child in node.inputs))  # type: ignore[attr-defined]
    return blocks[root.token]


def same(got: Block, wanted: Block) -> bool:
    """Whether both blocks have the same data and the same validity, however it is kept."""
    shape = wanted.data.shape

    def spread(block: Block) -> np.ndarray:
        return np.ones(shape, bool) if block.valid is None else np.broadcast_to(block.valid, shape)

    return (
        got.data.dtype == wanted.data.dtype
        and np.array_equal(got.data, wanted.data)
        and np.array_equal(*map(spread, (got, wanted)))
    )


@pytest.fixture(scope="session")
def ops() -> SimpleNamespace:
    """The operations of this file by name, ``whole`` and ``same`` to judge by, ``calls`` to count kernels with."""
    kinds = (Noise, Flat, Plus, Heavy, Greedy, Add, Sum, Shift, Stencil, Total, Above, Half, Centre, Fail, Chunked, Arrays)
    return SimpleNamespace(**{kind.__name__: kind for kind in kinds}, whole=whole, same=same, calls=CALLS)


@pytest.fixture(autouse=True)
def _fresh() -> None:
    """No test sees another's tiles or counts."""
    tile_cache().clear()
    CALLS.clear()
