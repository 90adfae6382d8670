"""W5, one 512 x 512 chunk only, from opening the file to uint8 pixels: what a map or a notebook waits for."""

from __future__ import annotations

from pathlib import Path

QUESTION = "W5, one 512 x 512 chunk, fixed stretch"
LOW, HIGH = 2000.0, 8000.0
PLACE = 2560


def weft(scene: Path, folder: Path) -> float:
    import weft
    from benchmarks.w5_chain import OFFSET, SIDE

    warped = weft.open(scene).crop(window=(OFFSET, OFFSET + SIDE, OFFSET, OFFSET + SIDE)).warp("EPSG:3857", resolution=20)
    chunk = warped.rescale((LOW, HIGH), (0, 255), "uint8")[PLACE : PLACE + 512, PLACE : PLACE + 512]
    return float(chunk.to_numpy().mean())


def warped_vrt(scene: Path, folder: Path) -> float:
    import numpy as np
    import rasterio
    from rasterio.enums import Resampling
    from rasterio.vrt import WarpedVRT
    from rasterio.warp import calculate_default_transform
    from rasterio.windows import Window, bounds

    from benchmarks.w5_chain import OFFSET, SIDE

    with rasterio.open(scene) as source:
        box = bounds(Window(OFFSET, OFFSET, SIDE, SIDE), source.transform)
        transform, cols, rows = calculate_default_transform(source.crs, "EPSG:3857", SIDE, SIDE, *box, resolution=20)
        options = {"crs": "EPSG:3857", "transform": transform, "width": cols, "height": rows, "resampling": Resampling.bilinear}
        with WarpedVRT(source, **options) as warped:
            values = warped.read(window=Window(PLACE, PLACE, 512, 512))
    scaled = (values.astype(np.float32) - LOW) / (HIGH - LOW)
    return float((np.clip(scaled, 0, 1) * 255 + 0.5).astype(np.uint8).mean())


CONTENDERS = {"weft": weft, "WarpedVRT": warped_vrt}
