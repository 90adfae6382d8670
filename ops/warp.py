"""Warp: another CRS, or the pixels of another grid.

Coordinates are exact on a lattice anchored to the output and interpolated between, wrong by at most ``tolerance`` source
pixels (see coordinates.py). Between two grids of one CRS nothing needs a lattice: the warp is an ``Affine``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..graph.block import Block
from ..graph.errors import ArgumentError, CRSError, GridError
from ..graph.grid import Bounds, Grid, Region, crs_name, pyproj_crs, short_crs, transformer
from ..graph.node import Meta, Node, operation, rule, verb
from .affine import Affine, Resampled, between, canvas_covers, coarser, overview_for
from .coordinates import local_scale, warp_need, warp_patches
from .sampling import RESAMPLINGS, check_resampling, sample

__all__ = ["warp"]

_MOST_PIXELS = 2**44  # of a target grid; 17 million Mpixel is a mistake, not an image


@operation("warp")
@dataclass(frozen=True, eq=False)
class Warp(Resampled):
    """``source`` sampled at the pixels of ``target``, a grid in another CRS."""

    source: Node
    target: Grid
    resampling: str = "bilinear"
    antialias: bool = True
    tolerance: float = 0.05

    def _meta(self) -> Meta:
        check_resampling(self.resampling, self.source.meta.dtype)
        if not (self.tolerance > 0 and math.isfinite(self.tolerance)):
            raise ArgumentError(f"tolerance is a part of a source pixel above 0; got {self.tolerance!r}")
        crs = self.source.meta.grid.crs
        if crs is None or self.target.crs is None:
            raise CRSError("a warp leads from one CRS to another, and one of the two is missing")
        transformer(self.target.crs, crs)
        return self._resampled_meta(masked=True)

    def need(self, region: Region) -> tuple[Region]:
        where = (self.target, self.source.meta.grid, self.tolerance)
        return (warp_need(*where, region, self.resampling, self.antialias),)

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        grid = self.source.meta.grid
        pieces = warp_patches(self.target, grid, self.tolerance, region)
        return sample(blocks[0], self.need(region)[0], grid.shape, pieces, region, self.meta, self.resampling, self.antialias)

    @rule("resample once: warp of affine", exact=False)
    def _compose(self) -> Node | None:
        """Within the interpolation error of the affine; at the image's border validity may differ by a pixel."""
        inner = self._affine_below()
        if inner is None:
            return None
        source, matrix = inner
        canvas, grid = self.source.meta.grid, source.meta.grid
        # The mapping goes by grids, so the affine must have kept the ground where it was.
        if canvas.crs != grid.crs or not canvas_covers(matrix, canvas.shape, grid.shape):
            return None
        moved = np.array(between(grid, canvas)) - np.array(matrix)
        if np.abs(moved * np.array([canvas.shape[1], canvas.shape[0], 1] * 2)).max() > 1e-3:
            return None
        return self.with_inputs([source])

    @rule("read the right overview", exact=False)
    def _read_overview(self) -> Node | None:
        """Two or more source pixels per output pixel, everywhere: average the overview's pixels instead of the full image's."""
        coarse = self._overview(self.target)
        return None if coarse is None else self.with_inputs([coarse])

    def reduced(self, factor: float) -> Node | None:
        grid = coarser(self.target, factor)
        if grid is None or not self._widens():
            return None
        return Warp(self.source, grid, self.resampling, self.antialias, self.tolerance)

    def sampled(self, factor: float) -> Node | None:
        grid = coarser(self.target, factor)
        # What is picked from wider footprints is not distributed alike.
        if grid is None or RESAMPLINGS[self.resampling].picks is not None:
            return None
        return Warp(self._overview(grid, sampled=True) or self.source, grid, "nearest", self.antialias, self.tolerance)

    def _overview(self, target: Grid, *, sampled: bool = False) -> Node | None:
        """What may stand for the source where ``target`` is coarse everywhere."""
        if not self._widens():
            return None
        return overview_for(self.source, local_scale(target, self.source.meta.grid), sampled=sampled)


