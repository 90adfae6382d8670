"""Lazy dask arrays and xarray DataArrays, with CRS and transform where rioxarray looks for them."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graph import lower
from ..graph.errors import ArgumentError
from ..graph.node import Meta, Node
from ..graph.optimize import Mode
from ..graph.plan import make_plan

if TYPE_CHECKING:
    import dask.array as da
    import xarray as xr

__all__ = ["to_dask", "to_xarray"]


def to_dask(node: Node, chunks: Any = None, *, optimize: Mode = "default", memory_limit: int | None = None) -> da.Array:
    """The pixels as a lazy dask array, one task per chunk.

    Parameters
    ----------
    node : Node
    chunks : int, (rows, cols), (bands, rows, cols) or dask's tuples of lengths, optional
        A task computes all bands of its rows and columns; where fewer bands are asked for, its result is cut.
    optimize : "default", "exact" or "none"
    memory_limit : bytes one task may hold, optional

    Returns
    -------
    (bands, rows, cols) dask array; invalid pixels hold what the source stored or the operation wrote

    Raises
    ------
    ArgumentError
        The chunks do not describe the grid.
    """
    return _banded(lower.to_dask(make_plan(node, chunks, optimize, memory_limit)), chunks)


def to_xarray(node: Node, chunks: Any = None, *, optimize: Mode = "default", memory_limit: int | None = None) -> xr.DataArray:
    """The pixels as a lazy DataArray.

    Parameters
    ----------
    node : Node
    chunks : as in ``to_dask``
    optimize : "default", "exact" or "none"
    memory_limit : bytes one task may hold, optional

    Returns
    -------
    DataArray (band, y, x)
        Coordinates: band names; x and y of pixel centres, where the grid is not rotated; ``spatial_ref`` with the CRS and
        the GeoTransform, as rioxarray reads them. Invalid pixels hold nodata (NaN for floats without nodata), which is the
        attribute ``_FillValue``. Where no value marks them (integers without nodata), a coordinate ``mask`` (band, y, x),
        bool, is True where valid; ``from_xarray`` reads it back.

    Raises
    ------
    ArgumentError
        The chunks do not describe the grid.
    """
    import dask.array as da
    import rioxarray  # noqa: F401  registers the accessor
    import xarray as xr

    plan = make_plan(node, chunks, optimize, memory_limit)
    meta = plan.root.meta
    nodata = marking_value(meta)
    data, valid = lower.to_dask_pair(plan)
    coords: dict[str, Any] = {"band": list(meta.bands)}
    if valid is not None and nodata is not None:
        data = da.map_blocks(_marked, data, valid, np.asarray(nodata, meta.dtype), dtype=meta.dtype)
    elif valid is not None:
        coords["mask"] = (("band", "y", "x"), _banded(valid, chunks))
    data = _banded(data, chunks)
    if meta.grid.is_rectilinear:
        coords["x"], coords["y"] = meta.grid.coords()
    array = xr.DataArray(data, dims=("band", "y", "x"), coords=coords, name="data", attrs=plain_attrs(meta))
    if nodata is not None:
        array = array.rio.write_nodata(nodata, encoded=False)
    if meta.grid.crs is not None:
        with warnings.catch_warnings():
            # What CF has no words for stays in the WKT beside it.
            warnings.filterwarnings("ignore", message=".* lost in conversion to CF")
            array = array.rio.write_crs(meta.grid.crs)
    return array.rio.write_transform(meta.grid.transform)


def _banded(array: da.Array, chunks: Any) -> da.Array:
    """``array`` cut along the bands as ``chunks`` (bands, rows, cols) ask."""
    if not isinstance(chunks, (tuple, list)) or len(chunks) != 3:
        return array
    bands, count = chunks[0], array.shape[0]
    sizes = tuple(bands) if isinstance(bands, (tuple, list)) else (count if bands == -1 else bands,)
    if not all(isinstance(size, (int, np.integer)) and size > 0 for size in sizes) or (len(sizes) > 1 and sum(sizes) != count):
        raise ArgumentError(f"chunks along the bands are a number above 0, -1, or lengths that sum to {count}; got {bands!r}")
    return array.rechunk({0: sizes if len(sizes) > 1 else int(sizes[0])})


def marking_value(meta: Meta) -> Any:
    """The value that marks invalid pixels in a store without masks: nodata, NaN for real floats, else None."""
    if meta.nodata is not None:
        return meta.nodata
    return np.nan if meta.masked and meta.dtype.kind == "f" else None


def plain_attrs(meta: Meta) -> dict[str, Any]:
    """Attributes that any store can hold. Scales go by names of their own, so that no reader applies them by itself."""
    attrs: dict[str, Any] = {"long_name": list(meta.bands) if len(meta.bands) > 1 else meta.bands[0]}
    for name, neutral in (("scales", 1.0), ("offsets", 0.0)):
        values = meta.attrs.get(name)
        if isinstance(values, tuple) and any(value != neutral for value in values):
            attrs[name] = [float(value) for value in values]
    units = meta.attrs.get("units")
    if isinstance(units, tuple) and len(set(units)) == 1 and isinstance(units[0], str) and units[0]:
        attrs["units"] = units[0]
    return attrs


def _marked(data: np.ndarray, valid: np.ndarray, nodata: np.ndarray) -> np.ndarray:
    return data if valid.all() else np.where(valid, data, nodata)
