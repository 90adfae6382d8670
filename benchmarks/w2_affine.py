"""W2: a whole scene in memory turned by 7 degrees and shrunk to 0.8, bilinear without antialias, into memory.

The peer gets its pixels interleaved, as it likes them best; planar ones are measured beside it. Its matrix speaks of pixel
centres at whole numbers, weft's of pixel corners: the same picture, moved by half a pixel before and after.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

QUESTION = "W2 affine 7 degrees x 0.8 in memory, bilinear"
DEGREES, SCALE = 7.0, 0.8


def matrix(rows: int, cols: int) -> tuple[float, float, float, float, float, float]:
    """About the image's centre, where a pixel of the input goes, in pixel-corner coordinates."""
    cos, sin = SCALE * math.cos(math.radians(DEGREES)), SCALE * math.sin(math.radians(DEGREES))
    x, y = cols / 2, rows / 2
    return cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y


def of_centres(corners: tuple[float, float, float, float, float, float]) -> Any:
    """The same matrix, 2 x 3, for coordinates in which whole numbers are pixel centres."""
    import numpy as np

    a, b, c, d, e, f = corners
    return np.array([[a, b, c + 0.5 * (a + b) - 0.5], [d, e, f + 0.5 * (d + e) - 0.5]])


def prepare(scene: Path, contender: str) -> Any:
    """The scene's pixels, in the form that the contender takes."""
    import numpy as np
    import rasterio

    with rasterio.open(scene) as source:
        planar = source.read()
    if contender.startswith("weft"):
        import weft

        return weft.from_array(planar)
    return planar if "planar" in contender else np.ascontiguousarray(np.moveaxis(planar, 0, -1))


def _weft(raster: Any, resampling: str) -> Any:
    rows, cols = raster.grid.shape
    return raster.affine(matrix(rows, cols), shape="keep", antialias=False, resampling=resampling).to_numpy()


def weft(raster: Any, folder: Path) -> None:
    _weft(raster, "bilinear")


def weft_nearest(raster: Any, folder: Path) -> None:
    _weft(raster, "nearest")


def _warped(image: Any, resampling: int) -> Any:
    import cv2

    rows, cols = image.shape[:2]
    return cv2.warpAffine(image, of_centres(matrix(rows, cols)), (cols, rows), flags=resampling)


def opencv(image: Any, folder: Path) -> None:
    import cv2

    _warped(image, cv2.INTER_LINEAR)


def opencv_nearest(image: Any, folder: Path) -> None:
    import cv2

    _warped(image, cv2.INTER_NEAREST)


def opencv_planar(planes: Any, folder: Path) -> None:
    import cv2
    import numpy as np

    np.stack([_warped(plane, cv2.INTER_LINEAR) for plane in planes])


CONTENDERS = {
    "weft": weft,
    "cv2.warpAffine": opencv,
    "cv2.warpAffine, planar": opencv_planar,
    "weft, nearest": weft_nearest,
    "cv2.warpAffine, nearest": opencv_nearest,
}
