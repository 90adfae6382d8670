"""W3: the reduced levels of one band by averages, from a GeoTIFF to disk, zstd level 1."""

from __future__ import annotations

from pathlib import Path

from .scene import one_band

QUESTION = "W3 average pyramid of one band, to disk, zstd-1"
FACTORS = (2, 4, 8, 16, 32, 64)


def prepare(scene: Path, contender: str) -> Path:
    return one_band()


def weft(band: Path, folder: Path) -> None:
    import weft

    weft.open(band).pyramid("average")[1:].to_zarr(folder / "levels.zarr", chunks=(1, 512, 512))


def build_overviews(band: Path, folder: Path) -> None:
    import rasterio
    from rasterio.enums import Resampling

    # GDAL writes <name>.ovr beside the name it is given: the band itself stays as it is.
    link = folder / "band.tif"
    link.symlink_to(band)
    settings = {
        "TIFF_USE_OVR": True,
        "COMPRESS_OVERVIEW": "ZSTD",
        "ZSTD_LEVEL_OVERVIEW": 1,
        "GDAL_TIFF_OVR_BLOCKSIZE": 512,
        "GDAL_NUM_THREADS": 2,
    }
    with rasterio.Env(**settings), rasterio.open(link, "r+") as target:
        target.build_overviews(FACTORS, Resampling.average)


CONTENDERS = {"weft": weft, "rasterio build_overviews": build_overviews}