@verb
def warp(
    raster: Node,
    crs: Any = None,
    *,
    like: Any = None,
    resolution: float | tuple[float, float] | None = None,
    shape: tuple[int, int] | None = None,
    bounds: Bounds | None = None,
    resampling: str = "bilinear",
    antialias: bool = True,
    tolerance: float = 0.05,
) -> Node:
    """Put the image on the pixels of another grid, in its own or another CRS.

    Parameters
    ----------
    raster : Raster, (band, y, x)
    crs : anything pyproj takes
        The target CRS; or give ``like``.
    like : Grid, Raster, GeoBox or DataArray
        Its grid, pixel for pixel.
    resolution : float or (x, y), optional
        Pixel size in units of the target CRS. Left out, square pixels that keep the number of pixels along the image's
        diagonal, as GDAL does; where the corners have no place in the target CRS, those of the image's centre.
    shape : (rows, cols), optional
        Instead of a resolution.
    bounds : (left, bottom, right, top) in the target CRS, optional
        What the output covers; with a resolution it may reach beyond the right and bottom by part of a pixel. Left out, the
        image's footprint. A source that spans more than half the globe is cut to the area the target CRS is made for.
    resampling : str
        How values between pixels are found. "nearest" takes the pixel under the sample; "bilinear", "cubic" (Keys 1981,
        a = -0.5) and "lanczos" (3 lobes) weigh 2 x 2, 4 x 4 and 6 x 6 pixels. The others look at a box as wide as the local
        scale, whatever ``antialias`` says: "average" is the mean of the area, each pixel by how much of it lies in the box;
        "mode" (of several most frequent values the smallest), "min", "max" and "median" are those of the pixels whose
        centres lie in it, or of the pixel under the sample where there is none.
    antialias : bool
        Widen the bilinear, cubic or Lanczos kernel where the output is coarser than the input, so that every pixel counts.
    tolerance : float
        How wrong, in source pixels, a coordinate may be. Smaller is slower; it does not matter within one CRS.

    Returns
    -------
    Raster
        Same bands and dtype; integers are rounded half up and saturate. Invalid where no input pixel is.

    Raises
    ------
    ArgumentError
        Not exactly one of crs and like is given, or the options contradict each other or make no sense.
    DtypeError
        Complex pixels have no mode, min, max or median.
    CRSError
        The raster has no CRS and one is wanted (or the other way round), or there is no way between the two.
    GridError
        No part of the image has a place in the target CRS, or the target has absurdly many pixels.
    """
    check_resampling(resampling, raster.meta.dtype)
    if not (isinstance(tolerance, (int, float)) and tolerance > 0 and math.isfinite(tolerance)):
        raise ArgumentError(f"tolerance is a part of a source pixel above 0; got {tolerance!r}")
    if (crs is None) == (like is None):
        raise ArgumentError("give crs= or like=, one of the two")
    grid = raster.meta.grid
    if like is not None:
        if any(given is not None for given in (resolution, shape, bounds)):
            raise ArgumentError("like= fixes the grid; leave out resolution, shape and bounds")
        target = Grid.of(like)
    else:
        target = target_grid(grid, crs_name(crs), resolution, shape, bounds)
    if (target.crs is None) != (grid.crs is None):
        without = "raster" if grid.crs is None else "target grid"
        raise CRSError(f"the {without} has no CRS and the other one has; assign one, or use affine() to move pixels")
    if target.crs == grid.crs:
        return Affine(raster, between(grid, target), target, resampling, bool(antialias))
    return Warp(raster, target, resampling, bool(antialias), float(tolerance))


