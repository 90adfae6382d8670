"""A scene to try weft on where none is at hand: a synthetic satellite image that looks like one, written as a COG.

Terrain is eroded fractal noise; water, fields, forest, rock and snow follow its height and slope; light comes from the
south-east. Each pixel is a function of its coordinates and the seed alone, so blocks are made independently and the
picture grows with the size instead of being stretched.
"""

from __future__ import annotations

import math
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
from affine import Affine
from numba import njit
from rasterio.windows import Window

from .graph.errors import ArgumentError, SinkError

BANDS = ("red", "green", "blue", "nir")
CRS = "EPSG:32633"
RESOLUTION = 10.0
TILE = 512
MIN_SIZE = 64

_BLOCK = 1024
_CORNER = (399960.0, 5300040.0)  # upper left, metres
_MIDDLE = (1350, 2450)  # row and column of the endless landscape that lie in the middle of every scene
_TILT = math.radians(7.0)  # of the footprint against the grid


def write_scene(path: str | Path, size: int = 4096, *, seed: int = 7) -> Path:
    """Write the scene as a cloud-optimized GeoTIFF.

    Parameters
    ----------
    path : file to write; appears only when it is complete, and replaces what is there
    size : int
        Pixels along each side, of 10 m.
    seed : int
        Another number gives another landscape; the same one the same pixels.

    Returns
    -------
    the path

    The file holds red, green, blue and nir as uint16 surface reflectance times 10000 in EPSG:32633, tiles of 512,
    DEFLATE with predictor 2, overviews, and nodata 0 outside a tilted footprint.

    Raises
    ------
    ArgumentError
        ``size`` is below 64.
    SinkError
        The folder cannot be written.
    """
    path, size = Path(path), checked_size(size)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".scene-") as folder:
            plain, cog = Path(folder) / "plain.tif", Path(folder) / "cog.tif"
            _write_plain(plain, size, seed)
            rasterio.shutil.copy(
                str(plain),
                str(cog),
                driver="COG",
                BLOCKSIZE=TILE,
                COMPRESS="DEFLATE",
                PREDICTOR="YES",
                LEVEL=4,
                OVERVIEW_RESAMPLING="AVERAGE",
                NUM_THREADS="ALL_CPUS",
            )
            os.replace(cog, path)
    except (OSError, rasterio.errors.RasterioError) as error:
        raise SinkError(f"cannot write the scene {path}: {error}") from error
    return path


def checked_size(size: int) -> int:
    """``size``, or ArgumentError where a scene cannot be so small."""
    if size < MIN_SIZE:
        raise ArgumentError(f"a scene has at least {MIN_SIZE} pixels a side; got {size}")
    return size


def scene_block(row0: int, col0: int, rows: int, cols: int, *, size: int, seed: int = 7) -> np.ndarray:
    """Pixels of the scene of ``size`` x ``size``: (4, rows, cols) uint16 in the order of ``BANDS``, 0 outside the footprint."""
    row, col = row0 - size // 2 + _MIDDLE[0], col0 - size // 2 + _MIDDLE[1]
    height, relief = _terrain(row - 1, col - 1, rows + 2, cols + 2, seed)
    return _reflectance(height, relief, row, col, 0.455 * size, seed, math.cos(_TILT), math.sin(_TILT))


def _write_plain(path: Path, size: int, seed: int) -> None:
    profile = {
        "driver": "GTiff",
        "width": size,
        "height": size,
        "count": len(BANDS),
        "dtype": "uint16",
        "crs": CRS,
        "transform": Affine(RESOLUTION, 0, _CORNER[0], 0, -RESOLUTION, _CORNER[1]),
        "nodata": 0,
        "tiled": True,
        "blockxsize": TILE,
        "blockysize": TILE,
        "interleave": "pixel",
        "bigtiff": "if_safer",
    }
    corners = [(row, col) for row in range(0, size, _BLOCK) for col in range(0, size, _BLOCK)]

    def make(corner: tuple[int, int]) -> np.ndarray:
        row, col = corner
        return scene_block(row, col, min(_BLOCK, size - row), min(_BLOCK, size - col), size=size, seed=seed)

    workers = os.cpu_count() or 1
    with rasterio.open(path, "w", **profile) as target, ThreadPoolExecutor(workers) as pool:
        target.descriptions = BANDS
        target.update_tags(AREA_OR_POINT="Area", DESCRIPTION="Synthetic scene written by weft")
        for start in range(0, len(corners), workers):  # no more blocks in memory than workers
            batch = corners[start : start + workers]
            for (row, col), block in zip(batch, pool.map(make, batch), strict=True):
                target.write(block, window=Window(col, row, block.shape[2], block.shape[1]))


