"""Where output pixels lie in the source: ``Patches`` for an affine matrix and for a change of CRS.

A change of CRS is computed exactly on a lattice and by biquadratic functions between. The lattice is anchored to the output
grid: cells of 64 x 64 output pixels from (0, 0), each known at its corners, edge midpoints and centre. A cell is cut into
four as long as straight lines between its corners would miss its midpoints by more than a quarter of the tolerance, or a
point has no place in the source's CRS; a cell of 8 pixels that still fails is computed pixel by pixel. What the parabolas
are off by is of the third order: where the projection is smooth, a thousandth of the tolerance and less. The decision looks
at nothing but the cell, so a pixel's coordinates never depend on the region they are asked for in.

Longitude is a circle: a source in degrees is found whichever turn its columns are counted in.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from ..graph.grid import EMPTY, Grid, Region, pyproj_crs, transformer
from .sampling import MAP_SIZE, Patches, placed, taps

CELL = 64
_FINEST = 8  # pixels; a cell of this size that cannot be interpolated is computed pixel by pixel
_BLOCK = 16  # cells a side that are computed together
_FAR = 8.0  # source pixels; a cell further than this and its own size outside the image has no sample in it

Matrix = tuple[float, float, float, float, float, float]


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
    period = _period(source)
    turn = period * np.floor((at[0] - source.shape[1] / 2) / period + 0.5) if period else 0.0
    height, width = source.shape
    x, y = at[0] - turn, at[1]
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
    half = CELL // 2
    rows = np.arange(2 * block.row0, 2 * block.row1 + 1) * half
    cols = np.arange(2 * block.col0, 2 * block.col1 + 1) * half
    row, col = np.meshgrid(rows, cols, indexing="ij")
    points = np.stack(exact_coordinates(target, source, row, col), axis=-1)
    thirds = np.lib.stride_tricks.sliding_window_view(points, (3, 3), axis=(0, 1))[::2, ::2]
    cells = np.moveaxis(thirds, 2, -1).reshape(-1, 3, 3, 2)
    origins = np.stack([row[:-1:2, :-1:2].ravel(), col[:-1:2, :-1:2].ravel()], axis=1)
    period = _period(source)
    found: list[Patches] = []
    size = CELL
    while True:
        cells = _unwound(cells, period)
        finite = np.isfinite(cells).all(axis=(1, 2, 3))
        nowhere = np.isnan(cells).all(axis=(1, 2, 3)) if size <= 2 * _FINEST else np.zeros(len(cells), bool)
        good = finite & (_misfit(cells) <= tolerance / 4)
        away = finite & ~_may_touch(cells, source, period)
        keep = good & ~away
        found.append(_cell_patches(origins[keep], size, cells[keep]))
        rest = ~(good | away | nowhere)
        origins = origins[rest]
        if size == _FINEST or not len(origins):
            break
        size //= 2
        origins, cells = _quartered(target, source, origins, size)
    if len(origins):
        found.append(_pixel_patches(target, source, origins, period))
    windows, maps = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return _turned(Patches(windows, maps), source, period)


def _period(source: Grid) -> float:
    """Columns per full turn of longitude; 0 where columns are not longitudes."""
    transform = source.transform
    if source.crs is None or transform.d != 0 or transform.b != 0 or not pyproj_crs(source.crs).is_geographic:
        return 0.0
    return float(2 * math.pi / pyproj_crs(source.crs).axis_info[0].unit_conversion_factor / abs(transform.a))


def _unwound(cells: np.ndarray, period: float) -> np.ndarray:
    """Cells whose longitudes run on across the antimeridian instead of jumping back."""
    if not period:
        return cells
    result = cells.copy()
    centre = cells[:, 1:2, 1:2, 0]
    result[..., 0] -= period * np.floor((cells[..., 0] - centre) / period + 0.5)
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


def _may_touch(cells: np.ndarray, source: Grid, period: float) -> np.ndarray:
    """Whether a cell, grown by its own size on every side, meets the image."""
    low, high = cells.min(axis=(1, 2)), cells.max(axis=(1, 2))
    margin = (high - low) + _FAR
    low, high = low - margin, high + margin
    height, width = source.shape
    along = (high[:, 0] >= 0) & (low[:, 0] <= width)
    if period:
        along |= np.floor(high[:, 0] / period) >= np.ceil((low[:, 0] - width) / period)
    touching: np.ndarray = along & (high[:, 1] >= 0) & (low[:, 1] <= height)
    return touching


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


def _pixel_patches(target: Grid, source: Grid, origins: np.ndarray, period: float) -> Patches:
    """A patch per pixel of the finest cells at ``origins``, of those pixels that have a place in the source."""
    steps = np.arange(_FINEST)
    row, col = np.broadcast_arrays(origins[:, 0, None, None] + steps[:, None], origins[:, 1, None, None] + steps)
    points = np.stack(exact_coordinates(target, source, row + 0.5, col + 0.5))
    scale = np.ones((2, len(origins)))
    for k in range(2):
        across, down = np.diff(points[k], axis=2)[:, :-1], np.diff(points[k], axis=1)[:, :, :-1]
        if period and k == 0:
            across, down = (step - period * np.floor(step / period + 0.5) for step in (across, down))
        steepness = np.hypot(across, down).reshape(len(origins), -1)
        some = np.isfinite(steepness).any(axis=1)
        scale[k, some] = np.nanmedian(steepness[some], axis=1)
    scale = np.broadcast_to(scale[:, :, None, None], points.shape)
    here = np.isfinite(points).all(axis=0)
    row, col = row[here], col[here]
    maps = np.zeros((len(row), MAP_SIZE))
    maps[:, 0], maps[:, 1] = row + 0.5, col + 0.5
    maps[:, 2], maps[:, 6] = points[0][here], points[1][here]
    maps[:, 10], maps[:, 11] = scale[0][here], scale[1][here]
    return Patches(np.stack([row, row + 1, col, col + 1], axis=1), maps)


def _turned(patches: Patches, source: Grid, period: float) -> Patches:
    """Patches moved by whole turns of longitude onto the image; one that meets it in two turns is there twice."""
    if not period or not len(patches.windows):
        return patches
    windows, maps = patches
    height, width = windows[:, 1] - windows[:, 0], windows[:, 3] - windows[:, 2]
    rows, cols = np.stack([0 * height, 0 * height, height, height]), np.stack([0 * width, width, 0 * width, width])
    x = placed(maps, 2, 14, cols, rows)
    margin = 1 + maps[:, 12]
    first = np.ceil((-margin - x.max(axis=0)) / period).astype(np.int64)
    last = np.floor((source.shape[1] + margin - x.min(axis=0)) / period).astype(np.int64)
    parts: list[Patches] = []
    for turn in range(int(first.min()), int(last.max()) + 1):
        hit = (first <= turn) & (turn <= last)
        moved = maps[hit]
        moved[:, 2] += turn * period
        parts.append(Patches(windows[hit], moved))
    if not parts:
        return Patches(windows[:0], maps[:0])
    return Patches(np.concatenate([p.windows for p in parts]), np.concatenate([p.maps for p in parts]))
