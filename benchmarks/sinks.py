"""How the xarray-based peers write: the store that weft writes too, zstd level 1 in chunks of (1, 1024, 1024)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import zarr.codecs

CHUNK = 1024


def write_zarr(array: Any, path: Path) -> None:
    """Write a DataArray (band, y, x), numpy- or dask-backed, as variable ``data``."""
    dataset = array.drop_attrs().rename("data").to_dataset()
    dataset["data"].encoding.clear()
    if array.chunks is not None:
        dataset = dataset.chunk({"band": 1, "y": CHUNK, "x": CHUNK})
    encoding = {"data": {"chunks": (1, CHUNK, CHUNK), "compressors": [zarr.codecs.ZstdCodec(level=1)]}}
    dataset.to_zarr(path, mode="w", encoding=encoding, zarr_format=3, consolidated=False)
