"""What a raster looks like in a zarr store: arrays, coordinates and the attributes by which other readers find their way.

A group with ``data`` (band, y, x), the names ``band``, pixel centres ``x`` and ``y`` (where the grid is not rotated), the CF
grid mapping ``spatial_ref`` with CRS and GeoTransform, and, where invalid pixels have no value that marks them, ``mask``
(band, y, x), uint8, 1 where valid. xarray, rioxarray, GDAL and weft itself read it.
"""

from __future__ import annotations

import base64
import struct
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numcodecs
import numpy as np
import zarr
import zarr.codecs
from zarr.api import asynchronous
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import MemoryStore, StorePath

from ..graph.errors import ArgumentError
from ..graph.grid import Grid, pyproj_crs
from ..graph.node import Meta
from .xarray_sink import marking_value, plain_attrs
from .zarr_store import quickened

DIMS = ("band", "y", "x")
Shape3 = tuple[int, int, int]

_MASK_CHUNK_BYTES = 16 * 2**20


@dataclass(frozen=True)
class Layout:
    """How the pixels are cut: ``chunks`` and ``shards`` (or None), (bands, rows, cols); compressor and format."""

    chunks: Shape3
    shards: Shape3 | None
    compressor: Any
    zarr_format: Literal[2, 3]

    @property
    def unit(self) -> tuple[int, int]:
        """(rows, cols) that only one task may write."""
        return (self.shards or self.chunks)[1:]


def build_group(meta: Meta, layout: Layout) -> dict[str, Any]:
    """Everything of the store but its pixels, by key, the root's metadata last."""
    return build_groups([meta], [layout])[0]


def build_groups(metas: Sequence[Meta], layouts: Sequence[Layout]) -> list[dict[str, Any]]:
    """``build_group`` of several stores, in one visit to zarr's event loop: each call from here would wait for two threads."""

    async def all_of_them() -> list[dict[str, Any]]:
        return [await _group(meta, layout) for meta, layout in zip(metas, layouts, strict=True)]

    return sync(all_of_them())


async def _group(meta: Meta, layout: Layout) -> dict[str, Any]:
    store = MemoryStore()
    root = await asynchronous.create_group(store=store, zarr_format=layout.zarr_format)
    nodata = marking_value(meta)
    shape = (len(meta.bands), *meta.grid.shape)
    # xarray takes the grid mapping along with the pixels only where it stands among their coordinates.
    where = {"grid_mapping": "spatial_ref", "coordinates": "spatial_ref"}
    attrs = plain_attrs(meta) | where
    if nodata is not None and layout.zarr_format == 3:
        attrs["_FillValue"] = encode_fill(nodata, meta.dtype)
    fill: Any = nodata
    if nodata is None and layout.zarr_format == 3:
        fill = np.zeros((), meta.dtype)[()]
    await _create(root, "data", shape, meta.dtype, DIMS, attrs, layout, fill)
    if has_mask(meta):
        about = {"long_name": "1 where valid", "flag_values": [0, 1], "flag_meanings": "invalid valid"}
        # Where all is valid nothing is stored. Format 2 would read its fill value as missing.
        all_valid = 1 if layout.zarr_format == 3 else None
        await _create(root, "mask", shape, np.dtype("uint8"), DIMS, about | where, _mask_layout(layout, shape[0]), all_valid)
    await _labels(root, "band", meta.bands, layout)
    if meta.grid.is_rectilinear:
        x, y = meta.grid.coords()
        await _coordinate(root, "x", x, meta.grid, layout)
        await _coordinate(root, "y", y, meta.grid, layout)
    await _coordinate(root, "spatial_ref", np.asarray(0, np.int64), meta.grid, layout)
    return await consolidated(store, layout.zarr_format)


async def consolidated(store: MemoryStore, zarr_format: Literal[2, 3]) -> dict[str, Any]:
    """Everything in ``store`` by key, with the consolidated metadata of its root, the root's metadata last."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Consolidated metadata")
        await asynchronous.consolidate_metadata(store, zarr_format=zarr_format)
    keys = [key async for key in store.list()]
    return {key: await store.get(key, default_buffer_prototype()) for key in sorted(keys, key=_root_last)}


def _mask_layout(layout: Layout, bands: int) -> Layout:
    """All bands in one chunk where that is not too large: they mostly have one mask, which then costs one band's bytes."""
    rows, cols = layout.unit
    if bands * rows * cols > _MASK_CHUNK_BYTES:
        return layout
    shards = layout.shards and (bands, *layout.shards[1:])
    return replace(layout, chunks=(bands, *layout.chunks[1:]), shards=shards)