@njit(nogil=True, cache=True)
def _hash(x: int, y: int, seed: int) -> float:
    """A number in 0 .. 1 that looks random but depends on its arguments only."""
    h = (x * 374761393 + y * 668265263 + seed * 974634777) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF
    h = ((h ^ (h >> 16)) * 2246822519) & 0xFFFFFFFF
    return ((h ^ (h >> 15)) & 0xFFFFFF) / 16777216.0


@njit(nogil=True, cache=True)
def _noise(x: float, y: float, seed: int) -> tuple[float, float, float]:
    """Value noise in -1 .. 1 of unit wavelength, with its derivatives."""
    fx, fy = math.floor(x), math.floor(y)
    ix, iy = int(fx), int(fy)
    u, v = x - fx, y - fy
    a, b = _hash(ix, iy, seed), _hash(ix + 1, iy, seed)
    c, d = _hash(ix, iy + 1, seed), _hash(ix + 1, iy + 1, seed)
    su, sv = u * u * u * (u * (u * 6 - 15) + 10), v * v * v * (v * (v * 6 - 15) + 10)
    du, dv = 30 * u * u * (u * (u - 2) + 1), 30 * v * v * (v * (v - 2) + 1)
    k = a - b - c + d
    value = a + (b - a) * su + (c - a) * sv + k * su * sv
    return 2 * value - 1, 2 * du * (b - a + k * sv), 2 * dv * (c - a + k * su)


@njit(nogil=True, cache=True)
def _fractal(x: float, y: float, octaves: int, seed: int) -> float:
    """Octaves of noise, each turned against the last so that no lattice shows; about -1 .. 1."""
    total, weight = 0.0, 0.5
    for octave in range(octaves):
        total += weight * _noise(x, y, seed + octave)[0]
        x, y = 1.6 * x - 1.2 * y, 1.2 * x + 1.6 * y
        weight *= 0.5
    return total


@njit(nogil=True, cache=True)
def _eroded(x: float, y: float, octaves: int, seed: int) -> float:
    """Octaves damped where those before are steep: smooth valleys, sharp ridges."""
    total, weight, dx, dy = 0.0, 1.0, 0.0, 0.0
    for octave in range(octaves):
        value, gx, gy = _noise(x, y, seed + octave)
        dx, dy = dx + gx, dy + gy
        total += weight * (1 - abs(value)) / (1 + 0.35 * (dx * dx + dy * dy))
        x, y = 1.6 * x - 1.2 * y, 1.2 * x + 1.6 * y
        weight *= 0.5
    return total


@njit(nogil=True, cache=True)
def _step(low: float, high: float, value: float) -> float:
    t = min(1.0, max(0.0, (value - low) / (high - low)))
    return t * t * (3 - 2 * t)


