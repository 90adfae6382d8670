"""Where output pixels lie in the source: ``Patches`` for an affine matrix and for a change of CRS.

A change of CRS is computed exactly on a lattice and by biquadratic functions between. The lattice is anchored to the output
grid: cells of 64 x 64 output pixels from (0, 0), each known at its corners, edge midpoints and centre. A cell is cut into
four as long as straight lines between its corners would miss its midpoints by more than the tolerance (or a 256th of the
cell, but a quarter of the tolerance is always let pass), or a point has no place in the source's CRS, or the parabolas miss
two further points by more than a 64th of the tolerance; a cell of 8 pixels that still fails is computed pixel by pixel. So is
every pixel of a grid so coarse that 8 of them reach around much of the globe. What the parabolas are off by is of the third
order: where the projection is smooth, a hundredth of the tolerance and less. The decision looks at nothing but the cell, so a
pixel's coordinates never depend on the region they are asked for in.

Longitude is a circle: a source in degrees is found whichever turn its columns are counted in.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..graph.grid import EMPTY, Grid, Region, pyproj_crs, transformer
from .sampling import MAP_SIZE, Patches, placed, taps

CELL = 64
_FINEST = 8  # pixels; a cell of this size that cannot be interpolated is computed pixel by pixel
_BLOCK = 16  # cells a side that are computed together
_PART_OF_GLOBE = 1 / 16  # of the way around; a larger cell is cut whatever its points say
# Where else a cell is looked at, down and across, in cells: cubics are furthest from their parabolas near 0.21 and 0.79;
# not both points can be met by chance, nor do these numbers divide a turn of longitude.
_CHECKS = np.array([[0.2138, 0.7747], [0.2251, 0.2382]])
_BENT = 1 / 256  # of a cell's extent that straight lines may miss: the scale is taken for the same all over it
_FAR = 8.0  # source pixels; a cell further than this and its own size outside the image has no sample in it

Matrix = tuple[float, float, float, float, float, float]


class Turn(NamedTuple):
    """A full turn of longitude of a grid: in units of its CRS, in pixels along x and y; and what a pixel adds to longitude."""

    units: float
    pixels: np.ndarray
    factors: np.ndarray

    def whole(self, moves: np.ndarray) -> np.ndarray:
        """The number of turns next to ``moves``, (..., x and y) in pixels; they keep the last axis, of length 1."""
        result: np.ndarray = np.floor((moves * self.factors).sum(axis=-1, keepdims=True) / self.units + 0.5)
        return result

    def range(self, low: np.ndarray, high: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """First and last number of turns that may move boxes from ``low`` to ``high``, (..., x and y), onto an image."""
        ends = np.stack([low * self.factors, high * self.factors])
        here = np.stack([0 * self.factors, np.array([shape[1], shape[0]]) * self.factors])
        least, most = ends.min(axis=0).sum(axis=-1), ends.max(axis=0).sum(axis=-1)
        first = np.ceil((here.min(axis=0).sum() - most) / self.units).astype(np.int64)
        last = np.floor((here.max(axis=0).sum() - least) / self.units).astype(np.int64)
        return first, last


def affine_patches(matrix: Matrix, region: Region) -> Iterator[Patches]:
    """The coordinates ``x = a j + b i + c``, ``y = d j + e i + f`` of the pixels of ``region``, in windows of one cell."""
    if region.is_empty:
        return
    rows, cols = np.arange(region.row0, region.row1, CELL), np.arange(region.col0, region.col1, CELL)
    row0, col0 = (m.ravel() for m in np.meshgrid(rows, cols, indexing="ij"))
    windows = np.stack([row0, np.minimum(row0 + CELL, region.row1), col0, np.minimum(col0 + CELL, region.col1)], axis=1)
    yield Patches(windows, np.repeat(_affine_map(matrix), len(windows), axis=0))


def affine_need(matrix: Matrix, region: Region, shape: tuple[int, int], resampling: str, antialias: bool) -> Region:
    """The source pixels, of an image of ``shape``, that ``region`` is made of."""
    if region.is_empty:
        return EMPTY
    return taps(Patches(np.array([region]), _affine_map(matrix)), shape, resampling, antialias)


def _affine_map(matrix: Matrix) -> np.ndarray:
    a, b, c, d, e, f = matrix
    one = np.zeros((1, MAP_SIZE))
    one[0, :12] = 0, 0, c, a, b, 0, f, d, e, 0, math.hypot(a, b), math.hypot(d, e)
    return one


def warp_patches(target: Grid, source: Grid, tolerance: float, region: Region) -> Iterator[Patches]:
    """The coordinates in ``source`` of the pixels of ``region`` of ``target``, wrong by at most ``tolerance`` source pixels."""
    for block in _blocks(region):
        windows, maps = _leaves(target, source, tolerance, block)
        low = np.maximum(windows, [region.row0, 0, region.col0, 0])
        clipped = np.minimum(low, [2**31, region.row1, 2**31, region.col1])
        inside = (clipped[:, 0] < clipped[:, 1]) & (clipped[:, 2] < clipped[:, 3])
        if inside.any():
            yield Patches(clipped[inside], maps[inside])


def warp_need(target: Grid, source: Grid, tolerance: float, region: Region, resampling: str, antialias: bool) -> Region:
    """The pixels of ``source`` that ``region`` of ``target`` is made of."""
    box = EMPTY
    for patches in warp_patches(target, source, tolerance, region):
        box = box.union(taps(patches, source.shape, resampling, antialias))
    return box


def exact_coordinates(target: Grid, source: Grid, rows: np.ndarray, cols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x and y in ``source`` of the points (rows, cols) of ``target``, pixel-corner, exact; NaN where there is none.

    Safe in any thread: pyproj's Transformer keeps one transformation and context per thread.
    """
    assert source.crs is not None
    assert target.crs is not None
    a, b, c, d, e, f = target.transform[:6]
    east, north = a * cols + b * rows + c, d * cols + e * rows + f
    if source.crs != target.crs:
        east, north = transformer(target.crs, source.crs).transform(east, north)
    a, b, c, d, e, f = (~source.transform)[:6]
    with np.errstate(invalid="ignore", over="ignore"):
        x, y = a * east + b * north + c, d * east + e * north + f
        lost = ~(np.isfinite(x) & np.isfinite(y))
    return np.where(lost, np.nan, x), np.where(lost, np.nan, y)


