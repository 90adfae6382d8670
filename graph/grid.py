"""Where pixels lie: ``Region`` (a box of pixels) and ``Grid`` (shape, affine transform, CRS).

The pixel convention of the whole engine stands here: coordinates are pixel-corner, pixel (row 0, col 0) covers
[0, 1) x [0, 1), its centre is (0.5, 0.5), and affine matrices map (col, row) corner coordinates.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError as PyprojCRSError
from pyproj.exceptions import ProjError

from .errors import CRSError, GridError

Bounds = tuple[float, float, float, float]

MAX_SIDE = 2**31 - 1
_SNAP = 1e-6  # pixels; bounds this close to a pixel edge lie on it


class Region(NamedTuple):
    """Half-open box of pixels: rows ``row0 <= r < row1``, columns ``col0 <= c < col1``."""

    row0: int
    row1: int
    col0: int
    col1: int

    @property
    def rows(self) -> slice:
        return slice(self.row0, self.row1)

    @property
    def cols(self) -> slice:
        return slice(self.col0, self.col1)

    @property
    def shape(self) -> tuple[int, int]:
        return self.row1 - self.row0, self.col1 - self.col0

    @property
    def size(self) -> int:
        """Number of pixels; 0 for an empty region."""
        return 0 if self.is_empty else (self.row1 - self.row0) * (self.col1 - self.col0)

    @property
    def is_empty(self) -> bool:
        return self.row1 <= self.row0 or self.col1 <= self.col0

    def shifted(self, rows: int, cols: int) -> Region:
        """The same box moved down by ``rows`` and right by ``cols``."""
        return Region(self.row0 + rows, self.row1 + rows, self.col0 + cols, self.col1 + cols)

    def grown(self, rows: int, cols: int) -> Region:
        """The box with ``rows`` more above and below and ``cols`` more left and right."""
        return Region(self.row0 - rows, self.row1 + rows, self.col0 - cols, self.col1 + cols)

    def contains(self, other: Region) -> bool:
        return other.is_empty or (
            self.row0 <= other.row0 and other.row1 <= self.row1 and self.col0 <= other.col0 and other.col1 <= self.col1
        )

    def intersect(self, other: Region) -> Region:
        """What both boxes cover; an empty box at their nearest corner if they do not touch."""
        row0, col0 = max(self.row0, other.row0), max(self.col0, other.col0)
        return Region(row0, max(row0, min(self.row1, other.row1)), col0, max(col0, min(self.col1, other.col1)))

    def union(self, other: Region) -> Region:
        """The smallest box around both; an empty box counts for nothing."""
        if self.is_empty:
            return other
        if other.is_empty:
            return self
        return Region(
            min(self.row0, other.row0), max(self.row1, other.row1), min(self.col0, other.col0), max(self.col1, other.col1)
        )

    def within(self, outer: Region) -> tuple[slice, slice]:
        """Slices that cut this box out of an array that covers ``outer``."""
        return (
            slice(self.row0 - outer.row0, self.row1 - outer.row0),
            slice(self.col0 - outer.col0, self.col1 - outer.col0),
        )


EMPTY = Region(0, 0, 0, 0)


@dataclass(frozen=True)
class Grid:
    """The pixels of a raster on the ground: shape, transform and CRS.

    Parameters
    ----------
    shape : (rows, cols), both at least 1
    transform : Affine or its six numbers (a, b, c, d, e, f), optional
        Maps (col, row) pixel-corner coordinates to CRS units. Identity when left out. South-up and rotated
        transforms are kept as they are; one that is not invertible is refused.
    crs : anything pyproj takes, optional
        Kept as ``"AUTHORITY:CODE"`` where one describes it exactly, as WKT2 otherwise. A grid without CRS is a plain
        pixel grid.

    Raises
    ------
    GridError
        The shape or the transform is impossible.
    CRSError
        pyproj does not know the CRS.
    """

    shape: tuple[int, int]
    transform: Any = None  # Affine once built
    crs: Any = None  # str | None once built

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", _checked_shape(self.shape))
        object.__setattr__(self, "transform", _checked_transform(self.transform))
        object.__setattr__(self, "crs", None if self.crs is None else crs_name(self.crs))

    @classmethod
    def of(cls, like: Any) -> Grid:
        """The grid of anything that has one: a Grid, Raster, GeoBox or DataArray.

        Raises
        ------
        GridError
            ``like`` is none of these, or a DataArray without y and x dimensions or whose coordinates are not evenly spaced.
        """
        if isinstance(like, Grid):
            return like
        if isinstance(like, GeoBox):
            return cls((like.shape.y, like.shape.x), like.transform, like.crs and like.crs.to_wkt())
        if isinstance(getattr(like, "grid", None), Grid):
            own: Grid = like.grid
            return own
        if hasattr(like, "dims") and hasattr(like, "coords"):
            return _of_dataarray(like)
        raise GridError(f"{type(like).__name__} has no grid; give a weft.Grid, Raster, GeoBox or DataArray")

    @property
    def geobox(self) -> GeoBox:
        """The same grid as an ``odc.geo.GeoBox``."""
        return _geobox(self)

    @property
    def region(self) -> Region:
        """All pixels."""
        return Region(0, self.shape[0], 0, self.shape[1])

    @property
    def bounds(self) -> Bounds:
        """(left, bottom, right, top) in CRS units, of the box around the four corners."""
        xs, ys = self._corners()
        return min(xs), min(ys), max(xs), max(ys)

    @property
    def resolution(self) -> tuple[float, float]:
        """Pixel size (x, y) in CRS units, both positive; along the pixel axes when the grid is rotated."""
        a, b, _, d, e, _ = self.transform[:6]
        return math.hypot(a, d), math.hypot(b, e)

    @property
    def is_rectilinear(self) -> bool:
        """Whether rows and columns run along the CRS axes, so that 1-D x and y coordinates describe the grid."""
        return bool(self.transform.b == 0 and self.transform.d == 0)

    def crop(self, window: Region) -> Grid:
        """The grid of ``window``, a region of this grid's pixels (it may reach outside)."""
        return Grid(window.shape, self.transform @ Affine.translation(window.col0, window.row0), self.crs)

    def resized(self, shape: tuple[int, int]) -> Grid:
        """The same ground cut into ``shape`` (rows, cols) pixels; the exact ratio per axis, never a power of two assumed."""
        rows, cols = _checked_shape(shape)
        return Grid((rows, cols), self.transform @ Affine.scale(self.shape[1] / cols, self.shape[0] / rows), self.crs)

    def coords(self) -> tuple[np.ndarray, np.ndarray]:
        """x (cols,) and y (rows,) float64 coordinates of the pixel centres of a rectilinear grid."""
        if not self.is_rectilinear:
            raise GridError("a rotated or sheared grid has no 1-D coordinates")
        a, _, c, _, e, f = self.transform[:6]
        return c + (np.arange(self.shape[1]) + 0.5) * a, f + (np.arange(self.shape[0]) + 0.5) * e

    def same_pixels(self, other: Grid, tolerance: float = 1e-3) -> bool:
        """Whether both grids have the same shape and CRS and no corner differs by more than ``tolerance`` pixels."""
        if self.shape != other.shape or self.crs != other.crs:
            return False
        if self.transform == other.transform:
            return True
        size = min(self.resolution)
        mine, theirs = self._corners(), other._corners()
        return all(math.hypot(x - u, y - v) <= tolerance * size for x, y, u, v in zip(*mine, *theirs, strict=True))

    def window(self, bounds: Bounds, crs: Any = None) -> Region:
        """The pixels that ``bounds`` touches, snapped outwards and clipped to the grid; empty if there are none.

        Parameters
        ----------
        bounds : (left, bottom, right, top) in the units of ``crs``
        crs : anything pyproj takes, optional
            Defaults to the grid's own. Edges are cut into a thousand pieces before they are transformed.

        Raises
        ------
        GridError
            The bounds are not four finite numbers in order.
        CRSError
            The grid has no CRS, or the bounds cannot be expressed in it.
        """
        left, bottom, right, top = _checked_bounds(bounds)
        xs, ys = np.array([left, left, right, right]), np.array([bottom, top, bottom, top])
        if crs is not None and crs_name(crs) != self.crs:
            if self.crs is None:
                raise CRSError("bounds have a CRS but the raster has none; give the bounds in pixels, without crs=")
            xs, ys = transformer(crs_name(crs), self.crs).transform(*_densified(left, bottom, right, top))
            finite = np.isfinite(xs) & np.isfinite(ys)
            if not finite.any():
                raise CRSError(f"bounds {tuple(bounds)} have no place in {short_crs(self.crs)}")
            xs, ys = xs[finite], ys[finite]
        cols, rows = ~self.transform @ (xs, ys)
        if np.isnan(cols).any() or np.isnan(rows).any():
            raise GridError(f"bounds {tuple(bounds)} overflow in the pixels of the transform {self.transform[:6]}")
        box = Region(
            _floor(float(np.min(rows))), _ceil(float(np.max(rows))), _floor(float(np.min(cols))), _ceil(float(np.max(cols)))
        )
        return box.intersect(self.region)

    def __str__(self) -> str:
        rows, cols = self.shape
        where = short_crs(self.crs) if self.crs else "no CRS"
        x, y = self.resolution
        return f"{rows} x {cols} px, {where}, {x:.10g} x {y:.10g} units/px"

    def _corners(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        rows, cols = self.shape
        points = [self.transform @ corner for corner in ((0, 0), (cols, 0), (0, rows), (cols, rows))]
        return tuple(p[0] for p in points), tuple(p[1] for p in points)


def crs_name(crs: Any) -> str:
    """``crs`` as the plain string that names it exactly: "EPSG:4326", or WKT2 where no code does.

    Raises
    ------
    CRSError
        pyproj does not know it.
    """
    if isinstance(crs, str):
        return _crs_name(crs)
    if hasattr(crs, "to_wkt"):
        return _crs_name(crs.to_wkt())
    if isinstance(crs, (int, np.integer)) and not isinstance(crs, bool):
        return _crs_name(f"EPSG:{crs}")
    try:
        return _crs_name(CRS.from_user_input(crs).to_wkt())
    except (PyprojCRSError, TypeError, ValueError, AttributeError) as error:
        raise CRSError(f"unknown CRS {crs!r}: {error}") from error


def short_crs(name: str) -> str:
    """A CRS name short enough for a line of text."""
    return name if len(name) < 40 else pyproj_crs(name).name


@lru_cache(maxsize=256)
def pyproj_crs(name: str) -> CRS:
    """The pyproj object of a name made by ``crs_name``; cached, because parsing costs milliseconds."""
    return CRS.from_user_input(name)


@lru_cache(maxsize=256)
def transformer(source: str, target: str) -> Transformer:
    """The (x, y) -> (x, y) transformer between two CRS names, traditional GIS axis order (longitude first)."""
    try:
        return Transformer.from_crs(pyproj_crs(source), pyproj_crs(target), always_xy=True)
    except (PyprojCRSError, ProjError) as error:
        raise CRSError(f"no transformation from {short_crs(source)} to {short_crs(target)}: {error}") from error


@lru_cache(maxsize=1024)
def _crs_name(text: str) -> str:
    try:
        crs = CRS.from_user_input(text)
    except (PyprojCRSError, ValueError) as error:
        raise CRSError(f"unknown CRS {text[:80]!r}; give an EPSG code, a PROJ string or WKT") from error
    authority = crs.to_authority(min_confidence=100)
    return ":".join(authority) if authority else crs.to_wkt()


@lru_cache(maxsize=1024)
def _geobox(grid: Grid) -> GeoBox:
    return GeoBox(grid.shape, grid.transform, grid.crs)


def _checked_shape(shape: Iterable[int]) -> tuple[int, int]:
    try:
        rows, cols = shape
        exact = int(rows) == rows and int(cols) == cols
    except (TypeError, ValueError, OverflowError) as error:
        raise GridError(f"a shape is (rows, cols), two whole numbers; got {shape!r}") from error
    if not exact or rows < 1 or cols < 1:
        raise GridError(f"a grid needs at least 1 x 1 whole pixels; got {rows} x {cols}")
    if max(rows, cols) > MAX_SIDE:
        raise GridError(f"a grid of {rows} x {cols} pixels is beyond {MAX_SIDE} a side")
    return int(rows), int(cols)


def _checked_transform(transform: Any) -> Affine:
    if transform is None:
        return Affine.identity()
    try:
        affine = transform if isinstance(transform, Affine) else Affine(*tuple(transform)[:6])
    except (TypeError, ValueError) as error:
        raise GridError(f"a transform is an Affine or its six numbers a, b, c, d, e, f; got {transform!r}") from error
    if not all(map(math.isfinite, affine[:6])):
        raise GridError(f"the transform has numbers that are not finite: {affine[:6]}")
    if affine.a * affine.e - affine.b * affine.d == 0:
        raise GridError(f"the transform {affine[:6]} has no area per pixel, so it cannot be inverted")
    return Affine(*(value + 0.0 for value in affine[:6]))  # no -0.0: equal transforms have equal bytes


def _of_dataarray(array: Any) -> Grid:
    """The grid by rioxarray's conventions; coordinates are pixel centres and win over a transform that does not fit them."""
    import rioxarray  # noqa: F401  registers the accessor
    from rioxarray.exceptions import RioXarrayError

    try:
        x_dim, y_dim = array.rio.x_dim, array.rio.y_dim
        grid = Grid((array.sizes[y_dim], array.sizes[x_dim]), array.rio.transform(), array.rio.crs and array.rio.crs.to_wkt())
    except RioXarrayError as error:
        raise GridError(f"the {type(array).__name__} has no grid: {error}") from error
    given = [array.coords[dim] for dim in (x_dim, y_dim) if dim in array.coords]
    if not grid.is_rectilinear or len(given) < 2 or any(centres.dtype.kind not in "iuf" for centres in given):
        return grid
    steps, firsts = zip(
        *(_even(*pair) for pair in zip(given, (x_dim, y_dim), (grid.transform.a, grid.transform.e), strict=True)), strict=True
    )
    found = Grid(grid.shape, (steps[0], 0, firsts[0], 0, steps[1], firsts[1]), grid.crs)
    return grid if grid.same_pixels(found) else found


def _even(coordinate: Any, dim: str, step: float) -> tuple[float, float]:
    """Step and first edge of evenly spaced pixel centres; a single centre is ``step`` wide."""
    centres = np.asarray(coordinate.values, float)
    if len(centres) > 1:
        step = (centres[-1] - centres[0]) / (len(centres) - 1)
        if not np.allclose(np.diff(centres), step, rtol=1e-2, atol=0):
            raise GridError(f"the {dim} coordinates are not evenly spaced, so no grid describes them")
    return step, centres[0] - step / 2


def _checked_bounds(bounds: Iterable[float]) -> Bounds:
    try:
        left, bottom, right, top = (float(v) for v in bounds)
    except (TypeError, ValueError) as error:
        raise GridError(f"bounds are (left, bottom, right, top); got {bounds!r}") from error
    if not all(map(math.isfinite, (left, bottom, right, top))):
        raise GridError(f"bounds {(left, bottom, right, top)} are not all finite")
    if left >= right or bottom >= top:
        raise GridError(f"bounds {(left, bottom, right, top)} are empty: they go (left, bottom, right, top)")
    return left, bottom, right, top


def _densified(left: float, bottom: float, right: float, top: float) -> tuple[np.ndarray, np.ndarray]:
    """Points all along the edges, and some inside for projections that bulge there (a pole within the bounds)."""
    along, inside = np.linspace(0, 1, 1001), np.linspace(0, 1, 22)
    us, vs = np.meshgrid(inside, inside)
    us = np.concatenate([along, along, along * 0, along * 0 + 1, us.ravel()])
    vs = np.concatenate([along * 0, along * 0 + 1, along, along, vs.ravel()])
    return left * (1 - us) + right * us, bottom * (1 - vs) + top * vs


def _floor(value: float) -> int:
    return math.floor(min(max(value + _SNAP, -MAX_SIDE), MAX_SIDE))


def _ceil(value: float) -> int:
    return math.ceil(min(max(value - _SNAP, -MAX_SIDE), MAX_SIDE))
