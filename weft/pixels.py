"""The verbs of ``Raster`` that change values or validity, pixel by pixel or by a small neighbourhood."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Self

import numpy.typing as npt

from .graph.node import HasNode
from .holder import NodeHolder
from .ops.astype import astype
from .ops.clip import clip
from .ops.color_space import color_space
from .ops.correlate import convolve, correlate
from .ops.display import display
from .ops.dra import dra
from .ops.fillna import fillna
from .ops.lut import lut
from .ops.map import map as map_blocks
from .ops.mask import mask
from .ops.rescale import rescale
from .ops.stretch import stretch
from .ops.where import where

Range = tuple[float, float]
Ranges = Range | Sequence[Range]


class Pixels(NodeHolder):
    """Lazy verbs that compute values."""

    __slots__ = ()

    def astype(self, dtype: npt.DTypeLike, *, casting: Literal["saturate", "wrap", "safe"] = "saturate") -> Self:
        """Change the data type.

        Parameters
        ----------
        dtype : bool, integer, float or complex numpy dtype
        casting : "saturate", "wrap" or "safe"
            "saturate" rounds floats half to even and clips to the range of an integer dtype, NaN becoming invalid; "wrap"
            is numpy's own ``astype``; "safe" refuses a dtype that cannot hold every value.

        Returns
        -------
        Raster of the dtype. The nodata value stays if the dtype can hold it, else it is NaN for floats and None for integers.

        Raises
        ------
        ArgumentError
            Not a dtype that pixels can have, or an unknown casting.
        DtypeError
            The cast would drop an imaginary part, or is not safe where that was asked for.
        """
        return astype(self, dtype, casting=casting)

    def rescale(self, in_range: Ranges, out_range: Ranges = (0.0, 1.0), dtype: npt.DTypeLike | None = None) -> Self:
        """Map values linearly from one range to another, values outside clipped to the ends.

        Parameters
        ----------
        in_range, out_range : (lo, hi), or a sequence of one such pair per band
            In the raster's and in the result's values. ``lo`` above ``hi`` turns the scale round.
        dtype : integer or float numpy dtype, optional
            Of the result; float32 when left out, float64 for float64 input. Integers are rounded half to even.

        Returns
        -------
        Raster whose nodata value is NaN for floats and None for integers, whose invalid pixels hold 0.

        Raises
        ------
        ArgumentError
            A range is empty or not finite, or ``out_range`` does not fit ``dtype``.
        BandError
            A number of pairs that is neither 1 nor the number of bands.
        DtypeError
            Complex pixels, or a ``dtype`` that is neither integer nor float.
        """
        return rescale(self, in_range, out_range, dtype)

    def clip(self, lo: float | None = None, hi: float | None = None) -> Self:
        """Limit values to ``lo`` .. ``hi``; either may be left out. The dtype stays, and so does NaN.

        Raises
        ------
        ArgumentError
            ``lo`` is above ``hi``, both are left out, one is NaN, or no value of the dtype lies between them.
        DtypeError
            Bool or complex pixels.
        """
        return clip(self, lo, hi)

    def lut(self, table: npt.ArrayLike, *, first: int = 0) -> Self:
        """Replace each value by the entry of a table.

        Parameters
        ----------
        table : array-like, (entries,) for all bands or (bands, entries)
            The result takes its dtype. Values beyond either end take the entry at that end. NaN makes pixels invalid.
        first : int
            The value that entry 0 stands for; negative for signed data.

        Raises
        ------
        DtypeError
            The raster is neither integer nor bool.
        ArgumentError
            The table is empty, is not of numbers, or has a wrong number of rows.
        """
        return lut(self, table, first=first)

    def correlate(self, kernel: npt.ArrayLike) -> Self:
        """Replace each pixel by a weighted sum of the pixels around it; the kernel lies on the image as it stands.

        Parameters
        ----------
        kernel : (m, n) numbers
            Its element ((m - 1) // 2, (n - 1) // 2) lies on the pixel that is computed. Beyond the border the image goes on as
            its mirror image without repeating the border's pixels (NGA.STND.0014).

        Returns
        -------
        Raster of the same dtype; integers are rounded half up and saturate. Invalid pixels take no part.

        Raises
        ------
        ArgumentError
            The kernel has other than two axes, no elements, or some that are not finite.
        DtypeError
            The pixels are bool, complex, or integers of 64 bits.
        """
        return correlate(self, kernel)

    def convolve(self, kernel: npt.ArrayLike) -> Self:
        """Correlate with the kernel turned by 180 degrees, its element (m // 2, n // 2) on the pixel that is computed.

        Raises
        ------
        ArgumentError, DtypeError
            As ``correlate``.
        """
        return convolve(self, kernel)

    def map(
        self,
        func: Callable[..., Any],
        dtype: npt.DTypeLike | None = None,
        halo: int | tuple[int, int] = 0,
        *,
        bands: Sequence[str] | None = None,
        valid: bool = False,
    ) -> Self:
        """Apply a function to blocks of pixels.

        Parameters
        ----------
        func : callable
            Gets a read-only array (bands, rows + 2 * halo, cols + 2 * halo) and returns a new one, with or without the
            halo. It must give the same answer for a pixel whatever the block, and be picklable to run on a cluster.
        dtype : numpy dtype, optional
            Of what ``func`` returns; the raster's when left out.
        halo : int or (rows, cols)
            Neighbouring pixels on each side of the block; mirrored beyond the image's border.
        bands : names of the result's bands, optional
            As many as ``func`` returns; the raster's when left out.
        valid : bool
            Give ``func`` (data, valid) and take (data, valid) from it. Otherwise a pixel is invalid in every band if any
            band of it, or of its neighbours within the halo, is.

        Raises
        ------
        ArgumentError
            ``func`` is not callable, ``halo`` is negative, or names repeat; while computing, a result of a wrong shape.
        DtypeError
            While computing, a result of another dtype than announced.
        """
        return map_blocks(self, func, dtype, halo, bands=bands, valid=valid)

    def where(self, cond: HasNode, other: Any = None) -> Self:
        """Keep pixels where ``cond`` holds; take ``other`` elsewhere.

        Parameters
        ----------
        cond : Raster of dtype bool on the same pixels, with as many bands or one
            Where it is invalid, the result is invalid.
        other : number, or Raster on the same pixels with as many bands or one, optional
            Left out, the pixels become invalid.

        Returns
        -------
        Raster of the same bands; dtype as numpy promotes the two, Python numbers being weak.

        Raises
        ------
        GridError
            Rasters lie on different pixels.
        DtypeError
            ``cond`` is not bool.
        BandError
            Numbers of bands that do not fit.
        ArgumentError
            ``other`` is neither a raster nor a number that the dtype can hold.
        """
        return where(self, cond, other)

    def fillna(self, value: float | Sequence[float]) -> Self:
        """Give invalid pixels, and NaN, a value and make them valid; there is no nodata value afterwards.

        Parameters
        ----------
        value : number that the dtype can hold, or a sequence of one per band

        Raises
        ------
        ArgumentError
            The dtype cannot hold the value, or it is NaN.
        BandError
            A number of values that is neither 1 nor the number of bands.
        """
        return fillna(self, value)

    def mask(self, valid: Any) -> Self:
        """Make pixels invalid where ``valid`` is False, on top of those that are already.

        Parameters
        ----------
        valid : Raster on the same pixels, or bool array (rows, cols) or (bands, rows, cols)
            With as many bands as the raster, or one for all. Of a raster, bool or integer, nonzero keeps a pixel and an
            invalid pixel makes one invalid.

        Raises
        ------
        GridError
            The grids differ, or the array has another shape.
        BandError
            Numbers of bands that do not fit.
        DtypeError
            The raster is neither bool nor integer, or the array is not bool.
        """
        return mask(self, valid)

    def dra(
        self,
        *,
        dtype: npt.DTypeLike = "uint8",
        min_percentage: float = 0.02,
        max_percentage: float = 0.98,
        a: float = 0.2,
        b: float = 0.4,
        mode: Literal["dra", "minmax"] = "dra",
        approximate: bool = True,
    ) -> Self:
        """Dynamic range adjustment of each band, for display.

        Parameters
        ----------
        dtype : an integer type of at most 32 bits (0 to its maximum), or float32, float64 (0 to 1)
        min_percentage, max_percentage : shares of the counts, 0 to 1
            Emin and Emax are the values at which the histogram reaches them.
        a, b : how far the range shown reaches below Emin and above Emax, as shares of Emax - Emin
        mode : "dra", or "minmax" to show the whole range that occurs
        approximate : bool
            Take the histogram from the cheapest overview with at least ten million pixels where the image is larger and has
            one. False reads every pixel.

        Returns
        -------
        Raster of ``dtype`` without nodata value; invalid pixels stay invalid. Source of the method: ``weft.ops.dra``.

        Raises
        ------
        ArgumentError
            The mode is unknown, or the percentages are not increasing within 0 and 1.
        DtypeError
            The pixels are complex, or ``dtype`` is not one of those above.
        """
        return dra(
            self,
            dtype=dtype,
            min_percentage=min_percentage,
            max_percentage=max_percentage,
            a=a,
            b=b,
            mode=mode,
            approximate=approximate,
        )

    def display(
        self,
        *,
        bands: Any = None,
        mode: Literal["dra", "minmax"] = "dra",
        dtype: npt.DTypeLike = "uint8",
        approximate: bool = True,
    ) -> Self:
        """What a screen shows of the image: three bands for red, green and blue, or one for grey.

        8-bit grey, RGB and palettes stay as they are; all else goes through ``dra``.

        Parameters
        ----------
        bands : names or 0-based positions of one or three bands, optional
            Left out: those named red, green and blue; else those that the file's metadata say (NITF IREPBAND, photometric
            interpretation, colour interpretation, wavelengths, ISUBCAT); else the first three; of less than three, the first.
        mode : "dra", or "minmax" to show the whole range that occurs
        dtype : an integer type of at most 32 bits (0 to its maximum), or float32, float64 (0 to 1)
        approximate : bool
            As in ``dra``.

        Returns
        -------
        Raster of ``dtype``; invalid pixels stay invalid.

        Raises
        ------
        BandError
            A band is not there, or other than one or three are wanted.
        ArgumentError
            The mode is unknown.
        DtypeError
            The pixels are complex, or ``dtype`` is not one of those above.
        """
        return display(self, bands=bands, mode=mode, dtype=dtype, approximate=approximate)

    def color_space(self, source: str, destination: str) -> Self:
        """Convert three bands between colour spaces.

        Parameters
        ----------
        source, destination : "srgb", "linear_srgb", "prophoto_rgb", "adobe_rgb", "ciexyz", "cielab" or "ycrcb"
            Values of RGB are 0 to 1, others as ``weft.ops.color_space_transform`` says.

        Returns
        -------
        Raster of the same float dtype whose bands are named after the destination: red, green, blue; X, Y, Z; L, a, b;
        Y, Cr, Cb. A pixel is valid where it is in all three bands. Nothing is clipped.

        Raises
        ------
        BandError
            The raster does not have exactly three bands.
        DtypeError
            The pixels are not floats; divide integers by their maximum first.
        ArgumentError
            An unknown colour space.
        """
        return color_space(self, source, destination)

    def stretch(
        self,
        percent: Range = (2, 98),
        *,
        dtype: npt.DTypeLike = "uint8",
        per_band: bool = True,
        approximate: bool = True,
    ) -> Self:
        """Map the range between two percentiles onto the whole range of ``dtype``, clipping what lies beyond.

        Parameters
        ----------
        percent : (lo, hi), 0 to 100, of the valid pixels
        dtype : an integer type of at most 32 bits, or float32, float64 (0 to 1)
        per_band : bool
            False uses one range for all bands, which keeps colours true to each other.
        approximate : bool
            As in ``dra``.

        Returns
        -------
        Raster of ``dtype`` without nodata value; invalid pixels stay invalid.

        Raises
        ------
        ArgumentError
            ``percent`` is not two increasing numbers within 0 and 100.
        DtypeError
            The pixels are complex, or ``dtype`` is not one of those above.
        """
        return stretch(self, percent, dtype=dtype, per_band=per_band, approximate=approximate)
