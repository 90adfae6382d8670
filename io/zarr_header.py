"""What a zarr array or group says of itself: which array holds the pixels, its axes, grid, nodata and mask."""

from __future__ import annotations

import base64
import binascii
import json
import math
import struct
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import zarr
from affine import Affine

from ..graph.errors import ArgumentError, CRSError, SourceError
from ..graph.grid import Grid, crs_name
from ..graph.node import as_dtype
from ..graph.values import ByContent
from ..ops.common import unique_names
from .georef import geotransform, spatial_axes, transform_of
from .registry import local_stamps
from .validity import Nodata, nodata_of
from .zarr_store import Options, is_url, naming_zarr_errors, open_store

MAX_CHUNK_BYTES = 4 * 2**30
_MOST_BANDS = 100_000
# An unlabelled 3-D array whose last axis is this short, and whose others are longer, has its bands last.
_CHANNELS = 4
_LISTED = 20
# Attributes that become part of the grid, the axes, nodata or scale, and are nothing beside these.
_KNOWN = {
    *("_ARRAY_DIMENSIONS", "grid_mapping", "coordinates", "_CRS"),
    *("_FillValue", "missing_value", "nodata", "scale_factor", "add_offset"),
}


class Level(NamedTuple):
    """One array of pixels, full resolution or a level of a pyramid. Axes are positions of (band, y, x) in the array."""

    path: str
    axes: tuple[int | None, int, int]
    grid: Grid
    chunk: tuple[int, int]
    mask: str | None
    mask_axes: tuple[int | None, int, int]


@dataclass(frozen=True)
class ZarrHeader(ByContent):
    """Everything the engine wants to know before it reads a chunk.

    Parameters
    ----------
    levels : full resolution first
    bands : names
    dtype : numpy dtype, native byte order
    nodata : the value that marks pixels invalid, or None
    scale, offset, unit : as the array says, not applied
    attrs : the array's attributes as JSON text
    digests : of the metadata of every array that is read
    stamps : (path, size, mtime in ns) of the local metadata files
    """

    levels: tuple[Level, ...]
    bands: tuple[str, ...]
    dtype: np.dtype
    nodata: Nodata
    scale: float
    offset: float
    unit: str | None
    attrs: str
    digests: tuple[str, ...]
    stamps: tuple[tuple[str, int, int], ...]


def read_zarr_header(uri: str, path: str, variable: str | None, options: Options) -> ZarrHeader:
    """Look through a store for its raster.

    Parameters
    ----------
    uri : of the store
    path : of an array or group within it, "" for the root
    variable : which array of the group, where it has several

    Raises
    ------
    SourceError
        Not a zarr store, no array in it that is a raster, or several and none was named.
    """
    with naming_zarr_errors(uri, "open it as zarr"):
        store = open_store(uri, options)
        found = zarr.open(store=store, path=path, mode="r")
        if isinstance(found, zarr.Array):
            parent = path.rpartition("/")[0]
            group = _group(store, parent) if path else None
            levels = [(group, found)]
        else:
            levels = _pyramid(found, variable, uri)
        described = [_level(group, array, uri) for group, array in levels]
        group, array = levels[0]
        first = described[0]
        alike = all(
            a.dtype == array.dtype and _count(a, level) == _count(array, first)
            for (_, a), level in zip(levels, described, strict=True)
        )
        if not alike:
            described, levels = described[:1], levels[:1]
        attrs = array.attrs.asdict()
        unit = attrs.get("units")
        masks = [_member(g, "mask") for (g, _), level in zip(levels, described, strict=True) if level.mask]
        arrays = [a for _, a in levels] + [mask for mask in masks if mask is not None]
        return ZarrHeader(
            levels=tuple(described),
            bands=_band_names(group, array, first),
            dtype=as_dtype(array.dtype),
            nodata=_nodata(array),
            scale=_number(attrs.get("scale_factor"), 1.0),
            offset=_number(attrs.get("add_offset"), 0.0),
            unit=unit if isinstance(unit, str) else None,
            attrs=json.dumps({k: v for k, v in attrs.items() if not _is_georeference(k)}, default=str, sort_keys=True),
            digests=tuple(_metadata_digest(a) for a in arrays),
            stamps=_stamps(uri, arrays),
        )


def _group(store: Any, path: str) -> zarr.Group | None:
    try:
        # The group is asked for coordinates and mask only; a fault elsewhere in its consolidated metadata is no matter.
        return zarr.open_group(store=store, path=path, mode="r", use_consolidated=False)
    except (FileNotFoundError, zarr.errors.GroupNotFoundError, zarr.errors.ContainsArrayError):
        return None


def _pyramid(group: zarr.Group, variable: str | None, uri: str) -> list[tuple[zarr.Group | None, zarr.Array]]:
    """The pixels of a group, finest first: its own array, or those of its groups "0", "1", "2", ..."""
    arrays = dict(group.arrays())
    if arrays or "0" not in group:
        return [(group, _pixels_of(arrays, variable, group, uri))]
    levels: list[tuple[zarr.Group | None, zarr.Array]] = []
    while (name := str(len(levels))) in group:
        child = group[name]
        if isinstance(child, zarr.Array):
            levels.append((group, child))
        else:
            levels.append((child, _pixels_of(dict(child.arrays()), variable, child, uri)))
    return levels


