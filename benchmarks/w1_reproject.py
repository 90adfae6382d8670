"""W1: a whole scene from UTM to web mercator, bilinear, into zarr."""

from __future__ import annotations

from pathlib import Path

QUESTION = "W1 scene 32633 -> 3857, bilinear, to zarr"


def _target(scene: Path):
    import rasterio
    from rasterio.warp import calculate_default_transform

    with rasterio.open(scene) as source:
        return calculate_default_transform(source.crs, "EPSG:3857", source.width, source.height, *source.bounds)


def weft(scene: Path, folder: Path) -> None:
    import weft

    transform, cols, rows = _target(scene)
    grid = weft.Grid((rows, cols), transform, "EPSG:3857")
    weft.open(scene).warp(like=grid).to_zarr(folder / "out.zarr", chunks=(1, 1024, 1024))


def rioxarray(scene: Path, folder: Path) -> None:
    import rioxarray
    from rasterio.enums import Resampling

    from .sinks import write_zarr

    transform, cols, rows = _target(scene)
    with rioxarray.open_rasterio(scene) as pixels:
        warped = pixels.rio.reproject(
            "EPSG:3857", shape=(rows, cols), transform=transform, resampling=Resampling.bilinear, num_threads=2
        )
        write_zarr(warped, folder / "out.zarr")


def odc_geo(scene: Path, folder: Path) -> None:
    import rioxarray
    from odc.geo.geobox import GeoBox
    from odc.geo.xr import xr_reproject

    from .sinks import write_zarr

    transform, cols, rows = _target(scene)
    with rioxarray.open_rasterio(scene, chunks={"band": -1, "y": 2048, "x": 2048}, lock=False) as pixels:
        target = GeoBox((rows, cols), transform, "EPSG:3857")
        write_zarr(xr_reproject(pixels, target, resampling="bilinear", chunks=(2048, 2048)), folder / "out.zarr")


CONTENDERS = {"weft": weft, "rioxarray": rioxarray, "odc-geo + dask": odc_geo}
