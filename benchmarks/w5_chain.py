"""W5: the whole chain: COG -> crop 8192 -> web mercator at 20 m -> 2-98 % stretch to uint8 -> zarr."""

from __future__ import annotations

from pathlib import Path

QUESTION = "W5 COG -> crop 8192 -> 3857 at 20 m -> stretch -> zarr"
OFFSET = 1000
SIDE = 8192


def chain(scene: Path, *, approximate: bool = True):
    """The chain up to the stretch, as weft's user writes it."""
    import weft

    raster = weft.open(scene)
    side = min(SIDE, raster.shape[1] - OFFSET)
    cropped = raster.crop(window=(OFFSET, OFFSET + side, OFFSET, OFFSET + side))
    return cropped.warp("EPSG:3857", resolution=20).stretch((2, 98), approximate=approximate)


def weft(scene: Path, folder: Path) -> float:
    from weft.graph.cache import tile_cache

    chain(scene).to_zarr(folder / "out.zarr", chunks=(1, 1024, 1024))
    return float(tile_cache().counts.loads)


def weft_exact(scene: Path, folder: Path) -> None:
    chain(scene, approximate=False).to_zarr(folder / "out.zarr", chunks=(1, 1024, 1024))


def rioxarray(scene: Path, folder: Path) -> None:
    import numpy as np
    import rioxarray
    from rasterio.enums import Resampling

    from .sinks import write_zarr

    with rioxarray.open_rasterio(scene) as pixels:
        window = slice(OFFSET, OFFSET + SIDE)
        warped = pixels.isel(y=window, x=window).rio.reproject(
            "EPSG:3857", resolution=20, resampling=Resampling.bilinear, num_threads=2
        )
        out = np.empty(warped.shape, np.uint8)
        for band in range(warped.shape[0]):
            low, high = _percentiles(np.bincount(warped.values[band].ravel(), minlength=65536))
            out[band] = _stretched(warped.values[band], low, high)
        write_zarr(warped.copy(data=out), folder / "out.zarr")


def odc_geo(scene: Path, folder: Path) -> None:
    import dask.array as da
    import numpy as np
    import rioxarray
    from odc.geo.xr import xr_reproject

    from .sinks import write_zarr

    with rioxarray.open_rasterio(scene, chunks={"band": -1, "y": 2048, "x": 2048}, lock=False) as pixels:
        window = slice(OFFSET, OFFSET + SIDE)
        cropped = pixels.isel(y=window, x=window)
        warped = xr_reproject(cropped, "EPSG:3857", resolution=20, resampling="bilinear", chunks=(2048, 2048)).persist()
        counts = [da.bincount(warped.data[band].ravel(), minlength=65536) for band in range(warped.shape[0])]
        limits = [_percentiles(np.asarray(count)) for count in da.compute(*counts)]
        low = np.array([pair[0] for pair in limits]).reshape(-1, 1, 1)
        high = np.array([pair[1] for pair in limits]).reshape(-1, 1, 1)
        write_zarr(warped.copy(data=warped.data.map_blocks(_stretched, low, high, dtype="uint8")), folder / "out.zarr")


def _percentiles(counts):
    import numpy as np

    counts = counts.copy()
    counts[0] = 0  # outside the footprint
    total = np.cumsum(counts)
    return np.searchsorted(total, 0.02 * total[-1]), np.searchsorted(total, 0.98 * total[-1])


def _stretched(values, low, high):
    import numpy as np

    scaled = (values.astype(np.float32) - low) / np.maximum(1, high - low)
    return (np.clip(scaled, 0, 1) * 255 + 0.5).astype(np.uint8)


CONTENDERS = {"weft": weft, "weft, exact statistics": weft_exact, "rioxarray": rioxarray, "odc-geo + dask": odc_geo}
