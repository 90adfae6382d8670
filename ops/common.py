"""What the pointwise operations share: numbers that fit a dtype, nodata of a result, invalid pixels, grids that agree."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..graph.block import Block
from ..graph.errors import ArgumentError, BandError, DtypeError, GridError
from ..graph.node import Meta, Node

Number = bool | int | float | complex

# Attributes with one value per band.
PER_BAND = (
    "scales", "offsets", "units", "colorinterp", "descriptions", "nodatavals", "irepbands", "isubcats", "wavelengths",
)  # fmt: skip


def unique_names(names: Iterable[str]) -> tuple[str, ...]:
    """The names with a suffix _2, _3, ... on those that came before."""
    wanted = tuple(names)
    taken: set[str] = set(wanted)
    seen: set[str] = set()
    result: list[str] = []
    for name in wanted:
        unique, count = name, 2
        while unique in seen or (unique != name and unique in taken):
            unique, count = f"{name}_{count}", count + 1
        seen.add(unique)
        result.append(unique)
    return tuple(result)


def plain_number(value: Any, what: str) -> Number:
    """``value`` as a Python number.

    Raises
    ------
    ArgumentError
        It is not one number.
    """
    if isinstance(value, (np.generic, np.ndarray)) and np.ndim(value) == 0:
        value = value.item()
    if isinstance(value, (bool, int, float, complex)):
        return value
    raise ArgumentError(f"{what} is a number; got {value!r}")


def fitting(value: Any, dtype: np.dtype, what: str) -> Number:
    """``value`` as the Python number that pixels of ``dtype`` hold for it: integers exactly, floats rounded to the dtype.

    Raises
    ------
    ArgumentError
        The dtype cannot hold it.
    """
    number = plain_number(value, what)
    held = _held(number, dtype)
    if held is None:
        raise ArgumentError(f"{what} {number!r} does not fit {dtype}; change the type first with astype()")
    return held


def nodata_for(nodata: Number | None, dtype: np.dtype) -> Number | None:
    """A nodata value carried over to another dtype: kept where that can hold it, else NaN for floats, else None."""
    held = None if nodata is None or dtype.kind == "b" else _held(nodata, dtype)
    return no_value(dtype) if nodata is not None and held is None else held


def no_value(dtype: np.dtype) -> float | None:
    """The nodata value of freshly computed pixels: NaN for floats; integers have none, their mask says it."""
    return math.nan if dtype.kind in "fc" else None


def same_value(a: Number | None, b: Number | None) -> bool:
    """Whether two nodata values mean the same; NaN is NaN."""
    return a is b or (a is not None and b is not None and (a == b or (a != a and b != b)))


def joint_nodata(values: Sequence[Number | None], dtype: np.dtype) -> Number | None:
    """The nodata value of several rasters made one: theirs if they agree, else NaN for floats, else None."""
    first = values[0]
    if all(same_value(first, value) for value in values):
        return nodata_for(first, dtype)
    return no_value(dtype)


def same_pixels(verb: str, nodes: Sequence[Node]) -> None:
    """Raise GridError naming the first input that lies on other pixels than input 0."""
    for position, node in enumerate(nodes):
        ours, theirs = nodes[0].meta.grid, node.meta.grid
        if not ours.same_pixels(theirs):
            raise GridError(
                f"{verb}: inputs 0 and {position} lie on different pixels: {ours}, bounds {ours.bounds}; and {theirs}, "
                f"bounds {theirs.bounds}; bring one onto the other first with warp(like=...)"
            )


def joint_bands(verb: str, nodes: Sequence[Node]) -> tuple[str, ...]:
    """Band names of a result in which inputs of one band meet each band of the others; those of the first with most."""
    most = max(nodes, key=lambda node: len(node.meta.bands)).meta.bands
    for position, node in enumerate(nodes):
        if len(node.meta.bands) not in (1, len(most)):
            counts = ", ".join(str(len(other.meta.bands)) for other in nodes)
            raise BandError(f"{verb}: inputs have {counts} bands; input {position} needs 1 or {len(most)}")
    return most


def real_only(verb: str, dtype: np.dtype) -> None:
    """Raise DtypeError for complex pixels."""
    if dtype.kind == "c":
        raise DtypeError(f"{verb} works on real pixels, not {dtype}; take abs() of them first")


def finished(data: np.ndarray, valid: np.ndarray | None, fill: Any) -> Block:
    """The block of freshly computed ``data`` (written into): NaN is invalid, and invalid pixels hold ``fill``."""
    if data.dtype.kind in "fc" and _may_have_nan(data):
        number = ~np.isnan(data)
        valid = number if valid is None else number & valid
    return filled(data, valid, fill)


def filled(data: np.ndarray, valid: np.ndarray | None, fill: Any) -> Block:
    """The block of ``data`` (written into) with ``fill`` at every invalid pixel."""
    if valid is None or valid.all():
        return Block(data)
    np.copyto(data, np.asarray(fill).astype(data.dtype), where=~valid)
    return Block(data, valid)


def fill_value(meta: Meta) -> Any:
    """``meta.fill`` as a value of its dtype; 0 where the dtype cannot hold it."""
    try:
        with np.errstate(all="raise"):
            return np.array([meta.fill], meta.dtype)[0]
    except (OverflowError, ValueError, TypeError, FloatingPointError):
        return np.zeros(1, meta.dtype)[0]


def avoid_nodata(data: np.ndarray, valid: np.ndarray | None, meta: Meta) -> None:
    """Move valid pixels that hold the nodata value one value aside."""
    if meta.nodata is None or not np.isfinite(meta.nodata) or meta.dtype.kind not in "iuf":
        return
    meets = data == meta.nodata
    if valid is not None:
        meets &= valid
    if not meets.any():
        return
    if meta.dtype.kind == "f":
        # Readers of files take floats within a few units of the last place for nodata too.
        value = meta.dtype.type(meta.nodata)
        step = 16 * np.spacing(abs(value))
        data[meets] = value - step if value > 0 else value + step
    else:
        nodata = int(meta.nodata.real)
        data[meets] = nodata + (1 if nodata < np.iinfo(meta.dtype).max else -1)


def spread(valid: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    """``valid`` as a bool array of ``shape``, read-only where it repeats."""
    return np.broadcast_to(np.True_ if valid is None else valid, shape)


def _held(number: Number, dtype: np.dtype) -> Number | None:
    if isinstance(number, complex) and dtype.kind != "c":
        if number.imag != 0:
            return None
        number = number.real
    if dtype.kind in "fc":
        try:
            with np.errstate(all="ignore"):
                held = dtype.type(number)
        except OverflowError:
            return None
        overflowed = np.isinf(held) and not (isinstance(number, (float, complex)) and np.isinf(number))
        return None if overflowed else held.item()
    if not isinstance(number, complex) and not (isinstance(number, float) and not number.is_integer()):
        lowest, highest = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        if lowest <= number <= highest:
            return bool(number) if dtype.kind == "b" else int(number)
    return None


def _may_have_nan(data: np.ndarray) -> bool:
    """False only if there is certainly none: a NaN makes the sum NaN, and one pass of adding is the cheapest look."""
    with np.errstate(all="ignore"):
        return not np.isfinite(data.sum()) and bool(np.isnan(data).any())
