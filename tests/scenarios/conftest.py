"""What the stories share: scenes, a judge of warps made of numpy and pyproj alone, and a counter of tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pyproj
import pytest
import rasterio
from dask.callbacks import Callback
from rasterio.windows import Window

from weft.scene import write_scene

TIE = 1e-3  # source pixels; within this of an edge between pixels, nearest may take either


@dataclass(frozen=True)
class Judged:
    """What an image's pixels should be: (band, y, x) in float64, where there are any, and where that is beyond rounding."""

    values: np.ndarray
    valid: np.ndarray
    settled: np.ndarray


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A COG of 1024 x 1024 pixels; nobody writes into it."""
    return write_scene(tmp_path_factory.mktemp("scene") / "scene.tif", 1024)


@pytest.fixture(scope="session")
def tiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A COG of 3 x 2048 x 2048 uint16 in 64 tiles of 256, with overviews."""
    path = tmp_path_factory.mktemp("tiled") / "tiled.tif"
    rows, cols = np.mgrid[:2048, :2048]
    waves = 3000 + 1500 * np.sin(rows / 37) * np.cos(cols / 53)
    pixels = np.stack([waves, waves[::-1] + rows % 7, waves[:, ::-1] + cols % 11]).astype("uint16")
    profile = {"dtype": "uint16", "count": 3, "height": 2048, "width": 2048, "crs": "EPSG:32633", "nodata": 0}
    place = rasterio.Affine(10, 0, 400000, 0, -10, 5300000)
    with rasterio.open(path, "w", driver="COG", blocksize=256, compress="deflate", transform=place, **profile) as target:
        target.write(pixels)
    return path


@pytest.fixture(scope="session")
def judged() -> Callable[..., Judged]:
    """``judged(path, bands, window, grid, resampling)``: part of a file, warped to a grid by exact coordinates.

    ``bands`` count from 1, ``window`` is (row0, row1, col0, col1), ``resampling`` is nearest or bilinear. A pixel is settled
    where the judgement of its value (nearest) and validity does not hang on a ``TIE`` of a pixel.
    """
    return _judged


def _judged(path: Path, bands: list[int], window: tuple[int, int, int, int], grid: Any, resampling: str) -> Judged:
    row0, row1, col0, col1 = window
    part = Window(col0, row0, col1 - col0, row1 - row0)
    with rasterio.open(path) as file:
        pixels, ok = file.read(bands, window=part).astype(float), file.read_masks(bands, window=part) > 0
        place, crs = file.window_transform(part), file.crs.to_wkt()
    rows, cols = np.mgrid[: grid.shape[0], : grid.shape[1]] + 0.5
    to_source = pyproj.Transformer.from_crs(grid.crs, crs, always_xy=True)
    x, y = ~place * np.array(to_source.transform(*(grid.transform * (cols, rows))))
    sampled = _nearest if resampling == "nearest" else _bilinear
    with np.errstate(invalid="ignore"):
        values, share = sampled(pixels, ok, x, y)
    inside = _inside(x, y, ok.shape[1:])
    near_rim = inside != _inside(x + TIE, y + TIE, ok.shape[1:])
    near_rim |= inside != _inside(x - TIE, y - TIE, ok.shape[1:])
    settled = ~near_rim & (np.abs(share - 0.5) > 4 * TIE)
    if resampling == "nearest":
        settled &= (np.abs(x - np.round(x)) > TIE) & (np.abs(y - np.round(y)) > TIE)
    return Judged(values, inside & (share >= 0.5), settled)


def _inside(x: np.ndarray, y: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return (x >= 0) & (x < shape[1]) & (y >= 0) & (y < shape[0])


def _nearest(pixels: np.ndarray, ok: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    at = (np.clip(v, 0, n - 1).astype(int) for v, n in ((y, ok.shape[1]), (x, ok.shape[2])))
    where = (slice(None), *at)
    return pixels[where], ok[where].astype(float)


def _bilinear(pixels: np.ndarray, ok: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the valid ones of 2 x 2 pixels by weight, and what part of the weight inside the image they hold."""
    _, height, width = ok.shape
    left, top = np.floor(x - 0.5).astype(int), np.floor(y - 0.5).astype(int)
    total, used, whole = np.zeros((len(ok), *x.shape)), np.zeros((len(ok), *x.shape)), np.zeros(x.shape)
    for row in (top, top + 1):
        for col in (left, left + 1):
            weight = (1 - np.abs(x - 0.5 - col)) * (1 - np.abs(y - 0.5 - row))
            weight = np.where((row >= 0) & (row < height) & (col >= 0) & (col < width), weight, 0)
            at = (slice(None), np.clip(row, 0, height - 1), np.clip(col, 0, width - 1))
            counted = weight * ok[at]
            total += counted * np.where(ok[at], pixels[at], 0)
            used += counted
            whole += weight
    with np.errstate(divide="ignore", invalid="ignore"):
        return total / used, np.nan_to_num(used / whole)


@pytest.fixture
def counted() -> Callable[[], Any]:
    """``with counted() as tasks``: the list of keys that dask's schedulers in this process ran meanwhile."""

    @contextmanager
    def counting() -> Iterator[list[Any]]:
        tasks: list[Any] = []
        with Callback(posttask=lambda key, *_: tasks.append(key)), dask.config.set(num_workers=2):
            yield tasks

    return counting
