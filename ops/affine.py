"""Affine: shift, scale, rotate, shear, by one matrix in pixels. Also what ``warp`` becomes between grids of one CRS.

The user's matrix says where a pixel of the input goes; the node holds its inverse, where a pixel of the output comes from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
from affine import Affine as Transform

from ..graph.block import Block
from ..graph.errors import ArgumentError, GridError
from ..graph.grid import EMPTY, Grid, Region
from ..graph.node import Meta, Node, operation, rule, verb
from .coordinates import Matrix, affine_need, affine_patches
from .sampling import RESAMPLINGS, WIDEN_FROM, check_resampling, sample
from .sampling_loops import EDGE

__all__ = ["affine"]

_SNAP = 1e-9
IDENTITY: Matrix = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


class Resampled(Node):
    """What ``Affine`` and ``Warp`` share: ``source`` sampled at the pixels of ``target``."""

    version: ClassVar[int] = 2
    cost: ClassVar[float] = 12.0

    source: Node
    target: Grid
    resampling: str
    antialias: bool

    def select(self, bands: tuple[int, ...]) -> Node | None:
        inner = self.source.select(bands)
        return None if inner is None else self.with_inputs([inner])

    def _resampled_meta(self, masked: bool) -> Meta:
        meta = self.source.meta
        nodata = meta.nodata if meta.nodata is not None or meta.dtype.kind not in "fc" else math.nan
        return meta.having(grid=self.target, nodata=nodata, masked=masked, tile=(512, 512))

    def _widens(self) -> bool:
        """Whether a coarser ``target`` averages pixels, so that those of an overview may stand for them."""
        return RESAMPLINGS[self.resampling].averages(self.antialias)

    def _affine_below(self) -> tuple[Node, Matrix] | None:
        """(source, matrix) of a source that is an affine and sampled in the same way, if it averages no pixels away."""
        inner = self.source.as_affine()
        if inner is None:
            return None
        source, matrix, resampling, antialias = inner
        # Two footprints are wider than one.
        alike = (resampling, antialias) == (self.resampling, self.antialias) and not RESAMPLINGS[resampling].footprint
        return (source, matrix) if alike and not averages(matrix, resampling, antialias) else None


@operation("affine")
@dataclass(frozen=True, eq=False)
class Affine(Resampled):
    """``source`` sampled where ``matrix`` sends the pixels of ``target``: output pixel-corner coordinates to the source's."""

    source: Node
    matrix: Matrix
    target: Grid
    resampling: str = "bilinear"
    antialias: bool = True

    def _meta(self) -> Meta:
        check_resampling(self.resampling, self.source.meta.dtype)
        checked_matrix(self.matrix)
        if self._is_identity():
            return self.source.meta.with_grid(self.target)
        return self._resampled_meta(masked=self.source.meta.masked or not self._stays_inside())

    def need(self, region: Region) -> tuple[Region]:
        shift = self._shift()
        if shift is not None:
            box = region.shifted(*shift).intersect(self.source.meta.grid.region)
            return (EMPTY if box.is_empty else box,)
        return (affine_need(self.matrix, region, self.source.meta.grid.shape, self.resampling, self.antialias),)

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        if self._is_identity():
            return blocks[0]
        shape, covered = self.source.meta.grid.shape, self.need(region)[0]
        shift = self._shift()
        # A whole-pixel shift is a copy under every resampling.
        resampling = self.resampling if shift is None else "nearest"
        if shift is not None and blocks[0].valid is None and covered.shape == region.shape:
            return blocks[0]
        pieces = affine_patches(self.matrix, region)
        return sample(blocks[0], covered, shape, pieces, region, self.meta, resampling, self.antialias)

    @rule("drop an affine that changes nothing", exact=True)
    def _drop_identity(self) -> Node | None:
        same = self._is_identity() and self.target == self.source.meta.grid
        return self.source if same else None

    @rule("resample once: affine of affine", exact=False)
    def _compose(self) -> Node | None:
        """Within the interpolation error of the inner one; at the image's border validity may differ by a pixel."""
        inner = self._affine_below()
        if inner is None:
            return None
        source, matrix = inner
        canvas = self.source.meta.grid.shape
        margin = max(2.5, RESAMPLINGS[self.resampling].radius + 0.5)
        if not (canvas_covers(matrix, canvas, source.meta.grid.shape) or self._stays_inside(margin)):
            return None
        return Affine(source, snapped(compose(matrix, self.matrix), canvas), self.target, self.resampling, self.antialias)

    @rule("read the right overview", exact=False)
    def _read_overview(self) -> Node | None:
        """Two or more source pixels per output pixel: average the overview's pixels instead of the full image's."""
        coarse = overview_for(self.source, min(_scales(self.matrix))) if self._widens() else None
        return None if coarse is None else self._on(coarse)

    def as_affine(self) -> tuple[Node, Matrix, str, bool] | None:
        return self.source, self.matrix, self.resampling, self.antialias

    def reduced(self, factor: float) -> Node | None:
        grid = coarser(self.target, factor)
        if grid is None or not self._widens():
            return None
        ratio = (self.target.shape[1] / grid.shape[1], 0.0, 0.0, 0.0, self.target.shape[0] / grid.shape[0], 0.0)
        return Affine(self.source, compose(self.matrix, ratio), grid, self.resampling, self.antialias)

    def sampled(self, factor: float) -> Node | None:
        coarse = self.reduced(factor)
        if not isinstance(coarse, Affine):
            return coarse
        overview = overview_for(self.source, min(_scales(coarse.matrix)), sampled=True)
        return replace(coarse._on(overview) if overview is not None else coarse, resampling="nearest")

    def _on(self, coarse: Node) -> Affine:
        """The same result from a coarser image of the source's ground, by the real ratio of each axis."""
        (rows, cols), (height, width) = coarse.meta.grid.shape, self.source.meta.grid.shape
        ratio = (cols / width, 0.0, 0.0, 0.0, rows / height, 0.0)
        return Affine(coarse, compose(ratio, self.matrix), self.target, self.resampling, self.antialias)

    def _is_identity(self) -> bool:
        return self.matrix == IDENTITY and self.target.shape == self.source.meta.grid.shape

    def _shift(self) -> tuple[int, int] | None:
        """(rows, cols) of a whole-pixel shift."""
        a, b, c, d, e, f = self.matrix
        return (int(f), int(c)) if (a, b, d, e) == (1, 0, 0, 1) and c == int(c) and f == int(f) else None

    def _stays_inside(self, margin: float = 0.0) -> bool:
        """Whether every output pixel comes from inside the source, at least ``margin`` widened pixels from its edge."""
        x, y = corners(self.matrix, self.target.shape)
        width, height = self.source.meta.grid.shape[::-1]
        mx, my = (margin * max(1.0, s) if margin else -EDGE for s in _scales(self.matrix))
        return bool(min(x) >= mx and max(x) <= width - mx and min(y) >= my and max(y) <= height - my)