def has_mask(meta: Meta) -> bool:
    """Whether invalid pixels need a ``mask`` because no value marks them."""
    return meta.masked and marking_value(meta) is None


def pixel_array(store: Any, name: str, metadata: Any) -> zarr.Array:
    """An array of a store whose metadata is not written yet."""
    # Chunks of nothing but the fill value are left out, unless that is unknown (None) and a missing chunk would be too.
    config: Any = {"write_empty_chunks": metadata.fill_value is None}
    return quickened(zarr.Array(zarr.AsyncArray(metadata=metadata, store_path=StorePath(store, name), config=config)))


def metadata_of(contents: dict[str, Any], name: str) -> Any:
    """The metadata object of one array of a built group."""
    store = MemoryStore(dict(contents))
    return zarr.open_array(store, path=name, mode="r").metadata


def checked_layout(meta: Meta, chunks: Any, shards: Any, compressor: Any, zarr_format: int, side: tuple[int, int]) -> Layout:
    """A layout out of what a user asked for; ``side`` is (rows, cols) of the chunks where nothing is asked.

    Raises
    ------
    ArgumentError
        Chunks, shards, compressor or format do not go together.
    """
    if zarr_format not in (2, 3):
        raise ArgumentError(f"zarr_format is 3 or 2; got {zarr_format!r}")
    version: Literal[2, 3] = 2 if zarr_format == 2 else 3
    shape = (len(meta.bands), *meta.grid.shape)
    chunk = _sizes(chunks, "chunks", shape, side)
    if shards is None:
        chunk = tuple(min(c, s) for c, s in zip(chunk, shape, strict=True))  # type: ignore[assignment]
        return Layout(chunk, None, checked_compressor(compressor, version), version)
    if zarr_format == 2:
        raise ArgumentError("shards need zarr_format=3")
    shard = _sizes(shards, "shards", shape, side)
    chunk = tuple(min(c, s) for c, s in zip(chunk, shard, strict=True))  # type: ignore[assignment]
    if any(s % c for s, c in zip(shard, chunk, strict=True)):
        raise ArgumentError(f"shards {shard} are not whole multiples of chunks {chunk}")
    return Layout(chunk, shard, checked_compressor(compressor, version), version)


def checked_compressor(compressor: Any, zarr_format: int) -> Any:
    """A codec that fits the format: zstd level 1 for "auto" or "default"; numcodecs' common codecs are translated for 3.

    Raises
    ------
    ArgumentError
        It is no codec, or one of the other format.
    """
    if compressor is None:
        return None
    if isinstance(compressor, str):
        if compressor not in ("auto", "default"):
            raise ArgumentError(f'compressor is "auto", None or a codec object; got {compressor!r}')
        return zarr.codecs.ZstdCodec(level=1) if zarr_format == 3 else numcodecs.Zstd(level=1)
    if zarr_format == 2:
        if not isinstance(compressor, numcodecs.abc.Codec):
            raise ArgumentError(f"zarr format 2 takes a numcodecs codec; got {type(compressor).__name__}")
        return compressor
    if isinstance(compressor, numcodecs.Zstd):
        return zarr.codecs.ZstdCodec(level=compressor.level)
    if isinstance(compressor, numcodecs.GZip):
        return zarr.codecs.GzipCodec(level=compressor.level)
    if isinstance(compressor, numcodecs.Blosc):
        shuffle = {0: "noshuffle", 1: "shuffle", 2: "bitshuffle", -1: "shuffle"}[compressor.shuffle]
        return zarr.codecs.BloscCodec(cname=compressor.cname, clevel=compressor.clevel, shuffle=shuffle)  # type: ignore[arg-type]
    if not hasattr(compressor, "to_dict"):
        raise ArgumentError(f"zarr format 3 takes a codec of zarr.codecs; got {type(compressor).__name__}")
    return compressor


def encode_fill(value: Any, dtype: np.dtype) -> Any:
    """A fill value as xarray writes it into the attributes of format 3: base64 of a double for floats, else a number."""
    if dtype.kind == "f":
        return base64.standard_b64encode(struct.pack("<d", float(value))).decode()
    if dtype.kind == "c":
        return [encode_fill(value.real, np.dtype("f8")), encode_fill(value.imag, np.dtype("f8"))]
    return int(value)


