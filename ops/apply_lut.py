"""Look-up tables over plain arrays; ``Raster.lut`` and ``Raster.dra`` are the lazy forms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..graph.errors import ArgumentError, BandError, DtypeError
from ..graph.node import as_dtype
from .counting import look_up, map_linear, plain
from .dra import DRAParameters
from .histogram import values_of
from .stretch import display_range, rounding_of

__all__ = ["apply_lut", "dynamic_range_adjust"]


def apply_lut(image: npt.ArrayLike, lut: npt.ArrayLike) -> npt.NDArray[Any]:
    """Replace each value of an array by the entry of a table.

    Parameters
    ----------
    image : (rows, cols) or (bands, rows, cols), bool, integer or float
        Floats are cut off towards zero; NaN takes entry 0.
    lut : (entries,)
        Entry i stands for the value i, and values beyond either end take the entry at that end. Only a table with an entry for
        each of the 2**bits values of a signed type begins at the type's least value, as ``DRAParameters.build_lut`` makes it.

    Returns
    -------
    New array of the image's shape and the table's dtype

    Raises
    ------
    ArgumentError
        The image has other axes, or the table is empty or has more than one axis.
    DtypeError
        The pixels are complex.

    Notes
    -----
    Mapping of pixels by a table as in NGA.STND.0014 (SIPS), section 2.5.
    """
    pixels, table = _image(image), _table(lut)
    out = np.empty(pixels.shape, table.dtype)
    _look_up(pixels, table, out)
    return out


def dynamic_range_adjust(
    image: npt.ArrayLike,
    luts: Sequence[DRAParameters] | Sequence[npt.NDArray[Any]] | npt.NDArray[Any],
    *,
    dtype: Any = "uint8",
    range_adjustment: str = "dra",
) -> npt.NDArray[Any]:
    """Map each band of an array through the table, or onto the range, that is its own.

    Parameters
    ----------
    image : (rows, cols) or (bands, rows, cols), bool, integer or float
    luts : one per band: tables as ``DRAParameters.build_lut`` makes them, all of one dtype, or the ``DRAParameters`` themselves
    dtype, range_adjustment : of ``DRAParameters``, as in ``DRAParameters.build_lut``; tables have theirs

    Returns
    -------
    New array of the image's shape. From ``DRAParameters``, pixels of any type are mapped as ``Raster.dra`` maps them; NaN
    becomes 0 (NaN for float types). From tables, as ``apply_lut`` does.

    Raises
    ------
    BandError
        There are not as many tables as bands.
    ArgumentError
        The image has other axes, the tables differ in dtype, or ``range_adjustment`` is unknown.
    DtypeError
        The pixels are complex, or ``dtype`` is no type to stretch to.
    """
    pixels = _image(image)
    bands = pixels if pixels.ndim == 3 else pixels[None]
    if len(luts) != len(bands):
        raise BandError(f"an image of {len(bands)} bands needs as many look-up tables; got {len(luts)}")
    given = [lut if isinstance(lut, DRAParameters) else _table(lut) for lut in luts]
    types = {as_dtype(dtype) if isinstance(lut, DRAParameters) else lut.dtype for lut in given}
    if len(types) > 1:
        raise ArgumentError(f"look-up tables of one image have one dtype; these have {', '.join(sorted(map(str, types)))}")
    out = np.empty(bands.shape, types.pop())
    for band, lut, target in zip(bands, given, out, strict=True):
        if not isinstance(lut, DRAParameters):
            _look_up(band, lut, target)
        elif values_of(band.dtype) is None:
            _map(band, lut.range_of(range_adjustment), target)
        else:
            _look_up(band, lut.build_lut(band.dtype, target.dtype, range_adjustment), target)
    return out.reshape(pixels.shape)


def _map(band: np.ndarray, span: tuple[float, float], out: np.ndarray) -> None:
    top = display_range(out.dtype)[1]
    valid = ~np.isnan(band) if band.dtype.kind == "f" else None
    fill = out.dtype.type(np.nan if out.dtype.kind == "f" else 0)
    map_linear(plain(band), valid, span, (0.0, top), rounding_of("down", out.dtype), False, fill, out)


def _look_up(pixels: np.ndarray, table: np.ndarray, out: np.ndarray) -> None:
    values = values_of(pixels.dtype)
    if values is not None and len(table) == len(values) and values.start < 0:
        index, first = pixels, values.start
    elif values is not None and values.start == 0 and len(table) >= len(values):
        index, first = pixels, 0
    else:
        last = len(table) - 1
        whole = np.nan_to_num(pixels.astype(np.float64), nan=0.0) if pixels.dtype.kind == "f" else plain(pixels)
        index, first = np.clip(whole, 0, last).astype(np.int64), 0
    rows = plain(index).reshape(-1, pixels.shape[-1])
    look_up(rows, None, table, first, table.dtype.type(0), out.reshape(rows.shape))


def _image(image: npt.ArrayLike) -> np.ndarray:
    pixels = np.asarray(image)
    if pixels.ndim not in (2, 3):
        raise ArgumentError(f"an image is (rows, cols) or (bands, rows, cols); got shape {pixels.shape}")
    if as_dtype(pixels.dtype).kind == "c":
        raise DtypeError(f"look-up tables need real pixels and these are {pixels.dtype}; take their abs() first")
    return pixels.astype(as_dtype(pixels.dtype), copy=False)


def _table(lut: npt.ArrayLike) -> np.ndarray:
    table = np.asarray(lut)
    if table.ndim != 1 or table.size == 0:
        raise ArgumentError(f"a look-up table is (entries,) and not empty; got shape {table.shape}")
    return np.ascontiguousarray(table, as_dtype(table.dtype))