def target_grid(
    grid: Grid,
    crs: str,
    resolution: float | tuple[float, float] | None = None,
    shape: tuple[int, int] | None = None,
    bounds: Bounds | None = None,
) -> Grid:
    """The north-up grid in ``crs`` that ``warp`` makes of these arguments for an image on ``grid``."""
    if grid.crs is None:
        raise CRSError("the raster has no CRS, so it cannot be warped to one; assign its CRS, or use affine() to move pixels")
    if resolution is not None and shape is not None:
        raise ArgumentError("give resolution= or shape=, not both")
    if crs == grid.crs and all(given is None for given in (resolution, shape, bounds)):
        return grid
    left, bottom, right, top = _checked(bounds) if bounds is not None else _footprint(grid, crs)
    if shape is not None:
        rows, cols = Grid(shape).shape
        x, y = (right - left) / cols, (top - bottom) / rows
    else:
        x, y = _resolution(resolution) if resolution is not None else _default_resolution(grid, crs)
        across, down = (right - left) / x, (top - bottom) / y
        if not max(across, down) < 2**53 or across * down > _MOST_PIXELS:
            raise GridError(
                f"the target would have about {down:.3g} x {across:.3g} pixels of {x:g} x {y:g}; "
                f"check that resolution and bounds are in the units of {short_crs(crs)}"
            )
        # A sliver that rounding adds is not worth a row or column of its own.
        rows, cols = max(1, math.ceil(down - 1e-3)), max(1, math.ceil(across - 1e-3))
    if rows * cols > _MOST_PIXELS:
        raise GridError(f"a target of {rows} x {cols} pixels is beyond any image")
    return Grid((rows, cols), (x, 0, left, 0, -y, top), crs)


def _checked(bounds: Bounds) -> Bounds:
    try:
        left, bottom, right, top = (float(v) for v in bounds)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"bounds are (left, bottom, right, top) in the target CRS; got {bounds!r}") from error
    if not (all(map(math.isfinite, (left, bottom, right, top))) and left < right and bottom < top):
        raise ArgumentError(f"bounds are (left, bottom, right, top), finite and in this order; got {bounds!r}")
    return left, bottom, right, top


def _resolution(resolution: Any) -> tuple[float, float]:
    try:
        x, y = (resolution, resolution) if isinstance(resolution, (int, float)) else resolution
        x, y = float(x), float(y)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"a resolution is a number or (x, y) in units of the target CRS; got {resolution!r}") from error
    if not (math.isfinite(x) and math.isfinite(y) and x > 0 and y > 0):
        raise ArgumentError(f"a resolution is above 0 and finite; got {resolution!r}")
    return x, y