def _pixels_of(arrays: dict[str, zarr.Array], variable: str | None, group: zarr.Group, uri: str) -> zarr.Array:
    where = f"{uri}/{group.path}" if group.path else uri
    if variable is not None:
        if variable not in arrays:
            raise SourceError(f"{where}: has no array {variable!r}; it has {_listed(arrays)}")
        return arrays[variable]
    images = {name: a for name, a in arrays.items() if a.ndim in (2, 3) and a.dtype.kind in "biufc"}
    labelled = {name: a for name, a in images.items() if _is_spatial(_dims(a))}
    images = labelled or images
    if len(images) > 1:
        images.pop("mask", None)
    if not images:
        below = ", ".join(sorted(name for name, _ in group.groups())[:_LISTED])
        hint = f"; look into its groups {below}" if below else ""
        raise SourceError(f"{where}: holds no 2-D or 3-D array of numbers, only {_listed(arrays) or 'no arrays'}{hint}")
    if len(images) > 1:
        raise SourceError(
            f"{where}: holds several rasters, {_listed(images)}; open('{where}/<name>') one, or name it by bands="
        )
    return next(iter(images.values()))


def _listed(arrays: dict[str, zarr.Array]) -> str:
    shown = [f"{name} {'x'.join(map(str, a.shape))} {a.dtype}" for name, a in sorted(arrays.items())[:_LISTED]]
    return ", ".join(shown) + (", ..." if len(arrays) > _LISTED else "")


def _dims(array: zarr.Array) -> tuple[str, ...] | None:
    names = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS")
    if not isinstance(names, (list, tuple)) or len(names) != array.ndim or not all(isinstance(n, str) for n in names):
        return None
    return tuple(names)


def _is_spatial(dims: tuple[str, ...] | None) -> bool:
    try:
        return dims is not None and bool(spatial_axes(dims, ""))
    except ArgumentError:
        return False


def _axes(array: zarr.Array, uri: str) -> tuple[int | None, int, int]:
    """Positions of (band, y, x): by name, or bands first (last for pictures) where the axes have no names."""
    if array.ndim not in (2, 3):
        raise SourceError(f"{uri}: the array {array.name} of shape {array.shape} is not (y, x) or (band, y, x)")
    if array.dtype.kind not in "biufc":
        raise SourceError(f"{uri}: the array {array.name} holds {array.dtype}, not pixels")
    if 0 in array.shape:
        raise SourceError(f"{uri}: the array {array.name} of shape {array.shape} is empty")
    dims = _dims(array)
    if dims is not None and _is_spatial(dims):
        y, x, band = spatial_axes(dims, uri)
        return band, y, x
    if array.ndim == 2:
        return None, 0, 1
    last = array.shape[2] <= _CHANNELS < min(array.shape[:2])
    return (2, 0, 1) if last else (0, 1, 2)


def _level(group: zarr.Group | None, array: zarr.Array, uri: str) -> Level:
    axes = _axes(array, uri)
    _, y, x = axes
    size = math.prod(array.chunks) * array.dtype.itemsize
    if size > MAX_CHUNK_BYTES:
        raise SourceError(f"{uri}: {array.name} has chunks of {size / 2**30:.1f} GiB; more than 4 GiB is not read")
    shape = (array.shape[y], array.shape[x])
    mask, mask_axes = _mask(group, array, shape, uri)
    return Level(array.path, axes, _grid(group, array, axes, uri), (array.chunks[y], array.chunks[x]), mask, mask_axes)


def _mask(
    group: zarr.Group | None, array: zarr.Array, shape: tuple[int, int], uri: str
) -> tuple[str | None, tuple[int | None, int, int]]:
    """The variable ``mask`` beside the pixels, not 0 where they are valid, if it fits them."""
    none = (None, 0, 1)
    if group is None or "mask" not in group or array.basename == "mask":
        return None, none
    mask = group["mask"]
    if not isinstance(mask, zarr.Array) or mask.dtype.kind not in "bui" or mask.ndim not in (2, 3):
        return None, none
    axes = _axes(mask, uri)
    fits = (mask.shape[axes[1]], mask.shape[axes[2]]) == shape
    if not fits or (axes[0] is not None and mask.shape[axes[0]] not in (1, _bands(array, uri))):
        return None, none
    return mask.path, axes


def _bands(array: zarr.Array, uri: str) -> int:
    band = _axes(array, uri)[0]
    return 1 if band is None else array.shape[band]


def _count(array: zarr.Array, level: Level) -> int:
    return 1 if level.axes[0] is None else array.shape[level.axes[0]]


def _grid(group: zarr.Group | None, array: zarr.Array, axes: tuple[int | None, int, int], uri: str) -> Grid:
    attrs = array.attrs.asdict()
    mapping = _member(group, attrs.get("grid_mapping", "spatial_ref"))
    sources = [mapping.attrs.asdict() if mapping is not None else {}, attrs, group.attrs.asdict() if group is not None else {}]
    dims = _dims(array)
    x = y = None
    if dims is not None:
        y, x = (_coordinate(group, dims[axis], array.shape[axis]) for axis in axes[1:])
    shape = (array.shape[axes[1]], array.shape[axes[2]])
    transform = transform_of(shape, _stored_transform(sources), x, y, uri)
    return Grid(shape, transform, _crs(sources))


