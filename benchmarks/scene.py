"""The benchmark scenes: Sentinel-2-like COGs of multi-octave noise, and the same as zarr. Made once, kept in .cache."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import rasterio
from affine import Affine
from rasterio.enums import Resampling
from rasterio.shutil import copy

CACHE = Path(__file__).parent / ".cache"
CRS = "EPSG:32633"
TRANSFORM = Affine(10, 0, 399960, 0, -10, 5300040)
OCTAVES = 12


def cog(size: int = 10980) -> Path:
    """A ``size`` x ``size`` x 3 uint16 COG at 10 m: tiles of 512, DEFLATE with predictor 2, overviews."""
    path = CACHE / f"scene-{size}.tif"
    if path.exists():
        return path
    CACHE.mkdir(exist_ok=True)
    plain = CACHE / f"plain-{size}.tif"
    profile = {"driver": "GTiff", "width": size, "height": size, "count": 3, "dtype": "uint16", "crs": CRS}
    with rasterio.open(plain, "w", **profile, transform=TRANSFORM, tiled=True, bigtiff="if_safer") as target:
        for band in range(1, 4):
            target.write(_noise(size, seed=band), band)
    with rasterio.open(plain, "r+") as target:
        target.build_overviews([2**k for k in range(1, 6)], Resampling.average)
    unfinished = path.with_suffix(".part.tif")
    copy(plain, unfinished, driver="COG", compress="DEFLATE", predictor=2, blocksize=512, overviews="FORCE_USE_EXISTING")
    plain.unlink()
    return unfinished.rename(path)


def one_band(size: int = 10980) -> Path:
    """The first band of ``cog()`` as a plain tiled GeoTIFF, uncompressed: reading it costs next to nothing."""
    path = CACHE / f"band-{size}.tif"
    if path.exists():
        return path
    unfinished = path.with_suffix(".part.tif")
    with rasterio.open(cog(size)) as source:
        profile = {"driver": "GTiff", "width": size, "height": size, "count": 1, "dtype": "uint16", "crs": CRS}
        tiles = {"tiled": True, "blockxsize": 512, "blockysize": 512}
        with rasterio.open(unfinished, "w", **profile, **tiles, transform=TRANSFORM) as target:
            target.write(source.read(1), 1)
    return unfinished.rename(path)


def zarr_store(size: int = 10980) -> Path:
    """The same pixels as zarr v3: array ``data`` (band, y, x), chunks (1, 1024, 1024), zstd level 1."""
    path = CACHE / f"scene-{size}.zarr"
    if path.exists():
        return path
    import rioxarray

    from .sinks import write_zarr

    with rioxarray.open_rasterio(cog(size), chunks={"band": 1, "y": 1024, "x": 1024}) as pixels:
        unfinished = path.with_suffix(".part")
        write_zarr(pixels, unfinished)
    return unfinished.rename(path)


def _noise(size: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    total = np.zeros((size, size), np.float32)
    for octave in range(OCTAVES):
        cells = min(size, 2 ** (octave + 2))
        grid = random.standard_normal((cells, cells), np.float32)
        total += cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC) * np.float32(0.6**octave)
    low, high = total.min(), total.max()
    return ((total - low) * np.float32(10000 / (high - low)) + 200).astype(np.uint16)
