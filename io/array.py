"""Arrays in memory as a source: numpy here, dask handed to its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..graph.block import Block
from ..graph.errors import ArgumentError, BandError
from ..graph.grid import Grid, Region
from ..graph.node import Meta, Node, Source, as_dtype, operation
from ..graph.values import FrozenArray
from .validity import given_nodata, validated

__all__ = ["ArraySource", "from_array"]


@operation("array")
@dataclass(frozen=True, eq=False)
class ArraySource(Source):
    """Pixels held in memory.

    Parameters
    ----------
    data : (band, y, x)
    mask : (band or 1, y, x) bool, True where valid, or None
    place : Grid
    bands : their names
    nodata : a value that marks pixels invalid, or None; so does NaN
    """

    data: FrozenArray
    mask: FrozenArray | None
    place: Grid
    bands: tuple[str, ...]
    nodata: int | float | complex | None = None

    def _meta(self) -> Meta:
        data = self.data.array
        as_dtype(data.dtype)
        mask = None if self.mask is None else self.mask.array
        check_shapes(data.shape, None if mask is None else mask.shape, self.place, self.bands)
        if mask is not None and mask.dtype != bool:
            raise ArgumentError(f"valid is a bool array; got {mask.dtype}")
        return array_meta(self.place, self.bands, data.dtype, self.nodata, masked=mask is not None)

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        mask = None if self.mask is None else self.mask.array[:, region.rows, region.cols]
        return validated(self.data.array[:, region.rows, region.cols], mask, self.nodata)

    def select(self, bands: tuple[int, ...]) -> Node:
        mask = self.mask
        if mask is not None and mask.array.shape[0] > 1:
            mask = FrozenArray(mask.array[list(bands)])
        names = tuple(self.bands[b] for b in bands)
        return replace(self, data=FrozenArray(self.data.array[list(bands)]), mask=mask, bands=names)


def from_array(
    array: Any,
    *,
    transform: Any = None,
    crs: Any = None,
    bands: Any = None,
    nodata: complex | None = None,
    valid: Any = None,
) -> Node:
    """A raster of pixels in memory.

    Parameters
    ----------
    array : numpy or dask array, (band, y, x) or (y, x)
        Bool, integer, float or complex. A numpy masked array is valid where it is not masked. The memory is shared, not
        copied, so do not write into the array while the raster lives.
    transform : Affine or its six numbers, optional
        (col, row) pixel corners to CRS units; a plain pixel grid when left out.
    crs : anything pyproj takes, optional
    bands : names, one per band (a single str for one band), optional
        "b1", "b2", ... when left out.
    nodata : number, optional
        Pixels of this value are invalid; so are NaN.
    valid : bool array (y, x), (1, y, x) or (band, y, x), optional
        True where pixels are valid; a dask array for a dask array.

    Raises
    ------
    ArgumentError
        No array, a dtype that pixels cannot have, a shape that is neither (y, x) nor (band, y, x), or a nodata value that
        the dtype cannot hold.
    BandError
        Not one name per band, or a name twice.
    GridError, CRSError
        An impossible transform or CRS.
    """
    if type(array).__module__.split(".")[0] == "dask":
        from .dask_source import from_dask

        return from_dask(array, transform=transform, crs=crs, bands=bands, nodata=nodata, valid=valid)
    if not isinstance(array, np.ndarray):
        hint = "use from_xarray" if hasattr(array, "dims") and hasattr(array, "coords") else "make one with np.asarray"
        raise ArgumentError(f"from_array takes a numpy or dask array, not {type(array).__name__}; {hint}")
    dtype = as_dtype(array.dtype)
    mask = None if valid is None else _checked_mask(valid)
    if isinstance(array, np.ma.MaskedArray):
        unmasked = ~np.ma.getmaskarray(array)
        mask = unmasked if mask is None else unmasked & mask
        array = np.ma.getdata(array)
    data = as_three(np.asarray(array, dtype))
    mask = None if mask is None else as_three(mask)
    grid = Grid(data.shape[1:], transform, crs)
    names = band_names(bands, data.shape[0])
    frozen = None if mask is None else FrozenArray(mask)
    return ArraySource(FrozenArray(data), frozen, grid, names, given_nodata(dtype, nodata))


def as_three(array: Any) -> Any:
    """(y, x) as (1, y, x); (band, y, x) as it is.

    Raises
    ------
    ArgumentError
        Any other number of axes, or no pixels.
    """
    if array.ndim not in (2, 3):
        raise ArgumentError(f"an array of pixels is (y, x) or (band, y, x); got {array.ndim} axes of {array.shape}")
    three = array[None] if array.ndim == 2 else array
    if three.shape[0] == 0:
        raise BandError(f"an array of shape {array.shape} has no bands")
    return three


def band_names(bands: Any, count: int) -> tuple[str, ...]:
    """The names of ``count`` bands, "b1", "b2", ... where none are given.

    Raises
    ------
    BandError
        Not ``count`` different names.
    """
    if bands is None:
        return tuple(f"b{i}" for i in range(1, count + 1))
    try:
        names = (bands,) if isinstance(bands, str) else tuple(bands)
    except TypeError as error:
        raise BandError(f"bands are names, one per band; got {bands!r}") from error
    if len(names) != count or len(set(names)) != count or not all(isinstance(name, str) and name for name in names):
        raise BandError(f"{count} bands need {count} different names; got {names!r}")
    return names


def check_shapes(data: tuple[int, ...], mask: tuple[int, ...] | None, grid: Grid, bands: tuple[str, ...]) -> None:
    """Raise where pixels, mask, grid and band names do not fit each other."""
    if len(data) != 3 or data[1:] != grid.shape:
        raise ArgumentError(f"pixels of shape {data} do not fit a grid of {grid.shape}")
    band_names(bands, data[0])
    if mask is not None and (len(mask) != 3 or mask[0] not in (1, data[0]) or mask[1:] != data[1:]):
        raise ArgumentError(f"valid of shape {mask} does not fit pixels of shape {data}: (y, x), (1, y, x) or the same")


def array_meta(grid: Grid, bands: tuple[str, ...], dtype: np.dtype, nodata: Any, *, masked: bool) -> Meta:
    """What is known of pixels in arrays."""
    return Meta(
        grid=grid,
        bands=bands,
        dtype=dtype,
        nodata=given_nodata(dtype, nodata),
        masked=masked or nodata is not None or dtype.kind in "fc",
        tile=(min(512, grid.shape[0]), min(512, grid.shape[1])),
    )


def _checked_mask(valid: Any) -> np.ndarray:
    mask = np.asarray(valid)
    if mask.dtype != bool:
        raise ArgumentError(f"valid is a bool array, True where pixels are valid; got {mask.dtype}")
    return mask
