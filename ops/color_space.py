"""Colour space: take three bands from one well-known colour space to another.

===============  ===============================================================  =====  ==================================
space            values                                                           white  source
===============  ===============================================================  =====  ==================================
``srgb``         R', G', B' in 0..1; linear up to 0.04045 / 12.92, then 2.4       D65    IEC 61966-2-1
``linear_srgb``  R, G, B in 0..1, proportional to light                           D65    IEC 61966-2-1
``prophoto_rgb`` R', G', B' in 0..1; a pure power of 1.8                          D50    ROMM RGB, ISO 22028-2
``adobe_rgb``    R', G', B' in 0..1; a pure power of 563 / 256                    D65    Adobe RGB (1998), version 2005-05
``ciexyz``       X, Y, Z with Y = 1 for white                                     D65    CIE 15
``cielab``       L* in 0..100, a* and b* in their own units, about -128..127      D65    CIE 15
``ycrcb``        Y', Cr, Cb of ``srgb``; Y' in 0..1, Cr and Cb in 0..1 round 0.5  D65    ITU-R BT.601
===============  ===============================================================  =====  ==================================

A conversion undoes the curve of the one space, multiplies by one 3 x 3 matrix and applies the curve of the other. RGB
matrices follow from the chromaticities of primaries and white (SMPTE RP 177); between D65 (0.95047, 1, 1.08883) and D50
(0.96422, 1, 0.82521) white is adapted by Bradford's matrix, as in the ICC specification. SIPS (NGA.STND.0014) calls this
the colour space transform; its table 2.44 is met within 0.001. ROMM RGB's straight piece next to black is left out, as
that table does.

Nothing is clipped. A colour outside of the destination's gamut has values below 0 or above 1, and a curve takes a negative
value as it takes the positive one, with its sign (as in scRGB, IEC 61966-2-2), so that the way back finds the colour again;
``clip`` or ``astype`` limit what is to be shown. There and back is the same to 1e-10, except next to black, where a pure power
is so steep that rounding in the sixteenth digit of light is one in the eighth digit of the value, and where the two pieces of
sRGB meet, which miss each other by 2e-9 of light.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ..graph.block import Block
from ..graph.errors import ArgumentError, BandError, DtypeError
from ..graph.grid import Region
from ..graph.node import Meta, Node, operation, verb
from .chain import raster_step
from .color_loops import LAB, LINEAR, POWER, SRGB, convert_colors
from .common import filled, no_value

__all__ = ["color_space", "color_space_transform"]

_D65 = np.array([0.95047, 1.0, 1.08883])
_D50 = np.array([0.96422, 1.0, 0.82521])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_NO_MATRIX = np.empty((0, 4))
# Pixels that are put in a row for the loop, whatever their layout, at a time: they stay in the second-level cache.
_AT_A_TIME = 2**13


class Space(NamedTuple):
    """A colour space: coded values -> ``coding`` -> ``curve`` undone -> ``to_xyz`` -> XYZ relative to ``white``.

    Parameters
    ----------
    bands : names of its bands
    coding : (3, 4), coded values to what the curve takes, the last column added; None where they are the same
    curve, gamma : which curve, and its power where it is one
    to_xyz : (3, 3)
    white : (3,)
    """

    bands: tuple[str, str, str]
    coding: np.ndarray | None
    curve: int
    gamma: float
    to_xyz: np.ndarray
    white: np.ndarray


def _rgb_to_xyz(primaries: list[tuple[float, float]], white: np.ndarray) -> np.ndarray:
    """The matrix that sends (1, 1, 1) to ``white`` and each primary to its chromaticity (x, y)."""
    columns = np.array([[x / y, 1.0, (1.0 - x - y) / y] for x, y in primaries]).T
    return columns * np.linalg.solve(columns, white)


_RGB = ("red", "green", "blue")
_SRGB_TO_XYZ = _rgb_to_xyz([(0.64, 0.33), (0.30, 0.60), (0.15, 0.06)], _D65)
_PROPHOTO_TO_XYZ = _rgb_to_xyz([(0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)], _D50)
_ADOBE_TO_XYZ = _rgb_to_xyz([(0.64, 0.33), (0.21, 0.71), (0.15, 0.06)], _D65)

# R' = Y' + (Cr - 1/2) 2 (1 - 0.299), B' = Y' + (Cb - 1/2) 2 (1 - 0.114), and G' such that Y' is the luma of all three.
_KR, _KG, _KB = 0.299, 0.587, 0.114
_CR, _CB = 2 * (1 - _KR), 2 * (1 - _KB)
_FROM_YCRCB = np.array(
    [
        [1.0, _CR, 0.0, -_CR / 2],
        [1.0, -_CR * _KR / _KG, -_CB * _KB / _KG, (_CR * _KR + _CB * _KB) / _KG / 2],
        [1.0, 0.0, _CB, -_CB / 2],
    ]
)
# f(Y / Yn) = (L* + 16) / 116, f(X / Xn) = f(Y / Yn) + a* / 500, f(Z / Zn) = f(Y / Yn) - b* / 200.
_FROM_LAB = np.array([[1 / 116, 1 / 500, 0.0, 16 / 116], [1 / 116, 0.0, 0.0, 16 / 116], [1 / 116, 0.0, -1 / 200, 16 / 116]])

SPACES = {
    "srgb": Space(_RGB, None, SRGB, 1.0, _SRGB_TO_XYZ, _D65),
    "linear_srgb": Space(_RGB, None, LINEAR, 1.0, _SRGB_TO_XYZ, _D65),
    "prophoto_rgb": Space(_RGB, None, POWER, 1.8, _PROPHOTO_TO_XYZ, _D50),
    "adobe_rgb": Space(_RGB, None, POWER, 563 / 256, _ADOBE_TO_XYZ, _D65),
    "ciexyz": Space(("X", "Y", "Z"), None, LINEAR, 1.0, np.eye(3), _D65),
    "cielab": Space(("L", "a", "b"), _FROM_LAB, LAB, 1.0, np.diag(_D65), _D65),
    "ycrcb": Space(("Y", "Cr", "Cb"), _FROM_YCRCB, SRGB, 1.0, _SRGB_TO_XYZ, _D65),
}


@operation("color_space")
@dataclass(frozen=True, eq=False)
class ColorSpace(Node):
    """The three bands of ``source``, which are in the colour space ``given``, in the colour space ``wanted``."""

    source: Node
    given: str
    wanted: str

    is_pointwise = True
    cost = 8.0

    def _meta(self) -> Meta:
        meta = self.source.meta
        if len(meta.bands) != 3:
            raise BandError(f"a colour has 3 bands, not {len(meta.bands)}; select() them: {', '.join(meta.bands[:20])}")
        _checked_float(meta.dtype)
        _checked_space(self.given, "source")
        space = _checked_space(self.wanted, "destination")
        return meta.having(bands=space.bands, nodata=no_value(meta.dtype), masked=True, attrs={})

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        (block,) = blocks
        out = _converted(block.data, self.given, self.wanted)
        valid = None if block.valid is None else np.logical_and.reduce(block.valid, axis=0, keepdims=True)
        # One pass of adding is the cheapest look for NaN, which then is in every band that it had a part in.
        with np.errstate(all="ignore"):
            if not np.isfinite(out.sum()):
                number = ~np.isnan(out).any(axis=0, keepdims=True)
                valid = number if valid is None else number & valid
        return filled(out, valid, self.meta.fill)

    def describe(self) -> str:
        return f"{self.given} to {self.wanted}"


@lru_cache(maxsize=64)
def _steps(source: str, destination: str) -> tuple[Any, ...]:
    """What ``convert_colors`` takes between the image and the result; steps that would undo each other are left out."""
    a, b = SPACES[source], SPACES[destination]
    before = _NO_MATRIX if a.coding is None else a.coding
    after = _NO_MATRIX if b.coding is None else _inverse(b.coding)
    if a.to_xyz is not b.to_xyz:
        middle = np.linalg.solve(b.to_xyz, _adaptation(a.white, b.white) @ a.to_xyz)
        middle = np.concatenate([middle, np.zeros((3, 1))], axis=1)
    elif (a.curve, a.gamma) == (b.curve, b.gamma):
        return before, LINEAR, 1.0, _NO_MATRIX, LINEAR, 1.0, after
    else:
        middle = _NO_MATRIX
    return before, a.curve, a.gamma, middle, b.curve, b.gamma, after


def _adaptation(white: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Bradford's adaptation: XYZ seen under ``white`` to XYZ seen under ``wanted``."""
    if white is wanted:
        return np.eye(3)
    gains = (_BRADFORD @ wanted) / (_BRADFORD @ white)
    return np.linalg.solve(_BRADFORD, gains[:, None] * _BRADFORD)


