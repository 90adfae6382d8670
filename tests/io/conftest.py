"""What tests of sources and sinks share: reading all of a node without dask, and writing small GeoTIFFs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from weft.graph.block import Block
from weft.graph.grid import Region
from weft.graph.node import Node
from weft.graph.sweep import Program, evaluate

PLACE = Affine(10.0, 0.0, 500_000.0, 0.0, -10.0, 5_000_000.0)


@pytest.fixture(scope="session")
def read() -> Callable[..., Block]:
    """``read(node, region=None)``: the block of a region, or of the whole."""

    def read_block(node: Node, region: Region | None = None) -> Block:
        return evaluate(Program(node), region or node.meta.grid.region)

    return read_block


@pytest.fixture(scope="session")
def valid_of() -> Callable[[Block], np.ndarray]:
    """A block's validity as a full (band, row, col) array."""

    def full(block: Block) -> np.ndarray:
        return np.broadcast_to(True if block.valid is None else block.valid, block.data.shape)

    return full


@pytest.fixture
def write_tif(tmp_path: Path) -> Callable[..., Path]:
    """``write_tif(data, name="a.tif", mask=None, overviews=(), **profile)``: a GeoTIFF of (band, y, x) pixels."""

    def write(
        data: np.ndarray, name: str = "a.tif", *, mask: Any = None, overviews: tuple[int, ...] = (), **profile: Any
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        settings = {"driver": "GTiff", "crs": "EPSG:32633", "transform": PLACE, "dtype": data.dtype} | profile
        shape = {"count": data.shape[0], "height": data.shape[1], "width": data.shape[2]}
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "w", **shape, **settings) as target:
            target.write(data)
            if mask is not None:
                target.write_mask(mask)
            if overviews:
                target.build_overviews(list(overviews))
        return path

    return write
