"""Zarr, formats 2 and 3: arrays, groups as xarray and GDAL write them, and pyramids of groups "0", "1", "2", ...

A folder, a .zip, or a URL that fsspec knows. Axes, grid, CRS, nodata and band names come from dimension names, coordinate
arrays, the CF grid mapping, GDAL's ``_CRS`` or the ``proj:`` and ``spatial:`` conventions. A variable ``mask`` beside the
pixels says which are valid (not 0). Unlabelled 3-D arrays are (band, y, x), or (y, x, band) where only that can be meant: a
last axis of at most 4 beneath two longer ones. Scale and offset are not applied.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from ..graph.block import Block
from ..graph.errors import ArgumentError, BandError, SourceError
from ..graph.grid import Region
from ..graph.node import Meta, Node, operation
from ..graph.source import TiledSource
from .registry import Driver, as_uri, checked_overviews, local_stamps, pick_bands, register_driver
from .tiles import cheaper_levels, tile_shape
from .validity import given_nodata, validated
from .zarr_header import Level, ZarrHeader, read_zarr_header
from .zarr_store import Options, is_url, naming_zarr_errors, open_array

__all__ = ["ZarrSource", "open_zarr"]

_MARKS = ("zarr.json", ".zarray", ".zgroup", ".zmetadata")


@operation("zarr")
@dataclass(frozen=True, eq=False)
class ZarrSource(TiledSource):
    """Bands of an array in a zarr store.

    Parameters
    ----------
    uri : of the store
    path : of the array or group within the store
    variable : the array of the group, where it was chosen by name
    header : what the store said when it was opened
    bands : 0-based, in the order in which they come out
    level : 0 for full resolution, else a level of a pyramid
    override : the nodata value to use instead of the store's
    overviews : "auto", or "none" if they are not to serve
    options : of fsspec; not shown and not written to JSON, because they may hold credentials
    """

    uri: str
    path: str
    variable: str | None
    header: ZarrHeader = field(metadata={"json": False})
    bands: tuple[int, ...]
    level: int = 0
    override: int | float | complex | None = None
    overviews: str = "auto"
    options: Options = field(default=(), metadata={"json": False})

    def _meta(self) -> Meta:
        header, level = self.header, self._level
        count = len(self.bands)
        nodata = self._nodata
        attrs = dict(json.loads(header.attrs))
        attrs |= {"scales": (header.scale,) * count, "offsets": (header.offset,) * count, "units": (header.unit,) * count}
        return Meta(
            grid=level.grid,
            bands=tuple(header.bands[b] for b in self.bands),
            dtype=header.dtype,
            nodata=nodata,
            masked=level.mask is not None or nodata is not None or header.dtype.kind in "fc",
            tile=tile_shape(level.grid.shape, level.chunk, count * header.dtype.itemsize),
            attrs=attrs,
        )

    def read(self, region: Region) -> Block:
        level = self._level
        if self.header.stamps and local_stamps([path for path, _, _ in self.header.stamps]) != self.header.stamps:
            raise SourceError(f"{self.uri}: has changed or gone since it was opened; open it again")
        where = f"{level.path or 'the array'}, rows {region.row0}:{region.row1}, columns {region.col0}:{region.col1}"
        with naming_zarr_errors(self.uri, f"read {where}"):
            data = self._pixels(level.path, level.axes, region).astype(self.header.dtype, copy=False)
            valid = None if level.mask is None else self._pixels(level.mask, level.mask_axes, region) != 0
        return validated(data, valid, self._nodata)

    # Capabilities

    def select(self, bands: tuple[int, ...]) -> Node:
        if len(set(bands)) != len(bands):
            raise BandError(f"a band cannot come out of {self.uri} twice; got positions {bands}")
        return replace(self, bands=tuple(self.bands[b] for b in bands))

    def overview_levels(self) -> tuple[Node, ...]:
        if self.level != 0 or self.overviews == "none":
            return ()
        return tuple(replace(self, level=k) for k in range(1, len(self.header.levels)))

    def reduced(self, factor: float) -> Node | None:
        if self.overviews == "none":
            return None
        levels = self.header.levels
        fitting = cheaper_levels(self._level.grid.shape, (level.grid.shape for level in levels), factor)
        return next((replace(self, level=k) for k in fitting if self._covers_the_same(levels[k])), None)

    # JSON

    @classmethod
    def from_params(cls, **params: Any) -> Self:
        """Open the store again; credentials come from the environment, never from JSON."""
        uri, overviews = as_uri(params["uri"]), checked_overviews(params["overviews"])
        path, variable = params["path"], params["variable"]
        if ".." in path.split("/") or ".." in (variable or "").split("/"):
            raise ArgumentError(f"{uri}: the path {path!r} in the store leads out of it")
        header = read_zarr_header(uri, path, variable, ())
        bands, level = params["bands"], params["level"]
        if not bands or not all(0 <= band < len(header.bands) for band in bands):
            raise BandError(f"{uri}: has bands 0 to {len(header.bands) - 1}; got {bands!r}")
        if not 0 <= level < len(header.levels):
            raise ArgumentError(f"{uri}: has levels 0 to {len(header.levels) - 1}; got {level!r}")
        override = given_nodata(header.dtype, params["override"])
        return cls(uri, path, variable, header, bands, level, override, overviews, ())

    # Parts

    @property
    def _level(self) -> Level:
        return self.header.levels[self.level]

    @property
    def _nodata(self) -> Any:
        return self.header.nodata if self.override is None else self.override

    def _covers_the_same(self, level: Level) -> bool:
        """Whether a level is the same ground cut into other pixels, so that it can stand in for this one."""
        mine = self._level.grid
        return mine.resized(level.grid.shape).same_pixels(level.grid, tolerance=0.01)

    def _pixels(self, path: str, axes: tuple[int | None, int, int], region: Region) -> np.ndarray:
        """(bands, rows, cols) of an array with axes in any order; (1, rows, cols) if it has no or one band."""
        array = open_array(self.uri, path, self.options, (self.header.digests, self.header.stamps))
        band, y, x = axes
        index: list[Any] = [None] * array.ndim
        index[y], index[x] = region.rows, region.cols
        picked: list[int] | None = None
        if band is not None:
            low, high = (0, 1) if array.shape[band] == 1 else (min(self.bands), max(self.bands) + 1)
            index[band] = slice(low, high)
            wanted = [b - low for b in self.bands] if array.shape[band] > 1 else [0]
            if wanted != list(range(high - low)):
                picked = wanted
            if len(wanted) < (high - low) / 2:
                index[band], picked = [low + b for b in wanted], None
        if band is not None and isinstance(index[band], list):
            values = np.asarray(array.oindex[tuple(index)])
        else:
            values = np.asarray(array[tuple(index)])
        values = values[None] if band is None else values
        order = (0, 1, 2) if band is None and y < x else (0, 2, 1) if band is None else (band, y, x)
        ordered = values.transpose(order)
        return np.ascontiguousarray(ordered if picked is None else ordered[picked])


def open_zarr(uri: str, *, bands: Any, overviews: str, nodata: float | None, storage_options: Mapping[str, Any]) -> Node:
    """The driver's ``open``; see ``open_source``. ``bands`` may name a variable of a group that holds several."""
    options = tuple(sorted(storage_options.items()))
    store, path = split_path(uri)
    variable = None
    try:
        header = read_zarr_header(store, path, None, options)
    except SourceError:
        if not isinstance(bands, str):
            raise
        header = read_zarr_header(store, path, bands, options)
        variable, bands = bands, None
    override = given_nodata(header.dtype, nodata)
    everything = tuple(range(len(header.bands)))
    return pick_bands(ZarrSource(store, path, variable, header, everything, 0, override, overviews, options), bands)


