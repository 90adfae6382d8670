"""Where rasters come from: files and URLs, arrays, DataArrays, other rasters, JSON."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .graph import jsonio
from .graph.node import HasNode
from .io.array import from_array as array_source
from .io.registry import open_source
from .io.xarray_source import from_xarray as xarray_source
from .ops.concat import concat as concat_nodes
from .raster import Raster

if TYPE_CHECKING:
    import xarray as xr


def open(
    path_or_url: str | os.PathLike[str],
    *,
    bands: Any = None,
    overviews: str = "auto",
    engine: str | None = None,
    nodata: float | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> Raster:
    """Open a raster lazily: its header is read now, its pixels when they are wanted.

    Parameters
    ----------
    path_or_url : file, URL or zarr store
    bands : names or 0-based positions, optional
        Read only these.
    overviews : "auto" or "none"
        Whether coarser results may be made from the file's overviews.
    engine : name of the reader, optional
        Chosen by the location when left out.
    nodata : number, optional
        Takes the place of the nodata value that the file names.
    storage_options : options for remote access, by the reader

    Raises
    ------
    SourceError
        The file is missing, unreadable, damaged or of an unknown format.
    BandError
        It has no such band.
    """
    node = open_source(
        path_or_url, bands=bands, overviews=overviews, engine=engine, nodata=nodata, storage_options=storage_options
    )
    return Raster(node)


def from_array(
    array: Any,
    *,
    transform: Any = None,
    crs: Any = None,
    bands: Iterable[str] | None = None,
    nodata: complex | None = None,
    valid: Any = None,
) -> Raster:
    """A raster over pixels in memory or in a dask array.

    Parameters
    ----------
    array : (bands, rows, cols) or (rows, cols), numpy or dask
        Must not be changed afterwards.
    transform : Affine or its six numbers, optional
        (col, row) pixel-corner coordinates to CRS units; identity when left out.
    crs : anything pyproj takes, optional
    bands : names, optional
        "1", "2", ... when left out.
    nodata : number, optional
        Pixels that hold it are invalid. NaN always is.
    valid : bool array of the same shape, or (rows, cols), optional
        False marks further invalid pixels.

    Raises
    ------
    ArgumentError
        The array has other than two or three axes, or a dtype that pixels cannot have.
    """
    return Raster(array_source(array, transform=transform, crs=crs, bands=bands, nodata=nodata, valid=valid))


def from_xarray(dataarray: xr.DataArray) -> Raster:
    """A raster over a DataArray (band, y, x) or (y, x), with grid and CRS as rioxarray finds them.

    Raises
    ------
    GridError
        The coordinates are not evenly spaced, or the axes are none of these.
    """
    return Raster(xarray_source(dataarray))


def concat(rasters: Iterable[HasNode], *, bands: Sequence[str] | None = None) -> Raster:
    """Put the bands of several rasters on the same grid one after the other.

    Parameters
    ----------
    rasters : Rasters or Nodes
    bands : names for all bands, optional

    Raises
    ------
    GridError
        The grids differ; the message names both.
    ArgumentError
        No raster is given, or something else among them.
    """
    return Raster(concat_nodes(rasters, bands=bands).node)


def from_json(text: str) -> Raster:
    """The raster whose graph ``Raster.to_json`` wrote. Only known operations with valid fields are taken.

    Raises
    ------
    GraphFormatError
        The text is malformed, of an unknown version, or names an unknown operation.
    """
    return Raster(jsonio.from_json(text))