def checked_matrix(matrix: Any) -> Matrix:
    """``matrix`` as six floats, from an Affine, six numbers a..f, or a 2 x 3 or 3 x 3 array.

    Raises
    ------
    ArgumentError
        It is none of these, not finite, projective, or not invertible.
    """
    try:
        numbers = np.asarray(matrix, float)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"a matrix is an Affine, six numbers a..f, or a 2 x 3 or 3 x 3 array; got {matrix!r}") from error
    if numbers.shape not in ((6,), (9,), (2, 3), (3, 3)):
        raise ArgumentError(f"a matrix is an Affine, six numbers a..f, or a 2 x 3 or 3 x 3 array; got shape {numbers.shape}")
    if numbers.size == 9 and tuple(numbers.ravel()[6:]) != (0, 0, 1):
        raise ArgumentError(f"the matrix is projective: its last row is {tuple(numbers.ravel()[6:].tolist())}, not (0, 0, 1)")
    a, b, c, d, e, f = (float(v) for v in numbers.ravel()[:6])
    if not all(map(math.isfinite, (a, b, c, d, e, f))):
        raise ArgumentError(f"the matrix has numbers that are not finite: {(a, b, c, d, e, f)}")
    if abs(a * e - b * d) <= 1e-12 * max(abs(a * e), abs(b * d)) or a * e - b * d == 0:
        raise ArgumentError(f"the matrix {(a, b, c, d, e, f)} cannot be inverted: it maps the image onto a line")
    return a, b, c, d, e, f


def compose(second: Matrix, first: Matrix) -> Matrix:
    """The matrix that does ``first``, then ``second``."""
    return _six(Transform(*second) @ Transform(*first))


def inverse(matrix: Matrix) -> Matrix:
    """The matrix that undoes ``matrix``."""
    return _six(~Transform(*matrix))


def corners(matrix: Matrix, shape: tuple[int, int]) -> tuple[list[float], list[float]]:
    """x and y of where ``matrix`` sends the four corners of an image."""
    rows, cols = shape
    a, b, c, d, e, f = matrix
    points = ((0, 0), (cols, 0), (0, rows), (cols, rows))
    return [a * j + b * i + c for j, i in points], [d * j + e * i + f for j, i in points]


def snapped(matrix: Matrix, shape: tuple[int, int]) -> Matrix:
    """``matrix`` with numbers that rounding moved off a whole number, a simple ratio or a half pixel put back on it."""

    def near(value: float, unit: float, slack: float) -> float:
        whole = round(value / unit) * unit
        return float(whole) if abs(value - whole) <= slack else value

    a, b, c, d, e, f = matrix
    slopes = [near(v, 1.0, _SNAP) for v in (a, b, d, e)]
    slopes = [1 / near(1 / v, 1.0, _SNAP) if 0 < abs(v) < 1 else v for v in slopes]
    offset = _SNAP * max(*shape, 1)
    a, b, d, e = slopes
    return a, b, near(c, 0.5, offset), d, e, near(f, 0.5, offset)


