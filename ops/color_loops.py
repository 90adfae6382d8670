"""The loop over pixels that changes colour space, and a power that rounds alike on every machine.

The power is made of additions, multiplications and one division of float64, in a fixed order. The compiler can therefore
work on several pixels at once and what is left over at the end of a row still comes out as the rest does, which a library's
``pow`` does not promise; a cluster of different processors agrees to the last bit.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.extending import intrinsic

LINEAR, SRGB, POWER, LAB = range(4)

# Pixels that are worked on together: what they need stays in the first-level cache.
_STRIP = 512

_HALF_ROOT = np.float64(math.sqrt(0.5)).view(np.int64)
_LN2 = math.log(2)
# ln 2 in two parts of which the first has zeros at its end, so that a whole multiple of it is exact (Cody and Waite, 1980).
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_LOG2_E = 1 / _LN2
_EXP_MIN, _EXP_MAX = -707.0, 709.0
_TINY = 2.3e-308
# log((1 + s) / (1 - s)) = 2 s (1 + s**2 / 3 + s**4 / 5 + ...), to 1e-17 for the s that occur.
_A1, _A2, _A3, _A4, _A5, _A6, _A7, _A8, _A9, _A10 = (1 / (2 * k + 1) for k in range(1, 11))
# exp(r) = 1 + r + r**2 / 2! + ..., to 1e-17 for |r| up to half of ln 2.
_E2, _E3, _E4, _E5, _E6, _E7, _E8, _E9, _E10, _E11, _E12, _E13 = (1 / math.factorial(k) for k in range(2, 14))

_SRGB_LOW, _SRGB_SLOPE = 0.04045, 12.92
# The two pieces of sRGB miss each other by 2e-9 where they meet. Parting the linear values in the middle of that gap sends
# a value back by the piece that it came from, whatever the rounding in between.
_SRGB_LINEAR = (_SRGB_LOW / _SRGB_SLOPE + ((_SRGB_LOW + 0.055) / 1.055) ** 2.4) / 2
_DELTA = 6 / 29


@intrinsic
def _bits(typing: Any, value: Any) -> Any:
    """The 64 bits of a float64 as an integer."""
    return types.int64(types.float64), lambda _, builder, __, given: builder.bitcast(given[0], ir.IntType(64))


@intrinsic
def _of_bits(typing: Any, value: Any) -> Any:
    """The float64 that 64 bits stand for."""
    return types.float64(types.int64), lambda _, builder, __, given: builder.bitcast(given[0], ir.DoubleType())


@njit(nogil=True, cache=True, error_model="numpy")
def power(x: Any, exponent: Any) -> Any:  # pragma: no cover
    """``x ** exponent`` for x not below 0 and an exponent above 0, within 1e-15 for x up to 2; subnormal x count as 0."""
    bits = _bits(x)  # type: ignore[call-arg, var-annotated]  # numba gives the first argument
    whole = np.int32((bits - _HALF_ROOT) >> 52)
    m = _of_bits(bits - (np.int64(whole) << 52))
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    p = ((((_A10 * z + _A9) * z + _A8) * z + _A7) * z + _A6) * z + _A5
    p = ((((p * z + _A4) * z + _A3) * z + _A2) * z + _A1) * z
    y = exponent * (whole * _LN2 + (2.0 * s + 2.0 * s * p))
    t = min(max(y, _EXP_MIN), _EXP_MAX)
    k = np.floor(t * _LOG2_E + 0.5)
    r = (t - k * _LN2_HIGH) - k * _LN2_LOW
    q = (((((_E13 * r + _E12) * r + _E11) * r + _E10) * r + _E9) * r + _E8) * r + _E7
    q = ((((((q * r + _E6) * r + _E5) * r + _E4) * r + _E3) * r + _E2) * r + 1.0) * r + 1.0
    result = q * _of_bits((np.int64(np.int32(k)) + 1023) << 52)
    result = result if y < _EXP_MAX else np.inf
    result = result if x >= _TINY and y > _EXP_MIN else 0.0
    return result if x < np.inf else x


@njit(nogil=True, cache=True, error_model="numpy")
def _to_linear(row: Any, count: Any, curve: Any, gamma: Any) -> None:  # pragma: no cover
    """Undo a curve, in place; negative values as the positive ones, with their sign."""
    if curve == SRGB:
        for i in range(count):
            v = abs(row[i])
            v = v / _SRGB_SLOPE if v <= _SRGB_LOW else power((v + 0.055) / 1.055, 2.4)
            row[i] = math.copysign(v, row[i])
    elif curve == POWER:
        for i in range(count):
            row[i] = math.copysign(power(abs(row[i]), gamma), row[i])
    elif curve == LAB:
        for i in range(count):
            v = row[i]
            row[i] = v * v * v if v > _DELTA else 3.0 * _DELTA * _DELTA * (v - 4.0 / 29.0)


@njit(nogil=True, cache=True, error_model="numpy")
def _from_linear(row: Any, count: Any, curve: Any, gamma: Any) -> None:  # pragma: no cover
    """Apply a curve, in place."""
    if curve == SRGB:
        for i in range(count):
            v = abs(row[i])
            v = v * _SRGB_SLOPE if v <= _SRGB_LINEAR else 1.055 * power(v, 1.0 / 2.4) - 0.055
            row[i] = math.copysign(v, row[i])
    elif curve == POWER:
        for i in range(count):
            row[i] = math.copysign(power(abs(row[i]), 1.0 / gamma), row[i])
    elif curve == LAB:
        for i in range(count):
            v = row[i]
            root = power(abs(v), 1.0 / 3.0)
            row[i] = root if v > _DELTA * _DELTA * _DELTA else v / (3.0 * _DELTA * _DELTA) + 4.0 / 29.0


@njit(nogil=True, cache=True, error_model="numpy")
def _mixed(source: Any, target: Any, count: Any, matrix: Any) -> None:  # pragma: no cover
    """``target`` = ``matrix``, (3, 4), of ``source``; its last column is added."""
    x, y, z = source[0], source[1], source[2]
    for band in range(3):
        row = target[band]
        a, b, c, d = matrix[band, 0], matrix[band, 1], matrix[band, 2], matrix[band, 3]
        for i in range(count):
            row[i] = a * x[i] + b * y[i] + c * z[i] + d


@njit(nogil=True, cache=True, error_model="numpy")
def convert_colors(
    image: Any, before: Any, curve: Any, gamma: Any, middle: Any, new_curve: Any, new_gamma: Any, after: Any, out: Any
) -> None:  # pragma: no cover
    """``out`` = after(new_curve(middle(curve(before(image))))), float64 in between.

    ``image`` and ``out`` are (3, pixels), C order, float32 or float64. ``before``, ``middle`` and ``after`` are (3, 4); one
    with no rows is left out. ``curve`` is undone with ``gamma``, ``new_curve`` applied with ``new_gamma``.
    """
    pixels = image.shape[1]
    here, there = np.empty((3, _STRIP)), np.empty((3, _STRIP))
    for start in range(0, pixels, _STRIP):
        count = min(_STRIP, pixels - start)
        for band in range(3):
            given, row = image[band], here[band]
            for i in range(count):
                row[i] = given[start + i]
        if len(before):
            _mixed(here, there, count, before)
            here, there = there, here
        for band in range(3):
            _to_linear(here[band], count, curve, gamma)
        if len(middle):
            _mixed(here, there, count, middle)
            here, there = there, here
        for band in range(3):
            _from_linear(here[band], count, new_curve, new_gamma)
        if len(after):
            _mixed(here, there, count, after)
            here, there = there, here
        for band in range(3):
            made, row = out[band], here[band]
            for i in range(count):
                made[start + i] = row[i]