def _sizes(sizes: Any, what: str, shape: Shape3, side: tuple[int, int]) -> Shape3:
    if sizes is None:
        return (1, *side)
    values = (sizes, sizes) if isinstance(sizes, int) else tuple(sizes) if isinstance(sizes, (tuple, list)) else ()
    if len(values) not in (2, 3) or not all(isinstance(v, int) and (v > 0 or v == -1) for v in values):
        raise ArgumentError(f"{what} are (rows, cols) or (bands, rows, cols), numbers above 0, or -1 for all; got {sizes!r}")
    full = values if len(values) == 3 else (1, *values)
    bands, rows, cols = (length if v == -1 else v for v, length in zip(full, shape, strict=True))
    return bands, rows, cols


async def _create(
    root: zarr.AsyncGroup,
    name: str,
    shape: Shape3,
    dtype: np.dtype,
    dims: tuple[str, ...],
    attrs: dict[str, Any],
    layout: Layout,
    fill: Any,
) -> None:
    await root.create_array(
        name,
        shape=shape,
        dtype=dtype,
        chunks=layout.chunks,
        shards=layout.shards,
        compressors=layout.compressor,
        fill_value=fill,
        **_dimensions(dims, attrs, layout),
    )


def _dimensions(dims: tuple[str, ...], attrs: dict[str, Any], layout: Layout) -> dict[str, Any]:
    if layout.zarr_format == 3:
        return {"dimension_names": dims, "attributes": attrs}
    return {"attributes": attrs | {"_ARRAY_DIMENSIONS": list(dims)}}


async def _labels(root: zarr.AsyncGroup, name: str, labels: tuple[str, ...], layout: Layout) -> None:
    width = max(map(len, labels))
    dtype: Any = str if layout.zarr_format == 3 else f"<U{width}"
    array = await root.create_array(
        name, shape=(len(labels),), chunks=(len(labels),), dtype=dtype, compressors=None, **_dimensions((name,), {}, layout)
    )
    await array.setitem(slice(None), np.asarray(labels, dtype=object if layout.zarr_format == 3 else dtype))


async def _coordinate(root: zarr.AsyncGroup, name: str, values: np.ndarray, grid: Grid, layout: Layout) -> None:
    dims = (name,) if values.ndim else ()
    array = await root.create_array(
        name,
        shape=values.shape,
        dtype=values.dtype,
        chunks=values.shape or "auto",
        compressors=layout.compressor if values.ndim else None,
        fill_value=None if layout.zarr_format == 2 else np.zeros((), values.dtype)[()],
        **_dimensions(dims, _coordinate_attrs(name, grid), layout),
    )
    await array.setitem(..., values)


def _coordinate_attrs(name: str, grid: Grid) -> dict[str, Any]:
    if name == "spatial_ref":
        transform = " ".join(repr(float(v)) for v in grid.transform.to_gdal())
        if grid.crs is None:
            return {"GeoTransform": transform}
        crs = pyproj_crs(grid.crs)
        wkt = crs.to_wkt()
        with warnings.catch_warnings():
            # What CF has no words for stays in the WKT beside it.
            warnings.filterwarnings("ignore", message=".* lost in conversion to CF")
            cf = crs.to_cf()
        described = {k: v if isinstance(v, str) else np.asarray(v).tolist() for k, v in cf.items()}
        return described | {"crs_wkt": wkt, "spatial_ref": wkt, "GeoTransform": transform}
    axis = {"axis": name.upper()}
    if grid.crs is None:
        return axis
    crs = pyproj_crs(grid.crs)
    if crs.is_geographic:
        word, unit = ("longitude", "degrees_east") if name == "x" else ("latitude", "degrees_north")
        return axis | {"standard_name": word, "long_name": word, "units": unit}
    units = crs.axis_info[0].unit_name if crs.axis_info else "metre"
    return axis | {"standard_name": f"projection_{name}_coordinate", "units": units}


def _root_last(key: str) -> tuple[int, str]:
    """Metadata of the root after all else, the consolidated one last: until it is there, nothing reads as a store."""
    return (3 if key == ".zmetadata" else 2 if key in ("zarr.json", ".zgroup", ".zattrs") else 0, key)
