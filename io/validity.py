"""Which pixels are valid: the nodata value and NaN, judged from the data itself."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..graph.block import Block, both_valid
from ..graph.errors import ArgumentError

Nodata = int | float | complex | None


def nodata_of(dtype: np.dtype, nodata: Any) -> Nodata:
    """``nodata`` as a Python number that ``dtype`` can hold, or None where no pixel can ever be equal to it."""
    if nodata is None:
        return None
    if dtype.kind in "bui":
        low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        if isinstance(nodata, (complex, np.complexfloating)) or not math.isfinite(nodata) or int(nodata) != nodata:
            return None
        return int(nodata) if low <= int(nodata) <= high else None
    if dtype.kind == "c":
        return complex(nodata)
    if isinstance(nodata, (complex, np.complexfloating)):
        return None
    with np.errstate(over="ignore"):
        held = float(dtype.type(nodata))
    return None if math.isinf(held) and not math.isinf(float(nodata)) else held


def given_nodata(dtype: np.dtype, nodata: Any) -> Nodata:
    """A nodata value that a user gave for pixels of ``dtype``.

    Raises
    ------
    ArgumentError
        It is no number, or the dtype cannot hold it.
    """
    if nodata is None:
        return None
    if isinstance(nodata, (str, bytes)) or np.ndim(nodata) != 0:
        raise ArgumentError(f"nodata is one number; got {nodata!r}")
    held = nodata_of(dtype, nodata)
    if held is None:
        raise ArgumentError(f"nodata {nodata!r} cannot occur among {dtype} pixels")
    return held


def not_nodata(data: np.ndarray, nodata: Nodata, *, ulps: int = 0) -> np.ndarray | None:
    """Where ``data`` is neither ``nodata`` nor NaN; None where that is everywhere for certain.

    ``ulps`` is how far beside ``nodata`` a float still counts as it, in units of its last place: files hold decimal
    roundings of the value.
    """
    is_float = data.dtype.kind in "fc"
    if nodata is None or nodata != nodata:
        return ~np.isnan(data) if is_float and _may_have_nan(data) else None
    if not is_float:
        return data != nodata
    if not ulps or nodata == 0 or data.dtype.kind == "c":
        return ~np.isnan(data) & (data != nodata)
    value = data.dtype.type(nodata)
    reach = value.dtype.type(ulps) * abs(np.spacing(value))
    with np.errstate(over="ignore"):
        return ~np.isnan(data) & ((data < value - reach) | (data > value + reach))


def validated(data: np.ndarray, valid: np.ndarray | None, nodata: Nodata) -> Block:
    """A block whose pixels are valid where ``valid`` says so and they are neither nodata nor NaN."""
    return Block(data, both_valid(valid, not_nodata(data, nodata))).compact()


def _may_have_nan(data: np.ndarray) -> bool:
    """False only if there is certainly none: the least of some numbers is NaN if one is, and is found in one quick pass."""
    return data.size > 0 and (data.dtype.kind == "c" or bool(np.isnan(data.min())))