def split_path(uri: str) -> tuple[str, str]:
    """(store, path within it): a zip is a store, and so is the topmost of the folders above that is part of one."""
    if is_url(uri):
        head, found, inner = uri.partition(".zarr/")
        return (head + ".zarr", inner.strip("/")) if found and inner.strip("/") else (uri.rstrip("/"), "")
    path = Path(uri)
    for parent in (path, *path.parents):
        if parent.suffix == ".zip" and parent.is_file():
            return str(parent), "" if parent == path else path.relative_to(parent).as_posix()
    if not path.exists():
        raise SourceError(f"{uri}: no such file")
    root = path
    while _is_marked(root.parent) and root.parent != root:
        root = root.parent
    return str(root), "" if root == path else path.relative_to(root).as_posix()


def accepts(uri: str) -> bool:
    """Whether a URI looks like zarr: by its name, or a local folder or zip by what is in it."""
    name = uri.split("?", 1)[0].rstrip("/").lower()
    if name.endswith((".zarr", ".zarr.zip")) or ".zarr/" in name or ".zarr.zip/" in name:
        return True
    if is_url(uri):
        return name.endswith(("/zarr.json", "/.zarray", "/.zgroup"))
    path = Path(uri)
    return _is_marked(path) or (path.suffix == ".zip" and _zip_is_marked(path))


def _is_marked(folder: Path) -> bool:
    return any(os.path.isfile(folder / mark) for mark in _MARKS)


def _zip_is_marked(path: Path) -> bool:
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.NameToInfo
            return any(mark in names for mark in _MARKS)
    except (OSError, zipfile.BadZipFile):
        return False


register_driver(Driver("zarr", accepts, open_zarr, priority=10))