def between(source: Grid, target: Grid) -> Matrix:
    """Pixel coordinates of ``target`` to those of ``source``, two grids of one CRS."""
    return snapped(_six(~source.transform @ target.transform), target.shape)


def canvas_covers(matrix: Matrix, canvas: tuple[int, int], source: tuple[int, int]) -> bool:
    """Whether a canvas whose pixels ``matrix`` sends to the source holds all of the source."""
    x, y = corners(inverse(matrix), source)
    slack = 1e-6 * max(*canvas, 1)
    return min(x) >= -slack and min(y) >= -slack and max(x) <= canvas[1] + slack and max(y) <= canvas[0] + slack


def averages(matrix: Matrix, resampling: str, antialias: bool) -> bool:
    """Whether sampling with ``matrix`` averages pixels away or leaves some out, so that it cannot be undone."""
    return max(_scales(matrix)) > (WIDEN_FROM if RESAMPLINGS[resampling].averages(antialias) else 1 + 1e-9)


def coarser(grid: Grid, factor: float) -> Grid | None:
    """``grid`` cut into pixels at most ``factor`` times as large; None if that is the same grid."""
    if not factor > 1:
        return None
    rows, cols = (max(1, math.ceil(n / factor - 1e-9)) for n in grid.shape)
    return None if (rows, cols) == grid.shape else grid.resized((rows, cols))


def overview_for(source: Node, scale: float, *, sampled: bool = False) -> Node | None:
    """A cheaper image of the source's ground, at least 2 times and at most ``scale`` times coarser.

    A hundredth more is let pass: the overview of an odd number of pixels is a little more than twice as coarse.
    ``sampled`` is for a statistic: see ``Node.sampled``.
    """
    if scale < 2 - 1e-6:
        return None
    coarse = source.sampled(scale * 1.01) if sampled else source.reduced(scale * 1.01)
    if coarse is None or coarse.meta.grid.shape == source.meta.grid.shape:
        return None
    return coarse


def _scales(matrix: Matrix) -> tuple[float, float]:
    a, b, _, d, e, _ = matrix
    return math.hypot(a, b), math.hypot(d, e)


def _six(transform: Transform) -> Matrix:
    a, b, c, d, e, f = (float(v) for v in transform[:6])
    return a, b, c, d, e, f


@verb
def affine(
    raster: Node,
    matrix: Any,
    *,
    shape: tuple[int, int] | Literal["auto", "keep"] = "auto",
    resampling: str = "bilinear",
    antialias: bool = True,
) -> Node:
    """Move the pixels by an affine matrix. The georeference moves along, so that the ground stays where it is.

    Parameters
    ----------
    raster : Raster, (band, y, x)
    matrix : Affine, six numbers (a, b, c, d, e, f), or a 2 x 3 or 3 x 3 array
        Where a pixel of the input goes: ``x' = a x + b y + c``, ``y' = d x + e y + f``, x along columns, y along rows,
        pixel-corner coordinates (the first pixel's centre is (0.5, 0.5)).
    shape : (rows, cols), "auto" or "keep"
        The output covers (0, 0) to (cols, rows). "auto" rounds up the largest coordinates that a corner of the image comes
        to, so that what goes to negative coordinates is cut off, as in kwcoco; "keep" is the shape of the input.
    resampling : "nearest", "bilinear", "cubic", "lanczos", "average", "mode", "min", "max" or "median"
        How values between pixels are found: see ``warp``.
    antialias : bool
        Widen the bilinear, cubic or Lanczos kernel where the output is coarser than the input, so that every pixel counts.

    Returns
    -------
    Raster
        Same bands and dtype; integers are rounded half up and saturate. Invalid where no input pixel is.

    Raises
    ------
    ArgumentError
        The matrix, the shape or the resampling makes no sense.
    DtypeError
        Complex pixels have no mode, min, max or median.
    GridError
        With "auto", no part of the image comes to positive coordinates.
    """
    forward = checked_matrix(matrix)
    grid = raster.meta.grid
    check_resampling(resampling, raster.meta.dtype)
    if isinstance(shape, str):
        if shape not in ("auto", "keep"):
            raise ArgumentError(f"shape is (rows, cols), 'auto' or 'keep'; got {shape!r}")
        shape = grid.shape if shape == "keep" else _auto_shape(forward, grid)
    back = snapped(inverse(forward), grid.shape)
    return Affine(raster, back, Grid(shape, grid.transform @ Transform(*back), grid.crs), resampling, bool(antialias))


def _auto_shape(forward: Matrix, grid: Grid) -> tuple[int, int]:
    x, y = corners(forward, grid.shape)
    rows, cols = math.ceil(max(y) - 1e-6), math.ceil(max(x) - 1e-6)
    if rows < 1 or cols < 1:
        raise GridError(
            f"the matrix moves the whole image to negative coordinates (up to x = {max(x):g}, y = {max(y):g}); "
            "translate it back, or give shape="
        )
    return rows, cols