def local_scale(target: Grid, source: Grid) -> float:
    """The least number of source pixels per output pixel, per axis, where ``target`` sees ``source``; 0 where it does not.

    Judged on a lattice of 33 x 33 points.
    """
    rows, cols = (np.linspace(0, n, 33) for n in target.shape)
    row, col = (m.ravel() for m in np.meshgrid(rows, cols, indexing="ij"))
    step = 0.5
    at, right, down = (
        np.stack(exact_coordinates(target, source, row + dr, col + dc)) for dr, dc in ((0, 0), (0, step), (step, 0))
    )
    height, width = source.shape
    turn = _turn(source)
    x, y = at
    if turn is not None:
        x, y = at - (turn.whole(at.T - np.array([width / 2, height / 2])) * turn.pixels).T
    seen = (x >= 0) & (x <= width) & (y >= 0) & (y <= height)
    scales = np.hypot(right - at, down - at) / step
    usable = scales[:, seen & np.isfinite(scales).all(axis=0)]
    return float(usable.min()) if usable.size else 0.0


def _blocks(region: Region) -> Iterator[Region]:
    """The cells that ``region`` touches, in blocks that do not depend on it but at its border; in units of cells."""
    if region.is_empty:
        return
    row0, row1, col0, col1 = region.row0 // CELL, -(-region.row1 // CELL), region.col0 // CELL, -(-region.col1 // CELL)
    for row in range(row0 // _BLOCK * _BLOCK, row1, _BLOCK):
        for col in range(col0 // _BLOCK * _BLOCK, col1, _BLOCK):
            yield Region(row, row + _BLOCK, col, col + _BLOCK).intersect(Region(row0, row1, col0, col1))


@lru_cache(maxsize=128)
def _leaves(target: Grid, source: Grid, tolerance: float, block: Region) -> Patches:
    """The patches of the cells of ``block``, in units of cells; cells and pixels without a sample are left out."""
    turn, first = _turn(source), _first_size(target)
    if not first:
        return _every_pixel(target, source, block, turn)
    half = CELL // 2
    rows = np.arange(2 * block.row0, 2 * block.row1 + 1) * half
    cols = np.arange(2 * block.col0, 2 * block.col1 + 1) * half
    row, col = np.meshgrid(rows, cols, indexing="ij")
    points = np.stack(exact_coordinates(target, source, row, col), axis=-1)
    thirds = np.lib.stride_tricks.sliding_window_view(points, (3, 3), axis=(0, 1))[::2, ::2]
    cells = np.moveaxis(thirds, 2, -1).reshape(-1, 3, 3, 2)
    origins = np.stack([row[:-1:2, :-1:2].ravel(), col[:-1:2, :-1:2].ravel()], axis=1)
    found: list[Patches] = []
    size = CELL
    while True:
        cells = _unwound(cells, turn)
        finite = np.isfinite(cells).all(axis=(1, 2, 3))
        nowhere = np.zeros(len(cells), bool)
        if size <= 2 * _FINEST:
            nowhere = np.isnan(cells).all(axis=(1, 2, 3))
            nowhere[nowhere] = _is_nowhere(target, source, origins[nowhere], size)
        small = size <= first
        good = small & finite & (_misfit(cells) <= np.clip(_extent(cells) * _BENT, tolerance / 4, tolerance))
        away = small & finite & ~_may_touch(cells, source.shape, turn)
        keep = good & ~away
        patches = _cell_patches(origins[keep], size, cells[keep])
        fits = _is_close(target, source, patches, size, tolerance / 64, turn)
        found.append(Patches(patches.windows[fits], patches.maps[fits]))
        keep[keep] = fits
        rest = ~(keep | away | nowhere)
        origins = origins[rest]
        if size == _FINEST or not len(origins):
            break
        size //= 2
        origins, cells = _quartered(target, source, origins, size)
    if len(origins):
        found.append(_pixel_patches(target, source, origins, turn))
    windows, maps = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return _turned(Patches(windows, maps), source.shape, turn)


def _every_pixel(target: Grid, source: Grid, block: Region, turn: Turn | None) -> Patches:
    """The patches of ``block``, in units of cells, without interpolation."""
    row0, col0 = block.row0 * CELL, block.col0 * CELL
    rows = np.arange(row0, min(block.row1 * CELL, target.shape[0]), _FINEST)
    cols = np.arange(col0, min(block.col1 * CELL, target.shape[1]), _FINEST)
    row, col = np.meshgrid(rows, cols, indexing="ij")
    origins = np.stack([row.ravel(), col.ravel()], axis=1)
    return _turned(_pixel_patches(target, source, origins, turn), source.shape, turn)


def _first_size(target: Grid) -> int:
    """The largest cells to interpolate in: those that are small beside the planet; 0 where no cell is.

    What nine points of a cell say of the rest of it holds as long as the cell does not reach around the globe.
    """
    assert target.crs is not None
    crs = pyproj_crs(target.crs)
    axis = crs.axis_info[0].unit_conversion_factor if crs.axis_info else 1.0
    if crs.is_geographic:
        around = 2 * math.pi
    elif crs.ellipsoid is not None:
        around = 2 * math.pi * crs.ellipsoid.semi_major_metre
    else:
        return CELL
    a, b, _, d, e, _ = target.transform[:6]
    pixel = axis * max(math.hypot(a, d), math.hypot(b, e))
    size = CELL
    while size >= _FINEST and size * pixel > _PART_OF_GLOBE * around:
        size //= 2
    return size if size >= _FINEST else 0


def _turn(source: Grid) -> Turn | None:
    """A full turn of longitude; None where coordinates are no longitudes."""
    if source.crs is None or not pyproj_crs(source.crs).is_geographic:
        return None
    units = float(2 * math.pi / pyproj_crs(source.crs).axis_info[0].unit_conversion_factor)
    there, back = source.transform, ~source.transform
    return Turn(units, units * np.array([back.a, back.d]), np.array([there.a, there.b]))


def _unwound(cells: np.ndarray, turn: Turn | None) -> np.ndarray:
    """Cells whose longitudes run on across the antimeridian instead of jumping back."""
    if turn is None:
        return cells
    result: np.ndarray = cells - turn.whole(cells - cells[:, 1:2, 1:2]) * turn.pixels
    return np.where(np.isnan(result), cells, result)


def _misfit(cells: np.ndarray) -> np.ndarray:
    """How far, in source pixels, interpolating from the corners is off at the midpoints of (n, 3, 3, 2) cells."""
    edges = cells[:, ::2, ::2] * 0.5
    top, bottom = edges[:, 0, 0] + edges[:, 0, 1], edges[:, 1, 0] + edges[:, 1, 1]
    left, right = edges[:, 0, 0] + edges[:, 1, 0], edges[:, 0, 1] + edges[:, 1, 1]
    guess = np.stack([top, bottom, left, right, 0.5 * (top + bottom)], axis=1)
    true = np.stack([cells[:, 0, 1], cells[:, 2, 1], cells[:, 1, 0], cells[:, 1, 2], cells[:, 1, 1]], axis=1)
    difference = guess - true
    worst: np.ndarray = np.hypot(difference[..., 0], difference[..., 1]).max(axis=1)
    return worst


def _extent(cells: np.ndarray) -> np.ndarray:
    """The longer side, in source pixels, of the boxes around (n, 3, 3, 2) cells."""
    result: np.ndarray = (cells.max(axis=(1, 2)) - cells.min(axis=(1, 2))).max(axis=1)
    return result


def _may_touch(cells: np.ndarray, shape: tuple[int, int], turn: Turn | None) -> np.ndarray:
    """Whether a cell, grown by its own size on every side, meets the image; so do those with points that have no place."""
    low, high = cells.min(axis=(1, 2)), cells.max(axis=(1, 2))
    margin = (high - low) + _FAR
    low, high = low - margin, high + margin
    far_corner = np.array([shape[1], shape[0]])
    if turn is None:
        touching: np.ndarray = ~((high < 0) | (low > far_corner)).any(axis=1)
        return touching
    touching = ~np.isfinite(low).all(axis=1)
    known = ~touching
    first, last = turn.range(low[known], high[known], shape)
    hit = np.zeros(len(first), bool)
    for number in range(int(first.min(initial=0)), int(last.max(initial=-1)) + 1):
        moved = number * turn.pixels
        hit |= ((high[known] + moved >= 0) & (low[known] + moved <= far_corner)).all(axis=1)
    touching[known] = hit
    return touching


def _is_nowhere(target: Grid, source: Grid, origins: np.ndarray, size: int) -> np.ndarray:
    """Whether cells without a place in the source have none around them either: a tip of land may reach in between points."""
    steps = np.arange(-1, 4) * (size // 2)
    row, col = np.broadcast_arrays(origins[:, 0, None, None] + steps[:, None], origins[:, 1, None, None] + steps)
    x, _ = exact_coordinates(target, source, row, col)
    nowhere: np.ndarray = np.isnan(x).all(axis=(1, 2))
    return nowhere


def _is_close(target: Grid, source: Grid, patches: Patches, size: int, limit: float, turn: Turn | None) -> np.ndarray:
    """Whether the patches of cells are off by at most ``limit`` pixels in two more points.

    An odd function, as latitude by northing about the equator, meets its chord in the middle: all nine points agree.
    """
    windows, maps = patches
    close = np.full(len(windows), True)
    for v, u in _CHECKS * size:
        exact = exact_coordinates(target, source, windows[:, 0] + v, windows[:, 2] + u)
        here = [placed(maps, *which, np.full(len(maps), u), np.full(len(maps), v)) for which in ((2, 14), (6, 19))]
        off = np.stack(exact, axis=-1) - np.stack(here, axis=-1)
        if turn is not None:
            off -= turn.whole(off) * turn.pixels
        close &= np.hypot(off[:, 0], off[:, 1]) <= limit
    return close


def _cell_patches(origins: np.ndarray, size: int, cells: np.ndarray) -> Patches:
    windows = np.stack([origins[:, 0], origins[:, 0] + size, origins[:, 1], origins[:, 1] + size], axis=1)
    maps = np.empty((len(origins), MAP_SIZE))
    maps[:, :2] = origins
    p00, p01, p10, p11 = cells[:, 0, 0], cells[:, 0, 2], cells[:, 2, 0], cells[:, 2, 2]
    factors = _quadratic(_quadratic(cells, 1, size), 2, size)  # (n, power of v, power of u, x or y)
    reach = float(size) ** np.add.outer(np.arange(3), np.arange(3))
    reach[:2, :2] = 0
    for k, first, extra in ((0, 2, 14), (1, 6, 19)):
        f = factors[..., k]
        maps[:, first : first + 4] = np.stack([f[:, 0, 0], f[:, 0, 1], f[:, 1, 0], f[:, 1, 1]], axis=1)
        maps[:, extra : extra + 5] = np.stack([f[:, 2, 0], f[:, 2, 1], f[:, 0, 2], f[:, 1, 2], f[:, 2, 2]], axis=1)
        maps[:, 12 + k] = (np.abs(f) * reach).sum(axis=(1, 2))
        across, down = ((p01 + p11) - (p00 + p10))[:, k], ((p10 + p11) - (p00 + p01))[:, k]
        maps[:, 10 + k] = np.hypot(across, down) / (2 * size)
    return Patches(windows, maps)


def _quadratic(values: np.ndarray, axis: int, size: int) -> np.ndarray:
    """The factors of 1, t and t^2 of the parabolas through three values along ``axis``, at 0, size / 2 and size."""
    first, middle, last = (values.take(k, axis) for k in range(3))
    # By differences, so that equal values have no slope.
    one, two = middle - first, last - middle
    return np.stack([first, (3 * one - two) / size, 2 * (two - one) / size**2], axis=axis)


def _quartered(target: Grid, source: Grid, origins: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The four cells of ``size`` in each cell at ``origins``, with their nine points."""
    steps = np.arange(5) * (size // 2)
    row = origins[:, 0, None, None] + steps[:, None]
    col = origins[:, 1, None, None] + steps[None, :]
    row, col = np.broadcast_arrays(row, col)
    points = np.stack(exact_coordinates(target, source, row, col), axis=-1)
    quarters = [(i, j) for i in (0, 2) for j in (0, 2)]
    cells = np.stack([points[:, i : i + 3, j : j + 3] for i, j in quarters], axis=1).reshape(-1, 3, 3, 2)
    corners = np.stack([origins + np.array([i // 2 * size, j // 2 * size]) for i, j in quarters], axis=1).reshape(-1, 2)
    return corners, cells


def _pixel_patches(target: Grid, source: Grid, origins: np.ndarray, turn: Turn | None) -> Patches:
    """A patch per pixel of the finest cells at ``origins``, of those pixels that have a place in or near the source."""
    steps = np.arange(_FINEST)
    row, col = np.broadcast_arrays(origins[:, 0, None, None] + steps[:, None], origins[:, 1, None, None] + steps)
    points = np.stack(exact_coordinates(target, source, row + 0.5, col + 0.5), axis=-1)
    across, down = np.diff(points, axis=2)[:, :-1], np.diff(points, axis=1)[:, :, :-1]
    if turn is not None:
        across, down = (step - turn.whole(step) * turn.pixels for step in (across, down))
    steepness = np.hypot(across, down).reshape(len(origins), -1, 2)
    scale = np.ones((len(origins), 2))
    some = np.isfinite(steepness).any(axis=(1, 2))
    scale[some] = np.nanmedian(steepness[some], axis=1)
    here = np.isfinite(points).all(axis=-1)
    if turn is None:
        here &= ((points >= -1) & (points <= np.array([source.shape[1], source.shape[0]]) + 1)).all(axis=-1)
    row, col = row[here], col[here]
    maps = np.zeros((len(row), MAP_SIZE))
    maps[:, 0], maps[:, 1] = row + 0.5, col + 0.5
    maps[:, 2], maps[:, 6] = points[here].T
    maps[:, 10:12] = np.broadcast_to(scale[:, None, None], points.shape)[here]
    return Patches(np.stack([row, row + 1, col, col + 1], axis=1), maps)


def _turned(patches: Patches, shape: tuple[int, int], turn: Turn | None) -> Patches:
    """Patches moved by whole turns of longitude onto the image; one that meets it in two turns is there twice."""
    if turn is None or not len(patches.windows):
        return patches
    windows, maps = patches
    v = windows[:, :2] - maps[:, :1]
    u = windows[:, 2:] - maps[:, 1:2]
    corners = [[placed(maps, *which, u[:, j], v[:, i]) for which in ((2, 14), (6, 19))] for i in (0, 1) for j in (0, 1)]
    points, margin = np.moveaxis(np.array(corners), 2, 0), 1 + maps[:, 12:14]  # (n, corner, x or y)
    low, high = points.min(axis=1) - margin, points.max(axis=1) + margin
    first, last = turn.range(low, high, shape)
    far_corner = np.array([shape[1], shape[0]])
    parts: list[Patches] = []
    for number in range(int(first.min()), int(last.max()) + 1):
        move = number * turn.pixels
        hit = (first <= number) & (number <= last) & ((high + move >= 0) & (low + move <= far_corner)).all(axis=1)
        moved = maps[hit]
        moved[:, 2] += move[0]
        moved[:, 6] += move[1]
        parts.append(Patches(windows[hit], moved))
    if not parts:
        return Patches(windows[:0], maps[:0])
    return Patches(np.concatenate([p.windows for p in parts]), np.concatenate([p.maps for p in parts]))