@njit(nogil=True, cache=True)
def _terrain(row0: int, col0: int, rows: int, cols: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Height in metres, and how mountainous (0 .. 1) each pixel's surroundings are."""
    height = np.empty((rows, cols), np.float32)
    relief = np.empty((rows, cols), np.float32)
    for i in range(rows):
        for j in range(cols):
            x, y = (col0 + j) * 0.01, (row0 + i) * 0.01  # km
            wx = x + 1.5 * _fractal(x / 7, y / 7, 3, seed + 50)
            wy = y + 1.5 * _fractal(x / 7, y / 7, 3, seed + 60)
            around = _fractal(wx / 19 + 0.37, wy / 19 + 0.11, 3, seed)
            mountains = _step(-0.12, 0.42, around)
            hills = _fractal(wx / 3.1, wy / 3.1, 6, seed + 10)
            peaks = _eroded(wx / 5.3, wy / 5.3, 9, seed + 20) if mountains > 0 else 0.0
            height[i, j] = 150 + 500 * around + 60 * hills * (0.3 + mountains) + 1500 * mountains * peaks
            relief[i, j] = mountains
    return height, relief


@njit(nogil=True, cache=True)
def _blend(pixel: np.ndarray, amount: float, red: float, green: float, blue: float, nir: float) -> None:
    pixel[0] += amount * (red - pixel[0])
    pixel[1] += amount * (green - pixel[1])
    pixel[2] += amount * (blue - pixel[2])
    pixel[3] += amount * (nir - pixel[3])


@njit(nogil=True, cache=True)
def _fields(pixel: np.ndarray, x: float, y: float, fine: float, seed: int) -> None:
    """Farmland: strips of parcels, turned differently from one parish to the next; a crop for each."""
    px, py = x + 0.35 * _noise(x / 1.3, y / 1.3, seed)[0], y + 0.35 * _noise(x / 1.3, y / 1.3, seed + 1)[0]
    parish_x, parish_y = math.floor(px / 2.6), math.floor(py / 2.6)
    angle = math.pi * _hash(parish_x, parish_y, seed + 2)
    u, v = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    strip = math.floor(v / 0.45)
    width = 0.12 + 0.3 * _hash(strip, parish_x, seed + 3)
    along = u / width + _hash(strip, parish_y, seed + 4)
    parcel = math.floor(along)
    crop, tone = _hash(parcel, strip, seed + 5), 0.82 + 0.36 * _hash(parcel, strip, seed + 6) + 0.25 * fine
    if crop < 0.3:
        _blend(pixel, 1.0, 400 * tone, 740 * tone, 320 * tone, 4200 * tone)  # green crop
    elif crop < 0.5:
        _blend(pixel, 1.0, 1260 * tone, 1220 * tone, 560 * tone, 2800 * tone)  # ripe grain
    elif crop < 0.68:
        _blend(pixel, 1.0, 900 * tone, 860 * tone, 410 * tone, 1800 * tone)  # ploughed
    elif crop < 0.74:
        _blend(pixel, 1.0, 1150 * tone, 1300 * tone, 430 * tone, 3900 * tone)  # in flower
    else:
        _blend(pixel, 1.0, 640 * tone, 900 * tone, 400 * tone, 3400 * tone)  # meadow
    edge = min(min(along - parcel, parcel + 1 - along) * width, min(v / 0.45 - strip, strip + 1 - v / 0.45) * 0.45)
    if edge < 0.012:
        _blend(pixel, 0.6, 380.0, 520.0, 300.0, 2500.0)  # hedges


@njit(nogil=True, cache=True)
def _village(x: float, y: float, seed: int) -> float:
    """How built-up a place is, 0 .. 1: blotches about one in each cell of 4 km."""
    best = 0.0
    cx, cy = math.floor(x / 4), math.floor(y / 4)
    for gx in range(cx - 1, cx + 2):
        for gy in range(cy - 1, cy + 2):
            if _hash(gx, gy, seed) < 0.75:
                radius = 0.18 + 0.6 * _hash(gx, gy, seed + 1) ** 3
                dx = x - (gx + 0.15 + 0.7 * _hash(gx, gy, seed + 2)) * 4
                dy = 1.4 * (y - (gy + 0.15 + 0.7 * _hash(gx, gy, seed + 3)) * 4)
                best = max(best, 1 - math.hypot(dx, dy) / radius)
    return best


@njit(nogil=True, cache=True)
def _river(x: float, y: float, seed: int) -> float:
    """Distance in km to the nearest river: the zero line of a warped noise, divided by its slope."""
    wx = x + 0.9 * _fractal(x / 3.1, y / 3.1, 4, seed + 1)
    wy = y + 0.9 * _fractal(x / 3.1, y / 3.1, 4, seed + 11)
    value, gx, gy = _noise(wx / 13 + 0.2, wy / 13 + 0.6, seed)
    return abs(value) * 13 / max(0.25, math.hypot(gx, gy))


@njit(nogil=True, cache=True)
def _ground(pixel: np.ndarray, x: float, y: float, height: float, relief: float, slope: float, seed: int) -> None:
    """Land cover by height, slope and chance; ``pixel`` takes red, green, blue, nir."""
    patches = _fractal(x / 1.7, y / 1.7, 5, seed + 100)
    fine = _fractal(x / 0.11, y / 0.11, 3, seed + 110)
    grass = _step(0.04, 0.16, slope + 0.25 * relief + 0.05 * patches)
    forest = _step(0.02, 0.1, patches + 0.25 * fine - 0.2 + 0.42 * grass - _step(1250.0, 1500.0, height + 250 * patches))
    pixel[:] = 0  # not what the last pixel left: blending it away would leave its rounding
    if max(grass, forest) < 1:
        _fields(pixel, x, y, fine, seed + 120)
    _blend(pixel, grass, 640 + 240 * patches, 820 + 160 * patches, 360 + 90 * patches, 3300.0)
    leafy = _step(500.0, 950.0, height + 300 * fine)
    _blend(pixel, forest, 270 + 70 * fine, 460 - 70 * leafy + 100 * fine, 225.0, 2900 - 900 * leafy + 500 * fine)
    village = _village(x, y, seed + 130) if relief < 0.5 else 0.0
    if village > 0:
        built = _step(0.1, 0.55, village + 0.9 * fine + 0.7 * patches)
        roof = _hash(math.floor(x / 0.02), math.floor(y / 0.03), seed + 140)
        if roof > 0.45:
            _blend(pixel, 0.9 * built, 850 + 1100 * roof * roof, 800 + 800 * roof * roof, 460 + 480 * roof * roof, 1900.0)
        else:
            _blend(pixel, 0.7 * built, 600.0, 740.0, 400.0, 2400.0)  # gardens and streets
    scree = max(_step(0.5, 0.85, slope + 0.15 * fine), _step(1500.0, 1850.0, height + 200 * patches + 120 * fine))
    _blend(pixel, scree, 1180 + 440 * fine, 1060 + 390 * fine, 740 + 290 * fine, 1500 + 500 * fine)
    snow = _step(1750.0, 2000.0, height + 260 * patches + 110 * fine - 500 * max(0.0, slope - 0.55))
    _blend(pixel, snow, 7600 + 500 * fine, 7700 + 500 * fine, 7900 + 500 * fine, 6600 + 400 * fine)


@njit(nogil=True, cache=True)
def _reflectance(
    height: np.ndarray, relief: np.ndarray, row0: int, col0: int, reach: float, seed: int, cos_tilt: float, sin_tilt: float
) -> np.ndarray:
    rows, cols = height.shape[0] - 2, height.shape[1] - 2
    result = np.zeros((4, rows, cols), np.uint16)
    pixel = np.empty(4, np.float64)
    middle_row, middle_col = _MIDDLE
    for i in range(rows):
        for j in range(cols):
            px, py = col0 + j + 0.5 - middle_col, row0 + i + 0.5 - middle_row
            if max(abs(px * cos_tilt + py * sin_tilt), abs(py * cos_tilt - px * sin_tilt)) > reach:
                continue
            x, y = (col0 + j) * 0.01, (row0 + i) * 0.01
            here, hilly = height[i + 1, j + 1], relief[i + 1, j + 1]
            east = (height[i + 1, j + 2] - height[i + 1, j]) / 20
            south = (height[i + 2, j + 1] - height[i, j + 1]) / 20
            slope = math.hypot(east, south)
            _ground(pixel, x, y, here, hilly, slope, seed)
            # Sun from the south-east, 48 degrees high, against flat ground; the sky lights what it does not reach.
            sun = (0.743 - 0.473 * east - 0.473 * south) / math.sqrt(1 + slope * slope) / 0.743
            light = 0.3 + 0.7 * min(1.45, max(0.0, sun))
            for band in range(4):
                pixel[band] *= light
            stream = 0.0
            if hilly < 0.4:
                width = 0.05 + 0.05 * _noise(x / 9, y / 9, seed + 220)[0]
                stream = (1 - _step(width, width + 0.012, _river(x, y, seed + 200))) * (1 - _step(0.25, 0.4, hilly))
            lake = 1 - _step(-60.0, -56.0, here)
            water = max(stream, lake)
            if water > 0:
                deep = max(_step(-60.0, -100.0, here), 0.4 * stream)
                _blend(pixel, water, 430 - 230 * deep, 620 - 270 * deep, 540 - 170 * deep, 190 - 70 * deep)
            grain = 1 + 0.05 * (_hash(col0 + j, row0 + i, seed + 300) - 0.5)
            result[0, i, j] = int(min(10000.0, max(1.0, pixel[0] * grain + 60)))
            result[1, i, j] = int(min(10000.0, max(1.0, pixel[1] * grain + 80)))
            result[2, i, j] = int(min(10000.0, max(1.0, pixel[2] * grain + 110)))
            result[3, i, j] = int(min(10000.0, max(1.0, pixel[3] * grain + 30)))
    return result
