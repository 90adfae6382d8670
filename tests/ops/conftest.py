"""What tests of resampling share: an image in memory, sampling written out tap by tap, evaluation in tiles."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from weft.graph.block import Block
from weft.graph.grid import Grid, Region
from weft.graph.node import Meta, Node, Source, operation
from weft.graph.sweep import Program, evaluate
from weft.graph.values import FrozenArray


@operation("test image")
@dataclass(frozen=True, eq=False)
class Image(Source):
    """Pixels in memory; ``halves`` is how many overviews, each the 2 x 2 means of the last, it can offer."""

    pixels: FrozenArray
    placed: Grid
    nodata: float | complex | None = None
    valid: FrozenArray | None = None
    halves: int = 0

    def _meta(self) -> Meta:
        array = self.pixels.array
        bands = tuple(f"b{k}" for k in range(len(array)))
        return Meta(self.placed, bands, array.dtype, self.nodata, masked=self.valid is not None, attrs={"kept": 1})

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        assert self.placed.region.contains(region)
        valid = None if self.valid is None else self.valid.array[:, region.rows, region.cols]
        return Block(self.pixels.array[:, region.rows, region.cols], valid).compact()

    def select(self, bands: tuple[int, ...]) -> Node | None:
        array, valid = self.pixels.array, self.valid
        if valid is not None and len(valid.array) > 1:
            valid = FrozenArray(valid.array[list(bands)])
        return Image(FrozenArray(array[list(bands)]), self.placed, self.nodata, valid, self.halves)

    def reduced(self, factor: float) -> Node | None:
        array, grid, halves = self.pixels.array, self.placed, self.halves
        while halves and factor >= 2:
            array = (
                array.reshape(len(array), array.shape[1] // 2, 2, array.shape[2] // 2, 2).mean(axis=(2, 4)).astype(array.dtype)
            )
            grid, halves, factor = grid.resized(array.shape[1:]), halves - 1, factor / 2
        return Image(FrozenArray(array), grid, self.nodata, None, halves) if halves < self.halves else None


@pytest.fixture(scope="session")
def image() -> Callable[..., Image]:
    """``image(pixels, grid=None, nodata=None, valid=None, halves=0)``: a source of (band, y, x) pixels."""

    def make(pixels: Any, grid: Grid | None = None, nodata: Any = None, valid: Any = None, halves: int = 0) -> Image:
        array = np.asarray(pixels)
        frozen = None if valid is None else FrozenArray(np.asarray(valid, bool))
        return Image(FrozenArray(array), grid or Grid(array.shape[1:]), nodata, frozen, halves)

    return make


@pytest.fixture(scope="session")
def image_file(image: Callable[..., Image], shared_data: Path) -> Callable[[str], Image]:
    """``image_file(path)``: a real file, read by rasterio."""

    def read(path: str) -> Image:
        with rasterio.open(shared_data / path) as file:
            valid = file.read_masks() > 0
            grid = Grid((file.height, file.width), file.transform, file.crs.to_wkt())
            return image(file.read(), grid, file.nodata, None if valid.all() else valid)

    return read


@pytest.fixture(scope="session")
def whole() -> Callable[[Node], Block]:
    """``whole(node)``: all its pixels at once."""
    return lambda node: evaluate(Program(node), node.meta.grid.region)


@pytest.fixture(scope="session")
def in_tiles() -> Callable[[Node, int, int], Block]:
    """``in_tiles(node, rows, cols)``: all its pixels, computed in tiles of that size."""

    def compute(node: Node, rows: int, cols: int) -> Block:
        meta, program = node.meta, Program(node)
        data = np.empty((len(meta.bands), *meta.grid.shape), meta.dtype)
        valid = np.ones(data.shape, bool)
        for row in range(0, meta.grid.shape[0], rows):
            for col in range(0, meta.grid.shape[1], cols):
                tile = Region(row, row + rows, col, col + cols).intersect(meta.grid.region)
                block = evaluate(program, tile)
                data[:, tile.rows, tile.cols] = block.data
                valid[:, tile.rows, tile.cols] = True if block.valid is None else block.valid
        return Block(data, valid).compact()

    return compute


@pytest.fixture(scope="session")
def by_hand() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """``by_hand(pixels, valid, x, y, resampling, scale=(1, 1))``: every sample as a plain sum over the whole image.

    ``valid`` has the shape of ``pixels``, ``x`` and ``y`` that of the output. ``scale`` is how much wider the kernel is along
    x and y; of average, mode, min, max and median how wide the footprint. The result: float64 values, not rounded (of
    mode, min, max and median in the dtype of the pixels), and their validity.
    """
    return _by_hand


PICKS = ("mode", "min", "max", "median")


def _kernel(resampling: str, distance: np.ndarray, scale: float) -> np.ndarray:
    t = np.abs(distance) / scale
    if resampling == "average":
        overlap = np.minimum(distance + 0.5, scale / 2) - np.maximum(distance - 0.5, -scale / 2)
        return np.where(overlap > 1e-6, overlap, 0)
    if resampling == "lanczos":
        return np.where(t < 3, np.sinc(t) * np.sinc(t / 3), 0)
    if resampling == "bilinear":
        return np.clip(1 - t, 0, None)
    near, far = 1.5 * t**3 - 2.5 * t**2 + 1, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    return np.where(t <= 1, near, np.where(t < 2, far, 0.0))


def _beneath(at: float, width: float, size: int) -> np.ndarray:
    """Pixels whose centres lie in the footprint, or the one under the sample."""
    centres = np.arange(size) + 0.5
    chosen = np.flatnonzero((centres >= at - width / 2 - 1e-6) & (centres < at + width / 2 - 1e-6))
    return chosen if chosen.size else np.array([math.floor(at + 1e-6)])


def _picked(values: np.ndarray, resampling: str) -> Any:
    found, counts = np.unique(values, return_counts=True)
    if resampling == "mode":
        return found[np.argmax(counts)]
    if resampling != "median":
        return found[0 if resampling == "min" else -1]
    low, high = np.sort(values)[[(len(values) - 1) // 2, len(values) // 2]]
    return (int(low) + int(high) + 1) // 2 if values.dtype.kind in "iu" else (np.float64(low) + high) / 2


def _by_hand(
    pixels: np.ndarray, valid: np.ndarray, x: np.ndarray, y: np.ndarray, resampling: str, scale: tuple[float, float] = (1, 1)
) -> tuple[np.ndarray, np.ndarray]:
    bands, height, width = pixels.shape
    dtype = pixels.dtype if resampling in PICKS else np.result_type(pixels.dtype, np.float64)
    out, ok = np.zeros((bands, *x.shape), dtype), np.zeros((bands, *x.shape), bool)
    for at in np.ndindex(*x.shape):
        px, py = x[at], y[at]
        if not (0 <= px < width and 0 <= py < height):
            continue
        if resampling == "nearest":
            r, c = math.floor(py), math.floor(px)
            out[:, *at], ok[:, *at] = pixels[:, r, c], valid[:, r, c]
            continue
        if resampling in PICKS:
            box = np.ix_(_beneath(py, scale[1], height), _beneath(px, scale[0], width))
            for b in range(bands):
                used = valid[b][box]
                if used.any() and 2 * used.sum() >= used.size:
                    out[b, *at], ok[b, *at] = _picked(pixels[b][box][used], resampling), True
            continue
        wx = _kernel(resampling, np.arange(width) + 0.5 - px, scale[0])
        wy = _kernel(resampling, np.arange(height) + 0.5 - py, scale[1])
        weights = wy[:, None] * wx
        for b in range(bands):
            used = weights * valid[b]
            if used.sum() > 0 and used.sum() >= 0.5 * weights.sum():
                ok[b, *at] = True
                out[b, *at] = np.where(used != 0, used * pixels[b], 0).sum() / used.sum()
    return out, ok