def _inverse(matrix: np.ndarray) -> np.ndarray:
    """The inverse of x -> matrix[:, :3] x + matrix[:, 3], in the same form."""
    inner = np.linalg.inv(matrix[:, :3])
    return np.concatenate([inner, -(inner @ matrix[:, 3:])], axis=1)


def _converted(image: np.ndarray, source: str, destination: str) -> np.ndarray:
    if source == destination:
        return image.copy()
    before, curve, gamma, middle, new_curve, new_gamma, after = _steps(source, destination)
    out = np.empty(image.shape, image.dtype)
    work = np.dtype(np.float32 if image.dtype.itemsize <= 4 else np.float64)
    rows = max(1, _AT_A_TIME // max(1, image.shape[2]))
    for row in range(0, image.shape[1], rows):
        part = np.ascontiguousarray(image[:, row : row + rows], work)
        made = np.empty_like(part)
        flat = part.reshape(3, -1), made.reshape(3, -1)
        convert_colors(flat[0], before, curve, gamma, middle, new_curve, new_gamma, after, flat[1])
        out[:, row : row + rows] = made
    return out


def _checked_space(name: Any, what: str) -> Space:
    if not isinstance(name, str) or name not in SPACES:
        raise ArgumentError(f"the {what} is one of the colour spaces {', '.join(SPACES)}; got {name!r}")
    return SPACES[name]


def _checked_float(dtype: np.dtype) -> None:
    if dtype.kind != "f":
        raise DtypeError(
            f"colours are floats from 0 to 1, not {dtype}; divide by the maximum first (8 bits: rescale((0, 255)))"
        )


@raster_step
def color_space_transform(image: Any, source: str, destination: str) -> Any:
    """Convert an image between colour spaces.

    Parameters
    ----------
    image : (3, rows, cols) array of float32 or float64 (other floats are computed in these)
        In the source's values: 0 to 1 for RGB. A Raster is taken too, and ``color_space`` of it given back.
    source, destination : "srgb", "linear_srgb", "prophoto_rgb", "adobe_rgb", "ciexyz", "cielab" or "ycrcb"
        What the bands of each hold stands at the head of ``weft.ops.color_space``: L* of "cielab" is 0 to 100, "ycrcb" has
        its bands in that order.

    Returns
    -------
    new array of the same shape and dtype in the destination's values, computed in float64. Colours outside of its gamut are
    not clipped: they come out below 0 or above 1. NaN stays NaN.

    Raises
    ------
    BandError
        The image does not have exactly three bands.
    DtypeError
        The image is not of floats; divide integers by their maximum first.
    ArgumentError
        An unknown colour space; the message lists those there are.

    Notes
    -----
    IEC 61966-2-1 (sRGB), ISO 22028-2 (ROMM RGB), Adobe RGB (1998), CIE 15 (XYZ, L*a*b*), ITU-R BT.601 (Y'CrCb), Bradford
    adaptation as in ICC.1. Powers are within 1e-15 of exact and the same on every machine.
    """
    if isinstance(getattr(image, "node", None), Node):
        return color_space(image, source, destination)
    _checked_space(source, "source")
    _checked_space(destination, "destination")
    array = np.asarray(image)
    if array.ndim != 3 or array.shape[0] != 3:
        raise BandError(f"a colour image is (3, rows, cols); got an array of shape {array.shape}")
    _checked_float(array.dtype)
    return _converted(array, source, destination)


@verb
def color_space(raster: Node, source: str, destination: str) -> Node:
    """Convert three bands between colour spaces.

    Parameters
    ----------
    raster : Raster of 3 bands, float; RGB from 0 to 1
    source, destination : "srgb", "linear_srgb", "prophoto_rgb", "adobe_rgb", "ciexyz", "cielab" or "ycrcb"
        See ``color_space_transform``, whose numbers these are.

    Returns
    -------
    Raster of the same dtype whose bands have the names of the destination's: red, green, blue; X, Y, Z; L, a, b; Y, Cr, Cb.
    A pixel is valid where it is in all three bands and none of them is NaN. Nothing is clipped.

    Raises
    ------
    BandError
        The raster does not have exactly three bands.
    DtypeError
        The pixels are not floats; divide integers by their maximum first.
    ArgumentError
        An unknown colour space; the message lists those there are.
    """
    return ColorSpace(raster, source, destination)
