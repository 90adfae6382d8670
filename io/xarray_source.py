"""xarray DataArrays as a source, with rioxarray's conventions for CRS, transform and nodata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..graph.errors import ArgumentError
from ..graph.node import Node, as_dtype
from ..ops.common import unique_names
from .array import from_array
from .georef import X_NAMES, Y_NAMES, geotransform, spatial_axes, transform_of
from .validity import nodata_of

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["from_xarray"]


def from_xarray(dataarray: xr.DataArray) -> Node:
    """The raster that a DataArray holds.

    Parameters
    ----------
    dataarray : xarray.DataArray
        Dimensions y and x (or lat and lon, and the like) in any order, and at most one more, which becomes the bands,
        named by its coordinate. CRS and GeoTransform as rioxarray finds them; coordinates are pixel centres and win over a
        GeoTransform that does not fit them. Invalid are NaN, the nodata value (``rio.nodata``, ``_FillValue``) and what a
        coordinate ``mask`` of the same dimensions says is not valid (False).
        In-memory, dask-backed and not yet loaded arrays all serve; the latter two are read when pixels are wanted.

    Returns
    -------
    Node of dtype as stored; scale and offset are not applied

    Raises
    ------
    ArgumentError
        Not a DataArray; no spatial dimensions, or more than one other.
    GridError
        Coordinates that are not evenly spaced.
    """
    import rioxarray  # noqa: F401  registers the accessor
    import xarray as xr

    if not isinstance(dataarray, xr.DataArray):
        hint = "; choose one of its variables" if isinstance(dataarray, xr.Dataset) else ""
        raise ArgumentError(f"from_xarray takes a DataArray, not {type(dataarray).__name__}{hint}")
    where = f"DataArray {dataarray.name!r}" if dataarray.name is not None else "DataArray"
    dims = [str(dim) for dim in dataarray.dims]
    y_axis, x_axis, band_axis = _axes(dataarray, dims, where)
    order = [dims[axis] for axis in (band_axis, y_axis, x_axis) if axis is not None]
    ordered = dataarray.transpose(*order)
    dtype = as_dtype(ordered.dtype)
    y_dim, x_dim = dims[y_axis], dims[x_axis]
    spatial = ordered.rio.set_spatial_dims(x_dim=x_dim, y_dim=y_dim)
    shape = (ordered.sizes[y_dim], ordered.sizes[x_dim])
    transform = transform_of(shape, _stored_transform(spatial), _coordinate(ordered, x_dim), _coordinate(ordered, y_dim), where)
    crs = spatial.rio.crs
    names = None if band_axis is None else _names(ordered, dims[band_axis])
    # Of an array that xarray has masked this is NaN: its old nodata value is a number like any other now.
    nodata = nodata_of(dtype, spatial.rio.nodata)
    return from_array(
        _pixels(ordered),
        transform=transform,
        crs=None if crs is None else crs.to_wkt(),
        bands=names or _single_name(dataarray, band_axis),
        nodata=nodata,
        valid=_mask(ordered, order),
    )


def _mask(dataarray: Any, dims: list[str]) -> Any:
    """The coordinate ``mask`` of a DataArray that ``to_xarray`` made, True where valid; None where there is none."""
    mask = dataarray.coords.get("mask")
    if mask is None or mask.dtype != bool or set(mask.dims) != set(dims):
        return None
    pixels, mask = _pixels(dataarray), _pixels(mask.transpose(*dims))
    return np.asarray(mask) if isinstance(pixels, np.ndarray) else mask


def _axes(dataarray: Any, dims: list[str], where: str) -> tuple[int, int, int | None]:
    """Axes by the names weft knows, else by what rioxarray makes of attributes and CF conventions."""
    from rioxarray.exceptions import RioXarrayError

    try:
        named = {dataarray.rio.y_dim: "y", dataarray.rio.x_dim: "x"}
    except RioXarrayError:
        named = {}
    known = {dim.lower() for dim in dims} & set(X_NAMES), {dim.lower() for dim in dims} & set(Y_NAMES)
    return spatial_axes(dims if all(known) else [named.get(dim, dim) for dim in dims], where)


def _stored_transform(dataarray: Any) -> Any:
    name = dataarray.rio.grid_mapping
    attrs = dataarray.coords[name].attrs if name in dataarray.coords else {}
    return geotransform(attrs.get("GeoTransform", dataarray.attrs.get("GeoTransform")))


def _coordinate(dataarray: Any, dim: str) -> np.ndarray | None:
    if dim not in dataarray.coords or dataarray.coords[dim].dtype.kind not in "iuf":
        return None
    return np.asarray(dataarray.coords[dim].values)


def _names(dataarray: Any, dim: str) -> tuple[str, ...]:
    """Band names from the band coordinate, or rioxarray's ``long_name`` where the coordinate just counts 1, 2, 3."""
    count = dataarray.sizes[dim]
    described = dataarray.attrs.get("long_name")
    values = dataarray.coords[dim].values if dim in dataarray.coords and dataarray.coords[dim].ndim == 1 else None
    counts = values is None or (values.dtype.kind in "iu" and list(values) == list(range(1, count + 1)))
    if counts and isinstance(described, (tuple, list)) and len(described) == count and all(described):
        return unique_names([str(name) for name in described])
    if counts or values is None:
        return tuple(f"b{i}" for i in range(1, count + 1))
    return unique_names([str(value) or f"b{i}" for i, value in enumerate(values, start=1)])


def _single_name(dataarray: Any, band_axis: int | None) -> str | None:
    """The name of the only band of a (y, x) array: that of its scalar band coordinate, if it has one."""
    if band_axis is not None:
        return None
    band = dataarray.coords.get("band")
    if band is not None and band.ndim == 0 and band.dtype.kind in "UO":
        return str(band.values) or None
    return None


def _pixels(dataarray: Any) -> Any:
    """A numpy or dask array; what is not loaded yet becomes dask chunks, so that it stays unread."""
    if dataarray.chunks is None and not dataarray.variable._in_memory:
        dataarray = dataarray.chunk("auto" if dataarray.encoding.get("preferred_chunks") is None else {})
    return dataarray.variable.data
