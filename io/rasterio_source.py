"""GeoTIFF, COG and every other format of GDAL, through rasterio.

The stored pixels come out as rasterio reads them. Invalid are: the nodata value (per band), NaN, what a mask of the file
says, and pixels whose alpha is 0; the alpha band itself stays a band, all valid. Where a file has a mask or an alpha
band, GDAL does not look at its nodata value, so it is not the raster's nodata either; ``attrs["nodatavals"]`` keeps it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from rasterio.io import DatasetReader
from rasterio.windows import Window

from ..graph.block import Block, both_valid
from ..graph.errors import ArgumentError, BandError, SourceError
from ..graph.grid import Region
from ..graph.node import Meta, Node, operation
from ..graph.source import TiledSource
from ..ops.common import unique_names
from .gdal import Options, gdal_environment, gdal_options, naming_errors, open_dataset, shown
from .rasterio_header import Band, Header, Level, read_header
from .registry import Driver, as_uri, checked_overviews, local_stamps, pick_bands, register_driver
from .tiles import cheaper_levels, tile_shape
from .validity import Nodata, given_nodata, not_nodata

__all__ = ["RasterioSource", "open_rasterio"]

# How far from the nodata value a float still is nodata, in units of its last place, as GDAL has it.
_NODATA_ULPS = 4


@operation("rasterio")
@dataclass(frozen=True, eq=False)
class RasterioSource(TiledSource):
    """Bands of a file at one of its levels.

    Parameters
    ----------
    uri : what GDAL opens
    header : what the file said when it was opened; nothing else is asked of it until pixels are read
    bands : 1-based, in the order in which they come out
    level : None for full resolution, k for the k-th overview
    override : the nodata value to use instead of the file's
    overviews : "auto", or "none" if they are not to serve
    options : GDAL configuration; not shown and not written to JSON, because it may hold credentials
    """

    uri: str
    header: Header = field(metadata={"json": False})
    bands: tuple[int, ...]
    level: int | None = None
    override: int | float | complex | None = None
    overviews: str = "auto"
    options: Options = field(default=(), metadata={"json": False})

    def _meta(self) -> Meta:
        chosen = [self.header.bands[b - 1] for b in self.bands]
        dtype = np.result_type(*(band.dtype for band in chosen))
        nodata = {repr(self._nodata(band)): self._nodata(band) for band in chosen}
        level = self._level
        attrs = dict(self.header.attrs)
        for name in ("tags", "colormap", "rpcs"):
            if name in attrs:
                attrs[name] = dict(attrs[name])
        if "nodatavals" in attrs:
            attrs["nodatavals"] = tuple(attrs["nodatavals"][b - 1] for b in self.bands)
        attrs |= {
            "scales": tuple(band.scale for band in chosen),
            "offsets": tuple(band.offset for band in chosen),
            "units": tuple(band.unit for band in chosen),
            "colorinterp": tuple(band.colorinterp for band in chosen),
            "descriptions": tuple(band.description for band in chosen),
        }
        told = {
            "irepbands": tuple(band.irepband for band in chosen),
            "isubcats": tuple(band.isubcat for band in chosen),
            "wavelengths": tuple(band.wavelength for band in chosen),
        }
        attrs |= {name: values for name, values in told.items() if any(values)}
        if self.bands != tuple(range(1, len(self.header.bands) + 1)):
            attrs.pop("photometric", None)  # it speaks of the file's first bands
        return Meta(
            grid=self.header.grid if self.level is None else self.header.grid.resized(level.shape),
            bands=unique_names([band.name for band in chosen]),
            dtype=dtype,
            nodata=next(iter(nodata.values())) if len(nodata) == 1 else None,
            masked=dtype.kind in "fc" or any(band.mask != "none" or self._nodata(band) is not None for band in chosen),
            tile=tile_shape(level.shape, level.block, len(chosen) * dtype.itemsize),
            attrs=attrs,
        )

    def read(self, region: Region) -> Block:
        where = f"read rows {region.row0}:{region.row1}, columns {region.col0}:{region.col1}"
        if self.level is not None:
            where += f" of overview {self.level}"
        self._check_unchanged()
        with naming_errors(self.uri, where), gdal_environment(self.options):
            dataset = open_dataset(self.uri, self.level, self.options, self.header.watched)
            if dataset.shape != self._level.shape:
                raise SourceError(f"{shown(self.uri)}: has changed since it was opened; open it again")
            window = Window(region.col0, region.row0, region.shape[1], region.shape[0])
            extra = self._alpha_to_read()
            data = self._pixels(dataset, [*self.bands, *extra], window)
            alpha = data[-1] if extra else None
            data = data[: len(self.bands)]
            return Block(data, self._valid(dataset, window, data, alpha))

    # Capabilities

    def select(self, bands: tuple[int, ...]) -> Node:
        return replace(self, bands=tuple(self.bands[b] for b in bands))

    def overview_levels(self) -> tuple[Node, ...]:
        if self.level is not None:
            return ()
        return tuple(replace(self, level=k) for k in range(len(self.header.levels) - 1))

    def reduced(self, factor: float) -> Node | None:
        fitting = cheaper_levels(self._level.shape, (level.shape for level in self.header.levels[1:]), factor)
        return replace(self, level=fitting[0]) if fitting else None

    def describe(self) -> str:
        part = "" if self.level is None else f", overview {self.level + 1}"
        some = "" if len(self.bands) == len(self.header.bands) else f", bands {', '.join(map(str, self.bands))}"
        return f"{shown(self.uri).rsplit('/', 1)[-1]}{some}{part}"

    # JSON

    @classmethod
    def from_params(cls, **params: Any) -> Self:
        """Open the file again; credentials and permissions come from the environment, never from JSON."""
        uri, overviews = as_uri(params["uri"]), checked_overviews(params["overviews"])
        bands, level, override = params["bands"], params["level"], params["override"]
        header = read_header(uri, overviews, ())
        if not bands or not all(1 <= band <= len(header.bands) for band in bands):
            raise BandError(f"{shown(uri)}: has bands 1 to {len(header.bands)}; got {bands!r}")
        if level is not None and not 0 <= level < len(header.levels) - 1:
            raise ArgumentError(f"{shown(uri)}: has {len(header.levels) - 1} overviews; got level {level!r}")
        dtype = np.result_type(*(header.bands[band - 1].dtype for band in bands))
        return cls(uri, header, bands, level, given_nodata(dtype, override), overviews, ())

    # Parts

    @property
    def _level(self) -> Level:
        return self.header.levels[0 if self.level is None else self.level + 1]

    def _nodata(self, band: Band) -> Nodata:
        if self.override is not None:
            return self.override
        return band.nodata if band.mask == "nodata" else None

    def _pixels(self, dataset: DatasetReader, bands: list[int], window: Window) -> np.ndarray:
        if len({self.header.bands[b - 1].dtype for b in bands}) == 1:
            return dataset.read(bands, window=window, out_dtype=self.meta.dtype)
        # rasterio reads bands of one type at a time.
        return np.stack([dataset.read(b, window=window).astype(self.meta.dtype) for b in bands])

    def _alpha_to_read(self) -> tuple[int, ...]:
        """The alpha band, where validity hangs on it."""
        wanted = any(self.header.bands[b - 1].mask == "alpha" for b in self.bands)
        return (self.header.alpha,) if wanted and self.header.alpha is not None else ()

    def _valid(self, dataset: DatasetReader, window: Window, data: np.ndarray, alpha: np.ndarray | None) -> np.ndarray | None:
        shared: dict[str, np.ndarray] = {}
        if alpha is not None:
            shared["alpha"] = alpha != 0
        masks: list[np.ndarray | None] = []
        for number, pixels in zip(self.bands, data, strict=True):
            band = self.header.bands[number - 1]
            if band.mask == "dataset" and "dataset" not in shared:
                shared["dataset"] = dataset.read_masks(number, window=window) != 0
            own = not_nodata(pixels, self._nodata(band), ulps=_NODATA_ULPS)
            masks.append(both_valid(shared.get(band.mask), own))
        if all(mask is masks[0] for mask in masks):
            return None if masks[0] is None else masks[0][None]
        return np.stack([np.ones(data.shape[1:], bool) if mask is None else mask for mask in masks])

    def _check_unchanged(self) -> None:
        watched = self.header.watched
        if watched and local_stamps([path for path, _, _ in watched]) != watched:
            raise SourceError(f"{shown(self.uri)}: has changed or gone since it was opened; open it again")


def open_rasterio(uri: str, *, bands: Any, overviews: str, nodata: float | None, storage_options: Mapping[str, Any]) -> Node:
    """The driver's ``open``; see ``open_source``."""
    options = gdal_options(storage_options)
    header = read_header(uri, overviews, options)
    dtype = np.result_type(*(band.dtype for band in header.bands))
    everything = tuple(range(1, len(header.bands) + 1))
    source = RasterioSource(uri, header, everything, None, given_nodata(dtype, nodata), overviews, options)
    return pick_bands(source, bands)


register_driver(Driver("rasterio", lambda uri: True, open_rasterio, priority=100))
