"""SIPS filters: the kernels and coefficients of NGA.STND.0014, and convolution and correlation as it defines them.

The standard is "Softcopy Image Processing Standard" 2.4 (2019). Numbers of its tables are as printed. Its edge rule, "Mirror
Edge - Odd", continues an image beyond its border by its mirror image without repeating the border's own pixels; an axis of one
pixel repeats that.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..graph.errors import ArgumentError, DtypeError
from .sips_loops import correlated, mirrored

__all__ = [
    "SIPS_ANTIALIAS_KERNEL_7x7",
    "build_lagrange_kernel_2d",
    "compute_compromise_coefficients",
    "compute_lagrange_coefficients",
    "sips_convolve",
    "sips_correlate",
]

_A, _B, _C, _D, _E, _F = 0.00694389, -0.0277764, -0.041665, 0.111109, 0.166665, 0.25

#: The anti-alias kernel of Table 2.2, (7, 7) float64, read-only. It is the same under every turn and flip, its second and sixth
#: rows and columns are 0, and its sum is 1.00000036.
SIPS_ANTIALIAS_KERNEL_7x7 = np.array(
    [
        [_A, 0, _B, _C, _B, 0, _A],
        [0, 0, 0, 0, 0, 0, 0],
        [_B, 0, _D, _E, _D, 0, _B],
        [_C, 0, _E, _F, _E, 0, _C],
        [_B, 0, _D, _E, _D, 0, _B],
        [0, 0, 0, 0, 0, 0, 0],
        [_A, 0, _B, _C, _B, 0, _A],
    ]
)
SIPS_ANTIALIAS_KERNEL_7x7.flags.writeable = False

# Table 2.8 up to a spacing of 32/64; from there on row 64 - i is row i read backwards.
_COMPROMISE = (
    (0.087, 0.731, 0.277, -0.095),
    (0.081688, 0.7285, 0.282313, -0.0925),
    (0.076375, 0.726, 0.287625, -0.09),
    (0.071063, 0.7235, 0.292938, -0.0875),
    (0.06575, 0.721, 0.29825, -0.085),
    (0.060438, 0.7185, 0.303563, -0.0825),
    (0.055125, 0.716, 0.308875, -0.08),
    (0.049813, 0.7135, 0.314188, -0.0775),
    (0.0445, 0.711, 0.3195, -0.075),
    (0.039188, 0.7085, 0.324813, -0.0725),
    (0.033875, 0.706, 0.330125, -0.07),
    (0.028563, 0.7035, 0.335438, -0.0675),
    (0.02325, 0.701, 0.34075, -0.065),
    (0.017938, 0.6985, 0.346063, -0.0625),
    (0.012625, 0.696, 0.351375, -0.06),
    (0.007312, 0.6935, 0.356688, -0.0575),
    (0.002, 0.691, 0.362, -0.055),
    (-0.00331, 0.6885, 0.367313, -0.0525),
    (-0.00863, 0.686, 0.372625, -0.05),
    (-0.01394, 0.6835, 0.377938, -0.0475),
    (-0.01925, 0.681, 0.38325, -0.045),
    (-0.02456, 0.6785, 0.388563, -0.0425),
    (-0.02988, 0.676, 0.393875, -0.04),
    (-0.03519, 0.6735, 0.399188, -0.0375),
    (-0.0405, 0.671, 0.4045, -0.035),
    (-0.04581, 0.6685, 0.409813, -0.0325),
    (-0.05113, 0.666, 0.415125, -0.03),
    (-0.05644, 0.6635, 0.420438, -0.0275),
    (-0.06175, 0.661, 0.42575, -0.025),
    (-0.06706, 0.6585, 0.431063, -0.0225),
    (-0.07238, 0.656, 0.436375, -0.02),
    (-0.07769, 0.6535, 0.441688, -0.0175),
    (-0.01625, 0.444344, 0.65225, -0.08034),
)


def compute_lagrange_coefficients(spacing: float) -> np.ndarray:
    """Weights of four neighbouring samples for the value between the second and the third (equations 2.3 to 2.6).

    Parameters
    ----------
    spacing : float, samples, 0 <= spacing < 1
        How far past the second sample the value is wanted.

    Returns
    -------
    (4,) float64
        Their sum is 1. At 0 they are 0, 1, 0, 0; Table 2.7 lists them in steps of 1/32, rounded.

    Raises
    ------
    ArgumentError
        ``spacing`` is no number from 0 to below 1.
    """
    d = _spacing(spacing)
    return np.array(
        [
            -d * (d - 1) * (d - 2) / 6,
            (d + 1) * (d - 1) * (d - 2) / 2,
            -d * (d + 1) * (d - 2) / 2,
            d * (d + 1) * (d - 1) / 6,
        ]
    )


def compute_compromise_coefficients(spacing: float) -> np.ndarray:
    """Weights of four neighbouring samples that ring less beside sharp edges than LaGrange's: Table 2.8 as printed.

    Parameters
    ----------
    spacing : float, samples, 0 <= spacing < 1
        How far past the second sample the value is wanted; the row of the table is ``int(64 * spacing)``.

    Returns
    -------
    (4,) float64
        Their sum is 1 within 5e-6. Row 0 still smooths, and the rows do not run on evenly at 32/64: so says the table.

    Raises
    ------
    ArgumentError
        ``spacing`` is no number from 0 to below 1.
    """
    row = int(_spacing(spacing) * 64)
    return np.array(_COMPROMISE[row] if row < len(_COMPROMISE) else _COMPROMISE[64 - row][::-1])


def build_lagrange_kernel_2d(row_spacing: float, col_spacing: float) -> np.ndarray:
    """The LaGrange weights of 4 x 4 pixels, for ``sips_correlate``.

    Parameters
    ----------
    row_spacing, col_spacing : float, pixels, 0 <= spacing < 1
        How far below and right of the second pixel's centre the value is wanted.

    Returns
    -------
    (4, 4) float64
        The outer product of the coefficients along rows and columns; at (0.5, 0.5) Table 2.3.

    Raises
    ------
    ArgumentError
        A spacing is no number from 0 to below 1.
    """
    return np.outer(compute_lagrange_coefficients(row_spacing), compute_lagrange_coefficients(col_spacing))


def sips_convolve(image: Any, kernel: Any) -> np.ndarray:
    """Convolve with the standard's edge rule: the kernel is flipped on both axes.

    Parameters
    ----------
    image : (rows, cols) or (bands, rows, cols), integer up to 32 bits or float
        Never written into.
    kernel : (m, n) numbers
        Its element (m // 2, n // 2) lies on the pixel that is computed.

    Returns
    -------
    ndarray
        Of the image's shape and dtype. Sums are float64; integers are rounded half up and saturate. NaN and infinities reach
        every pixel that weighs them, but none whose weight for them is 0.

    Raises
    ------
    ArgumentError
        The image has other than two or three axes or no pixels; the kernel has other than two axes, no elements, or some that
        are not finite.
    DtypeError
        The pixels are bool, complex, or integers of 64 bits.
    """
    return _correlated(image, checked_kernel(kernel)[::-1, ::-1])


def sips_correlate(image: Any, kernel: Any) -> np.ndarray:
    """Correlate with the standard's edge rule: the kernel lies on the image as it stands.

    Parameters
    ----------
    image : (rows, cols) or (bands, rows, cols), integer up to 32 bits or float
        Never written into.
    kernel : (m, n) numbers
        Its element ((m - 1) // 2, (n - 1) // 2) lies on the pixel that is computed, so that a value between pixels, which 4 x 4
        LaGrange weights give, is that after the pixel.

    Returns
    -------
    ndarray
        As of ``sips_convolve``.

    Raises
    ------
    ArgumentError, DtypeError
        As ``sips_convolve``.
    """
    return _correlated(image, checked_kernel(kernel))


def checked_image(image: Any, what: str) -> tuple[np.ndarray, np.ndarray]:
    """``image`` as an array, and its pixels (bands, rows, cols) in a type that the loops take.

    Raises
    ------
    ArgumentError, DtypeError
        As ``sips_convolve``.
    """
    array = np.asarray(image)
    if array.ndim not in (2, 3):
        raise ArgumentError(f"{what} takes an image of (rows, cols) or (bands, rows, cols); got {array.ndim} axes")
    if array.size == 0:
        raise ArgumentError(f"{what}: an image of shape {array.shape} has no pixels")
    check_dtype(array.dtype, what)
    return array, as_taken(array if array.ndim == 3 else array[None])


def check_dtype(dtype: np.dtype, what: str) -> None:
    """Raise DtypeError unless sums of such pixels are exact enough in float64."""
    if dtype.kind not in "iuf" or dtype.itemsize > (8 if dtype.kind == "f" else 4):
        mend = "take abs() of them first" if dtype.kind == "c" else "change the type first, with astype()"
        raise DtypeError(f"{what} works on integers of up to 32 and floats of up to 64 bits, not {dtype}; {mend}")


def as_taken(data: np.ndarray) -> np.ndarray:
    """``data`` in the machine's byte order, half floats as single ones; no copy where there is nothing to change."""
    dtype = np.dtype(np.float32) if data.dtype == np.float16 else data.dtype.newbyteorder("=")
    return data.astype(dtype, copy=False)


def dtype_limits(dtype: np.dtype) -> tuple[float, float] | None:
    """The least and the greatest integer of a dtype; None for floats."""
    return None if dtype.kind == "f" else (float(np.iinfo(dtype).min), float(np.iinfo(dtype).max))


def fits_int32(dtype: np.dtype) -> bool:
    """Whether every value of an integer type is an int32."""
    return dtype.kind in "iu" and np.can_cast(dtype, np.int32)


def _spacing(spacing: Any) -> float:
    try:
        value = float(spacing)
    except (TypeError, ValueError):
        value = math.nan
    if not 0 <= value < 1:
        raise ArgumentError(f"a spacing is a part of a sample, from 0 to below 1; got {spacing!r}")
    return value


def checked_kernel(kernel: Any) -> np.ndarray:
    try:
        weights = np.asarray(kernel, np.float64)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"a kernel is a table of numbers: {error}") from error
    if weights.ndim != 2 or weights.size == 0 or not np.isfinite(weights).all():
        raise ArgumentError(f"a kernel has two axes and finite numbers; got shape {weights.shape}: {kernel!r:.100}")
    return weights


def _correlated(image: Any, kernel: np.ndarray) -> np.ndarray:
    array, planes = checked_image(image, "a SIPS filter")
    around = []
    for size, taps in zip(planes.shape[1:], kernel.shape, strict=True):
        before = (taps - 1) // 2
        around.append(np.array([mirrored(k - before, size) for k in range(size + taps - 1)]))
    padded = planes[:, around[0][:, None], around[1]]
    out, limits = np.empty(planes.shape, planes.dtype), dtype_limits(planes.dtype)
    low, high = limits or (-math.inf, math.inf)
    correlated(padded, np.ascontiguousarray(kernel), limits is not None, low, high, fits_int32(out.dtype), out)
    return out.astype(array.dtype, copy=False).reshape(array.shape)