def _mapped(grid: Grid, crs: str, rows: np.ndarray, cols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points of ``grid`` (pixel-corner rows and cols) in ``crs``; not finite where they have no place."""
    assert grid.crs is not None
    a, b, c, d, e, f = grid.transform[:6]
    x, y = a * cols + b * rows + c, d * cols + e * rows + f
    return transformer(grid.crs, crs).transform(x, y) if crs != grid.crs else (x, y)


def _footprint(grid: Grid, crs: str) -> Bounds:
    """The box around the image in ``crs``, from 65 x 65 points and denser edges; points without a place do not count."""
    if crs == grid.crs:
        return grid.bounds
    rows, cols = grid.shape
    inner = np.meshgrid(np.linspace(0, rows, 65), np.linspace(0, cols, 65), indexing="ij")
    edge = np.linspace(0, 1, 513)
    zero = np.zeros_like(edge)
    row = np.concatenate([inner[0].ravel(), zero, zero + rows, edge * rows, edge * rows])
    col = np.concatenate([inner[1].ravel(), edge * cols, edge * cols, zero, zero + cols])
    x, y = _mapped(grid, crs, row, col)
    longitude, latitude = _on_earth(grid, row, col)
    known = np.isfinite(longitude) & np.isfinite(latitude)
    if known.any():
        span, centre = _span(longitude[known])
        area = pyproj_crs(crs).area_of_use
        if span > 180 and area is not None and area.west <= -180 and area.east >= 180:
            to_target = transformer("OGC:CRS84", crs)
            x, y = to_target.transform(longitude[known], np.clip(latitude[known], area.south, area.north))
        elif span <= 180:
            with np.errstate(invalid="ignore"):
                x = x + _turn(crs) * np.round((longitude - centre) / -360)
    here = np.isfinite(x) & np.isfinite(y)
    if not here.any():
        raise GridError(f"no part of the image has a place in {short_crs(crs)}")
    box = float(x[here].min()), float(y[here].min()), float(x[here].max()), float(y[here].max())
    if not (box[0] < box[2] and box[1] < box[3]):
        raise GridError(f"the image has no area in {short_crs(crs)}")
    return box


def _on_earth(grid: Grid, rows: np.ndarray, cols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Longitude and latitude of points of ``grid``; not finite where they have none, as on another planet."""
    try:
        return _mapped(grid, "OGC:CRS84", rows, cols)
    except CRSError:
        return np.full(rows.shape, np.nan), np.full(rows.shape, np.nan)


def _span(longitude: np.ndarray) -> tuple[float, float]:
    """Degrees of longitude that points take up on the circle, and the longitude in their middle."""
    around = np.unique(np.mod(longitude, 360))
    gaps = np.diff(around, append=around[0] + 360)
    widest = int(np.argmax(gaps))
    span = 360 - float(gaps[widest])
    middle = float(around[(widest + 1) % len(around)]) + span / 2
    return span, middle - 360 if middle > 180 else middle


def _turn(crs: str) -> float:
    """Units of x per turn of longitude, of a CRS whose x is nothing but longitude; 0 for others."""
    longitude, latitude = np.array([-90.0, 90.0, -90.0, 90.0]), np.array([0.0, 0.0, 50.0, 50.0])
    x, _ = transformer("OGC:CRS84", crs).transform(longitude, latitude)
    if not np.isfinite(x).all() or abs(x[0] - x[2]) + abs(x[1] - x[3]) > 1e-6 * abs(x[1] - x[0]):
        return 0.0
    return float(2 * (x[1] - x[0]))


def _default_resolution(grid: Grid, crs: str) -> tuple[float, float]:
    """Square pixels, as many along the image's diagonal as it has."""
    rows, cols = grid.shape
    if crs == grid.crs:
        return grid.resolution
    x, y = _mapped(grid, crs, np.array([0.0, rows, 0.0, rows]), np.array([0.0, cols, cols, 0.0]))
    centre = _centre_resolution(grid, crs)
    with np.errstate(invalid="ignore"):
        diagonals = np.hypot(x[::2] - x[1::2], y[::2] - y[1::2]) / math.hypot(rows, cols)
    # Corners that fall together (a pole) or far apart (a pole, a seam) say nothing of the pixels.
    if np.isfinite(diagonals).all() and 0.25 * centre < diagonals[0] < 4 * centre:
        return float(diagonals[0]), float(diagonals[0])
    return centre, centre


def _centre_resolution(grid: Grid, crs: str) -> float:
    """The side of a square as large as a pixel, at the point nearest to the image's centre that has a place in ``crs``."""
    rows, cols = grid.shape
    at = np.meshgrid(np.linspace(0, rows, 66)[:-1], np.linspace(0, cols, 66)[:-1], indexing="ij")
    row, col = at[0].ravel() + rows / 130, at[1].ravel() + cols / 130
    x0, y0 = _mapped(grid, crs, row, col)
    x1, y1 = _mapped(grid, crs, row, col + 0.5)
    x2, y2 = _mapped(grid, crs, row + 0.5, col)
    with np.errstate(invalid="ignore"):
        area = 4 * np.abs((x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0))
    usable = np.isfinite(area) & (area > 0)
    if not usable.any():
        raise GridError(f"no part of the image has a place in {short_crs(crs)}")
    distance = np.hypot((row - rows / 2) / rows, (col - cols / 2) / cols)
    return float(np.sqrt(area[np.argmin(np.where(usable, distance, np.inf))]))