def _member(group: zarr.Group | None, name: Any) -> zarr.Array | None:
    if group is None or not isinstance(name, str) or not name or name not in group:
        return None
    member = group[name]
    return member if isinstance(member, zarr.Array) else None


def _coordinate(group: zarr.Group | None, name: str, length: int) -> np.ndarray | None:
    array = _member(group, name)
    if array is None or array.shape != (length,) or array.dtype.kind not in "iuf":
        return None
    return np.asarray(array[:])


def _stored_transform(sources: list[dict[str, Any]]) -> Affine | None:
    for attrs in sources:
        for key, value in attrs.items():
            if key.rpartition("#")[2] == "GeoTransform" and (found := geotransform(value)) is not None:
                return found
            if key == "spatial:transform" and isinstance(value, list) and len(value) >= 6:
                return Affine(*map(float, value[:6]))
    return None


def _crs(sources: list[dict[str, Any]]) -> str | None:
    for attrs in sources:
        for value in _crs_candidates(attrs):
            try:
                return crs_name(value)
            except CRSError:
                continue
    return None


def _crs_candidates(attrs: dict[str, Any]) -> list[str]:
    """Everything in some attributes that may name a CRS: CF, rioxarray, GDAL and the proj: convention."""
    found: list[Any] = [attrs.get("crs_wkt"), attrs.get("spatial_ref")]
    found += [value for key, value in attrs.items() if key.endswith(("#crs_wkt", "#spatial_ref"))]
    gdal = attrs.get("_CRS")
    if isinstance(gdal, dict):
        found += [gdal.get("wkt"), gdal.get("url"), json.dumps(gdal["projjson"]) if "projjson" in gdal else None]
    found += [attrs.get("proj:code"), attrs.get("proj:wkt2")]
    if isinstance(attrs.get("proj:projjson"), dict):
        found.append(json.dumps(attrs["proj:projjson"]))
    return [value for value in found if isinstance(value, str) and value]


def _band_names(group: zarr.Group | None, array: zarr.Array, level: Level) -> tuple[str, ...]:
    axis = level.axes[0]
    if axis is None:
        return (array.basename or "b1",)
    count = array.shape[axis]
    if count > _MOST_BANDS:
        raise SourceError(f"{array.name} claims {count} bands; more than {_MOST_BANDS} are not read")
    dims = _dims(array)
    labels = _member(group, dims[axis]) if dims is not None else None
    if labels is None or labels.shape != (count,):
        return tuple(f"b{i}" for i in range(1, count + 1))
    values = np.asarray(labels[:])
    if values.dtype.kind in "iu" and list(values) == list(range(1, count + 1)):
        return tuple(f"b{i}" for i in range(1, count + 1))
    return unique_names(str(value) or f"b{i}" for i, value in enumerate(values, start=1))


def _nodata(array: zarr.Array) -> Nodata:
    """``_FillValue`` or the like from the attributes; else format 2's fill_value where xarray or GDAL wrote the array."""
    attrs = array.attrs.asdict()
    dtype = as_dtype(array.dtype)
    for key in ("_FillValue", "missing_value", "nodata"):
        value = decode_fill(attrs.get(key), dtype)
        if value is not None:
            return nodata_of(dtype, value)
    if array.metadata.zarr_format == 2 and "_ARRAY_DIMENSIONS" in attrs and array.fill_value is not None:
        return nodata_of(dtype, np.asarray(array.fill_value).item())
    return None


def decode_fill(value: Any, dtype: np.dtype) -> float | int | complex | None:
    """A fill value as attributes hold it: a number, its text, xarray's base64 of a double, or a complex one's two parts."""
    if isinstance(value, (list, tuple)):
        if len(value) == 2 and dtype.kind == "c":
            real, imag = (decode_fill(part, np.dtype("f8")) for part in value)
            return None if real is None or imag is None else complex(real.real, imag.real)
        return decode_fill(value[0], dtype) if len(value) == 1 else None
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        pass
    try:
        return float(struct.unpack("<d", base64.standard_b64decode(value))[0])
    except (binascii.Error, struct.error, ValueError):
        return None


def _is_georeference(key: str) -> bool:
    return key in _KNOWN or "#" in key or key.startswith(("proj:", "spatial:"))


def _number(value: Any, default: float) -> float:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else default


def _metadata_digest(array: zarr.Array) -> str:
    text = json.dumps(array.metadata.to_dict(), default=str, sort_keys=True)
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _stamps(uri: str, arrays: list[zarr.Array]) -> tuple[tuple[str, int, int], ...]:
    if is_url(uri):
        return ()
    if uri.endswith(".zip"):
        return local_stamps([uri])
    return local_stamps([str(Path(uri) / a.path / name) for a in arrays for name in ("zarr.json", ".zarray")])
