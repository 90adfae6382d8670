"""Crop: pick rows and columns by start, step and count: windows, strides and flips in one node.

Moves no pixel, so it costs nothing but the read it saves. A stride takes single pixels (it does not average): the new
pixel has the picked pixel's centre and the size of the step. A negative step turns the axis round, on the ground too.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

from affine import Affine

from ..graph.block import Block
from ..graph.errors import ArgumentError, GridError
from ..graph.grid import EMPTY, Bounds, Grid, Region
from ..graph.node import Meta, Node, operation, rule, verb
from .select import picked_bands, select

__all__ = ["crop", "index"]

Picks = tuple[int, int, int]
_EDGE = 1e-6  # coarse pixels; a window's edge this close to a pixel edge lies on it


@operation("crop")
@dataclass(frozen=True, eq=False)
class Crop(Node):
    """Rows and columns of ``source``, each (start, step, count).

    ``transform`` is given where several crops became one, so that the grid stays theirs to the last bit.
    """

    source: Node
    rows: Picks
    cols: Picks
    transform: Affine | None = None

    def _meta(self) -> Meta:
        meta = self.source.meta
        for (start, step, count), length, what in zip(
            (self.rows, self.cols), meta.grid.shape, ("rows", "columns"), strict=True
        ):
            if step == 0 or count < 1:
                raise GridError(f"crop to {count} {what} with step {step}: at least one must be left, and the step is not 0")
            ends = start, start + step * (count - 1)
            if min(ends) < 0 or max(ends) >= length:
                raise GridError(f"crop takes {what} {min(ends)} .. {max(ends)} of {length}; use pad() to grow the image first")
        moved = meta.grid.transform @ _placed(self.cols, self.rows) if self.transform is None else self.transform
        tile = max(1, meta.tile[0] // abs(self.rows[1])), max(1, meta.tile[1] // abs(self.cols[1]))
        return meta.having(grid=Grid((self.rows[2], self.cols[2]), moved, meta.grid.crs), tile=tile)

    def need(self, region: Region) -> tuple[Region, ...]:
        if region.is_empty:
            return (EMPTY,)
        return (Region(*_span(self.rows, region.row0, region.row1), *_span(self.cols, region.col0, region.col1)),)

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        # A block begins and ends with picked pixels, so the step alone finds the others, from the end if it is negative.
        return blocks[0].window(slice(None, None, self.rows[1]), slice(None, None, self.cols[1]))

    @rule("crop to the whole image", exact=True)
    def _identity(self) -> Node | None:
        return self.source if self._is_window and self.meta.grid == self.source.meta.grid else None

    @rule("crop of crop", exact=True)
    def _compose(self) -> Node | None:
        inner = self.source.as_crop()
        if inner is None:
            return None
        source, rows, cols = inner
        rows, cols = _of(rows, self.rows), _of(cols, self.cols)
        plain = Crop(source, rows, cols)
        mine = self.meta.grid.transform
        return plain if plain.meta.grid.transform == mine else Crop(source, rows, cols, mine)

    def as_crop(self) -> tuple[Node, Picks, Picks] | None:
        return self.source, self.rows, self.cols

    def select(self, bands: tuple[int, ...]) -> Node | None:
        return Crop(picked_bands(self.source, bands), self.rows, self.cols, self.transform)

    def reduced(self, factor: float) -> Node | None:
        coarse = self.source.reduced(factor) if self._is_window else None
        if coarse is None:
            return None
        rows, cols = (
            _coarse(picks, fine, few)
            for picks, fine, few in zip(
                (self.rows, self.cols), self.source.meta.grid.shape, coarse.meta.grid.shape, strict=True
            )
        )
        return Crop(coarse, rows, cols) if rows and cols else None

    def sampled(self, factor: float) -> Node | None:
        """The coarse pixels that lie in the window for the most part; up to half of one at its edge is in or out."""
        coarse = self.source.sampled(factor) if self._is_window else None
        if coarse is None:
            return None
        rows, cols = (
            _nearest(picks, fine, few)
            for picks, fine, few in zip(
                (self.rows, self.cols), self.source.meta.grid.shape, coarse.meta.grid.shape, strict=True
            )
        )
        return Crop(coarse, rows, cols)

    @property
    def _is_window(self) -> bool:
        return self.rows[1] == self.cols[1] == 1


@verb
def crop(
    raster: Node, bounds: Bounds | None = None, crs: Any = None, *, window: tuple[int, int, int, int] | None = None
) -> Node:
    """Keep the pixels that ``bounds`` touches, or those of ``window``.

    Parameters
    ----------
    raster : Raster, (band, y, x)
    bounds : (left, bottom, right, top) in the units of ``crs``
        Snapped outwards to whole pixels, so that no pixel they touch is lost, and clipped to the raster.
    crs : anything pyproj takes, optional
        Of the bounds; the raster's own when left out.
    window : (row0, row1, col0, col1), instead of ``bounds``
        Half-open, in pixels; must lie inside the raster.

    Returns
    -------
    Raster of the same bands and dtype; values are untouched and the transform moves with the corner.

    Raises
    ------
    GridError
        ``bounds`` and the raster do not overlap, or the window is empty or leaves the raster.
    CRSError
        ``crs`` is unknown, or given for a raster that has none.
    ArgumentError
        Both or neither of ``bounds`` and ``window`` are given, ``crs`` goes with a window, or it is not four whole numbers.
    """
    if (bounds is None) == (window is None):
        raise ArgumentError("crop takes either bounds or window=(row0, row1, col0, col1)")
    grid = raster.meta.grid
    if bounds is not None:
        box = grid.window(bounds, crs)
        if box.is_empty:
            raise GridError(f"bounds {tuple(bounds)} do not touch the raster, whose bounds are {grid.bounds}")
    else:
        box = _window(window, crs)
        if box.is_empty:
            raise GridError(f"window {tuple(box)} is empty; it is (row0, row1, col0, col1), half-open")
        if not grid.region.contains(box):
            raise GridError(f"window {tuple(box)} leaves the image of {grid.shape} pixels; use pad() to grow it first")
    return Crop(raster, (box.row0, 1, box.shape[0]), (box.col0, 1, box.shape[1]))


@verb
def index(raster: Node, key: Any) -> Node:
    """Pick pixels as ``raster[key]`` does.

    Parameters
    ----------
    raster : Raster, (band, y, x)
    key : ``rows``, ``(rows, cols)``, ``(bands, rows, cols)``, any of them with ``...``, or band names alone
        Rows and columns are ints or slices, negative steps too. Bands are ints, slices, names or lists of them. Entries
        before an ellipsis are counted from the band axis, those behind it from the column axis. A name or list alone picks
        bands. An int keeps its axis, with length 1: a raster always has three axes.

    Returns
    -------
    Raster on the grid of the picked pixels; dtype, nodata and values stay. With a step the new pixels have the size of
    the step and the centres of the picked ones; with a negative step the axis runs the other way on the ground too.

    Raises
    ------
    GridError
        No row or column would be left, or an int lies outside.
    BandError
        No such band, or none would be left.
    ArgumentError
        The key is of another kind, or has too many entries.
    """
    bands, rows, cols = _axes(key)
    shape = raster.meta.grid.shape
    picks = _picks(rows, shape[0], "row"), _picks(cols, shape[1], "column")
    node = raster if bands == slice(None) else select(raster, bands)
    if picks == ((0, 1, shape[0]), (0, 1, shape[1])):
        return node
    return Crop(node, *picks)


def _placed(cols: Picks, rows: Picks) -> Affine:
    """New to old (col, row) corner coordinates: the centre of the first pixel stays, the pixel grows to the step."""
    corner = Affine.translation(*(start + (1 - step) / 2 for start, step, _ in (cols, rows)))
    return corner if rows[1] == cols[1] == 1 else corner @ Affine.scale(cols[1], rows[1])


def _span(picks: Picks, first: int, stop: int) -> tuple[int, int]:
    start, step, _ = picks
    a, b = start + step * first, start + step * (stop - 1)
    return min(a, b), max(a, b) + 1


def _of(inner: Picks, outer: Picks) -> Picks:
    return inner[0] + inner[1] * outer[0], inner[1] * outer[1], outer[2]


def _coarse(picks: Picks, fine: int, few: int) -> Picks | None:
    start, stop = picks[0] * few / fine, (picks[0] + picks[2]) * few / fine
    first, last = round(start), round(stop)
    if abs(start - first) > _EDGE or abs(stop - last) > _EDGE or last <= first:
        return None
    return first, 1, last - first


def _nearest(picks: Picks, fine: int, few: int) -> Picks:
    first = min(round(picks[0] * few / fine), few - 1)
    last = max(round((picks[0] + picks[2]) * few / fine), first + 1)
    return first, 1, last - first


def _window(window: Any, crs: Any) -> Region:
    if crs is not None:
        raise ArgumentError("a window is in pixels: crs= goes with bounds only")
    try:
        row0, row1, col0, col1 = map(operator.index, window)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"a window is four whole numbers (row0, row1, col0, col1); got {window!r}") from error
    return Region(row0, row1, col0, col1)


def _axes(key: Any) -> tuple[Any, Any, Any]:
    whole = slice(None)
    if isinstance(key, (str, list)):
        return key, whole, whole
    entries = key if isinstance(key, tuple) else (key,)
    dots = [position for position, entry in enumerate(entries) if entry is Ellipsis]
    if len(entries) - len(dots) > 3 or len(dots) > 1:
        raise ArgumentError(f"a raster has three axes (bands, rows, cols); got the key {key!r}")
    if dots:
        before, after = entries[: dots[0]], entries[dots[0] + 1 :]
        entries = before + (whole,) * (3 - len(before) - len(after)) + after
    elif len(entries) < 3:
        entries = (whole, *entries) + (whole,) * (2 - len(entries))
    bands, rows, cols = entries
    return bands, rows, cols


def _picks(entry: Any, length: int, axis: str) -> Picks:
    if isinstance(entry, slice):
        try:
            taken = range(*entry.indices(length))
        except (TypeError, ValueError) as error:
            raise ArgumentError(f"{axis}s {entry}: {error}") from error
        if not taken:
            raise GridError(f"{axis}s {entry} of {length}: none would be left")
        return taken.start, taken.step, len(taken)
    try:
        position = operator.index(entry)
    except TypeError:
        position = None
    if position is None or isinstance(entry, bool):
        raise ArgumentError(f"{axis}s are picked by whole numbers and slices; got {entry!r}")
    if not -length <= position < length:
        raise GridError(f"{axis} {position} is not there; the raster has {length}")
    return position % length, 1, 1
