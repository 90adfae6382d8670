"""The verbs of ``Raster`` that say which pixels, and where: picking, padding, resampling."""

from __future__ import annotations

from typing import Any, Literal, Self

from .graph.grid import Bounds
from .holder import NodeHolder
from .ops.affine import affine
from .ops.crop import crop, index
from .ops.halve import halve
from .ops.overview import overview
from .ops.pad import pad
from .ops.resize import resize
from .ops.scale import scale
from .ops.select import select
from .ops.sips_reduce import sips_reduce
from .ops.warp import warp

Resampling = Literal["nearest", "bilinear", "cubic", "lanczos", "average", "mode", "min", "max", "median"]
Halving = Literal["nearest", "average", "min", "max", "median", "mode", "bilinear", "cubic", "lanczos"]


class Geometry(NodeHolder):
    """Lazy verbs that pick, move and resample pixels."""

    __slots__ = ()

    def __getitem__(self, key: Any) -> Self:
        """Pick pixels the way numpy does: ``r[rows, cols]`` or ``r[bands, rows, cols]``.

        Parameters
        ----------
        key : ``rows``, ``(rows, cols)``, ``(bands, rows, cols)``, any of them with ``...``, or band names alone
            Rows and columns are ints or slices, negative steps too. Bands are ints, slices, names or lists of them. An int
            keeps its axis, with length 1: a raster always has three axes.

        Returns
        -------
        Raster on the grid of the picked pixels; dtype, nodata and values stay.

        Raises
        ------
        GridError
            No row or column would be left, or an int lies outside.
        BandError
            No such band, or none would be left.
        ArgumentError
            The key is of another kind, or has too many entries.
        """
        return index(self, key)

    def crop(
        self,
        bounds: Bounds | None = None,
        crs: Any = None,
        *,
        window: tuple[int, int, int, int] | None = None,
    ) -> Self:
        """Keep the pixels that ``bounds`` touches, or those of ``window``.

        Parameters
        ----------
        bounds : (left, bottom, right, top) in the units of ``crs``
            Snapped outwards to whole pixels and clipped to the raster.
        crs : anything pyproj takes, optional
            Of the bounds; the raster's own when left out.
        window : (row0, row1, col0, col1), instead of ``bounds``
            Half-open, in pixels; must lie inside the raster.

        Returns
        -------
        Raster of the same bands and dtype; moves no pixel, so values are untouched.

        Raises
        ------
        GridError
            Nothing would be left, or the window leaves the raster.
        CRSError
            ``crs`` is unknown, or the raster has none.
        ArgumentError
            Both or neither of ``bounds`` and ``window`` are given.
        """
        return crop(self, bounds, crs, window=window)

    def pad(self, width: Any, *, value: complex | None = None) -> Self:
        """Grow the raster on its four sides.

        Parameters
        ----------
        width : int, (rows, cols), (top, bottom, left, right) or ((top, bottom), (left, right))
            Pixels to add on each side.
        value : number, optional
            What the new pixels hold. Left out, they are invalid and hold nodata (else NaN for floats, else 0).

        Returns
        -------
        Raster of the same bands and dtype, its corner moved.

        Raises
        ------
        ArgumentError
            A width is negative or not whole, or the dtype cannot hold the value.
        """
        return pad(self, width, value=value)

    def select(self, bands: Any) -> Self:
        """Keep some bands, in the order given; the source reads only these.

        Parameters
        ----------
        bands : str, int, slice, sequence of str and int, or mapping {new name: band}
            Names or 0-based positions, negative ones counted from the end. A mapping also renames.

        Raises
        ------
        BandError
            A band is not there, or none is chosen; the message lists those that are.
        """
        return select(self, bands)

    def warp(
        self,
        crs: Any = None,
        *,
        like: Any = None,
        resolution: float | tuple[float, float] | None = None,
        shape: tuple[int, int] | None = None,
        bounds: Bounds | None = None,
        resampling: Resampling = "bilinear",
        antialias: bool = True,
        tolerance: float = 0.05,
    ) -> Self:
        """Put the image on the pixels of another grid, in its own or another CRS.

        Parameters
        ----------
        crs : anything pyproj takes
            The target CRS; or give ``like``.
        like : Grid, Raster, GeoBox or DataArray
            Its grid, pixel for pixel, instead of all other grid arguments.
        resolution : number or (x, y), in units of the target CRS, optional
            Left out, it keeps the number of pixels along the diagonal about the same.
        shape : (rows, cols), instead of ``resolution``
        bounds : (left, bottom, right, top) in the target CRS, optional
            Left out, the raster's own extent in that CRS.
        resampling : "nearest", "bilinear", "cubic", "lanczos", "average", "mode", "min", "max" or "median"
            "nearest" takes the pixel under the sample; the next three weigh 2 x 2, 4 x 4 and 6 x 6 pixels; the others look at
            the area of the source beneath an output pixel. Invalid and outside pixels are left out and the weights
            renormalized; a pixel with less than half of its weight valid is invalid.
        antialias : bool
            Widen the kernel of "bilinear", "cubic" and "lanczos" where pixels get coarser, so that no detail aliases.
        tolerance : float, source pixels
            How wrong a coordinate may be. Smaller is slower; it does not matter within one CRS.

        Returns
        -------
        Raster of the same bands and dtype on the new grid; integers are rounded half up and saturate.

        Raises
        ------
        CRSError
            The raster has no CRS and one is wanted (or the other way round), or there is no way between the two.
        GridError
            No part of the image has a place in the target CRS, or the target has absurdly many pixels.
        ArgumentError
            Not exactly one of ``crs`` and ``like`` is given, or the options contradict each other or make no sense.
        DtypeError
            Complex pixels have no mode, min, max or median.
        """
        return warp(
            self,
            crs,
            like=like,
            resolution=resolution,
            shape=shape,
            bounds=bounds,
            resampling=resampling,
            antialias=antialias,
            tolerance=tolerance,
        )

    def affine(
        self,
        matrix: Any,
        *,
        shape: tuple[int, int] | Literal["auto", "keep"] = "auto",
        resampling: Resampling = "bilinear",
        antialias: bool = True,
    ) -> Self:
        """Move pixels by a matrix from old to new pixel coordinates; the CRS stays and the transform follows.

        Parameters
        ----------
        matrix : Affine, its six numbers, or a 3 x 3 array
            Maps (col, row) pixel-corner coordinates of this raster to those of the result.
        shape : (rows, cols), "keep" for this raster's own, or "auto"
            Of the canvas from (0, 0) on; "auto" reaches to the last moved pixel.
        resampling, antialias
            As in ``warp``.

        Returns
        -------
        Raster of the same bands and dtype; what no pixel reaches is invalid.

        Raises
        ------
        GridError
            The matrix cannot be inverted, or the shape is impossible.
        """
        return affine(self, matrix, shape=shape, resampling=resampling, antialias=antialias)

    def scale(
        self, factor: float | tuple[float, float], *, resampling: Resampling = "bilinear", antialias: bool = True
    ) -> Self:
        """Change the number of pixels by a factor; the ground covered stays.

        Parameters
        ----------
        factor : number or (rows, cols)
            0.5 halves the number of pixels along an axis. The shape is rounded, and each axis keeps its exact ratio.
        resampling, antialias
            As in ``warp``.

        Raises
        ------
        ArgumentError
            A factor is not above 0 and finite.
        """
        return scale(self, factor, resampling=resampling, antialias=antialias)

    def resize(self, shape: tuple[int, int], *, resampling: Resampling = "bilinear", antialias: bool = True) -> Self:
        """The same ground in ``shape`` (rows, cols) pixels.

        Parameters
        ----------
        shape : (rows, cols)
        resampling, antialias
            As in ``warp``.

        Raises
        ------
        GridError
            The shape is not two whole numbers above 0.
        """
        return resize(self, shape, resampling=resampling, antialias=antialias)

    def halve(self, method: Halving = "average") -> Self:
        """Half the pixels along both axes: one step of a pyramid.

        Parameters
        ----------
        method : "nearest", "average", "min", "max", "median", "mode", "bilinear", "cubic" or "lanczos"
            Of the 2 x 2 pixels beneath each output pixel; the last three weigh 4 x 4, 8 x 8 and 12 x 12 pixels.

        Returns
        -------
        Raster of the same bands and dtype; (n + 1) // 2 pixels along an axis of n, exactly twice as large on the ground.

        Raises
        ------
        ArgumentError
            There is no such method.
        DtypeError
            The pixels are complex and the method is one that compares them.
        """
        return halve(self, method)

    def sips_reduce(self, levels: int = 1, *, bit_depth: int | None = None) -> Self:
        """Halve the number of pixels by the SIPS method for reduced resolution data sets, ``levels`` times.

        Parameters
        ----------
        levels : int
            0 is the raster itself.
        bit_depth : int, optional
            Significant bits of a pixel, to which the steps of the method are clipped; floats are rounded then too. Left out,
            integers are clipped to what their dtype holds and floats neither rounded nor clipped.

        Returns
        -------
        Raster of the same bands and dtype; per level (n + 1) // 2 pixels along an axis of n, exactly twice as large each.

        Raises
        ------
        ArgumentError
            ``levels`` is no whole number from 0 on, or the dtype has no room for ``bit_depth``.
        DtypeError
            The pixels are bool, complex, or integers of 64 bits.
        """
        return sips_reduce(self, levels, bit_depth=bit_depth)

    def overview(self, level: int) -> Self:
        """One of the reduced images that the file itself holds, on its own, coarser grid.

        Parameters
        ----------
        level : int
            0 is the full image, 1 its first overview, and so on; -1 is the last.

        Raises
        ------
        ArgumentError
            The file has no such level; the message says which there are.
        """
        return overview(self, level)
