"""What a GDAL file says of itself, read once when it is opened: a plain value that pickles and compares by content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import rasterio
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.io import DatasetReader

from ..graph.errors import CRSError, SourceError
from ..graph.grid import MAX_SIDE, Grid, crs_name
from ..graph.values import ByContent
from ..ops.common import unique_names
from .gdal import Options, Stamps, gdal_environment, naming_errors, open_dataset, shown
from .registry import is_local, local_stamps
from .validity import Nodata, nodata_of
from .vrt import check_remote_vrt, check_vrt

MAX_BLOCK_BYTES = 4 * 2**30
# Of a VRT of thousands of files only the first few are asked for changes on every read.
_MOST_WATCHED = 4
# GDAL's names for types that numpy has none for.
_DTYPES = {"complex_int16": "complex64"}
# IREPBAND of a NITF image subheader, which GDAL tells as a colour interpretation only.
_IREPBANDS = {"red": "R", "green": "G", "blue": "B", "gray": "M", "palette": "LU", "Y": "Y", "Cb": "Cb", "Cr": "Cr"}


class Band(NamedTuple):
    """One band: ``mask`` says what makes its pixels invalid, "none", "nodata", "alpha" or "dataset".

    ``irepband`` and ``isubcat`` are NITF's; ``wavelength`` is the centre in nm.
    """

    name: str
    dtype: str
    nodata: Nodata
    mask: str
    scale: float
    offset: float
    unit: str | None
    colorinterp: str
    description: str | None
    irepband: str | None = None
    isubcat: str | None = None
    wavelength: float | None = None


class Level(NamedTuple):
    """Full resolution or one overview: its shape and the shape of its blocks, (rows, cols) both."""

    shape: tuple[int, int]
    block: tuple[int, int]


@dataclass(frozen=True)
class Header(ByContent):
    """Everything the engine wants to know of a file before it reads a pixel.

    Parameters
    ----------
    driver : GDAL's name of the format
    grid : Grid of full resolution
    bands : Band of every band
    alpha : 1-based position of the alpha band, or None
    levels : full resolution first, then the overviews as the file orders them
    stamps : (path, size, mtime in ns) of the local files it is made of
    attrs : (name, value) of what else the file says
    """

    driver: str
    grid: Grid
    bands: tuple[Band, ...]
    alpha: int | None
    levels: tuple[Level, ...]
    stamps: Stamps
    attrs: tuple[tuple[str, Any], ...]

    @property
    def watched(self) -> Stamps:
        """The files whose change makes this header stale."""
        return self.stamps[:_MOST_WATCHED]


def read_header(uri: str, overviews: str, options: Options) -> Header:
    """Open a file with GDAL and take down its header.

    Raises
    ------
    SourceError
        It cannot be opened, names files it must not, holds no bands, or claims sizes nobody could read.
    """
    if is_local(uri):
        stamps = local_stamps([uri])
        if not stamps:
            raise SourceError(f"{uri}: no such file")
        if not _allows_outside(options):
            check_vrt(uri)
    elif uri.startswith(("<", "{")) and not _allows_outside(options):
        check_remote_vrt(uri.encode(), "inline VRT")
        stamps = ()
    else:
        stamps = ()
    with naming_errors(uri, "open it"), gdal_environment(options):
        dataset = open_dataset(uri, None, options, stamps)
        if dataset.driver == "VRT" and not is_local(uri) and not _allows_outside(options):
            check_remote_vrt(dataset.tags(ns="xml:VRT").get("xml:VRT", "").encode(), shown(uri))
        _check_sizes(dataset, uri)
        levels = [_level(dataset)]
        if overviews != "none":
            levels += _overview_levels(dataset, uri, options, stamps)
        files = stamps + tuple(s for s in local_stamps(_files(dataset, uri)) if s not in stamps)
        return Header(
            driver=dataset.driver,
            grid=_grid(dataset),
            bands=_bands(dataset),
            alpha=_alpha(dataset),
            levels=tuple(levels),
            stamps=files,
            attrs=_attrs(dataset),
        )


def _allows_outside(options: Options) -> bool:
    return dict(options).get("allow_outside") is True


def _check_sizes(dataset: DatasetReader, uri: str) -> None:
    if dataset.count == 0:
        inside = "; ".join(dataset.subdatasets[:20])
        hint = f"open one of its subdatasets: {inside}" if inside else "it holds no image"
        raise SourceError(f"{shown(uri)}: the file has no bands; {hint}")
    if not (0 < dataset.width <= MAX_SIDE and 0 < dataset.height <= MAX_SIDE):
        raise SourceError(f"{shown(uri)}: claims {dataset.height} x {dataset.width} pixels, which cannot be")
    rows, cols = dataset.block_shapes[0]
    together = dataset.count if dataset.interleaving and dataset.interleaving.value == "PIXEL" else 1
    size = rows * cols * together * max(_dtype(name).itemsize for name in dataset.dtypes)
    if size > MAX_BLOCK_BYTES:
        raise SourceError(
            f"{shown(uri)}: stores blocks of {rows} x {cols} pixels, {size / 2**30:.1f} GiB each; "
            f"more than {MAX_BLOCK_BYTES >> 30} GiB is not read"
        )


def _level(dataset: DatasetReader) -> Level:
    rows, cols = dataset.block_shapes[0]
    return Level((dataset.height, dataset.width), (int(rows), int(cols)))


def _overview_levels(dataset: DatasetReader, uri: str, options: Options, stamps: Stamps) -> list[Level]:
    levels = []
    for k in range(len(dataset.overviews(1))):
        with rasterio.open(uri, sharing=False, OVERVIEW_LEVEL=k) as overview:
            levels.append(_level(overview))
    return levels


def _files(dataset: DatasetReader, uri: str) -> list[str]:
    archives = [part for part in (uri.split("!")[0].split("://")[-1],) if uri.startswith(("zip", "tar", "gzip"))]
    return archives + [_inside_archive(name) for name in dataset.files]


def _inside_archive(name: str) -> str:
    """The archive on disk that a /vsizip/ or /vsitar/ path lies in; any other path as it is."""
    for prefix in ("/vsizip/", "/vsitar/", "/vsigzip/"):
        if name.startswith(prefix):
            path = name[len(prefix) :].strip("{}")
            while path and not local_stamps([path]):
                path = path.rpartition("/")[0]
            return path
    return name


def _grid(dataset: DatasetReader) -> Grid:
    shape = (dataset.height, dataset.width)
    placed_otherwise = dataset.transform.is_identity and (dataset.gcps[0] or dataset.rpcs)
    if dataset.crs is None or placed_otherwise:
        return Grid(shape, dataset.transform)
    try:
        return Grid(shape, dataset.transform, crs_name(dataset.crs))
    except CRSError:
        return Grid(shape, dataset.transform)


def _dtype(name: str) -> np.dtype:
    return np.dtype(_DTYPES.get(name, name))


def _bands(dataset: DatasetReader) -> tuple[Band, ...]:
    names = [text or f"b{i}" for i, text in enumerate(dataset.descriptions, start=1)]
    is_nitf, wavelengths = dataset.driver == "NITF", _wavelengths(dataset)
    bands = []
    for i, name in enumerate(unique_names(names)):
        flags = set(dataset.mask_flag_enums[i])
        dtype = _dtype(dataset.dtypes[i])
        nodata = nodata_of(dtype, dataset.nodatavals[i])
        bands.append(
            Band(
                name=name,
                dtype=dtype.name,
                nodata=nodata,
                mask=_mask_kind(flags),
                scale=float(dataset.scales[i]),
                offset=float(dataset.offsets[i]),
                unit=dataset.units[i],
                colorinterp=dataset.colorinterp[i].name,
                description=dataset.descriptions[i],
                irepband=_IREPBANDS.get(dataset.colorinterp[i].name) if is_nitf else None,
                isubcat=dataset.tags(i + 1).get("NITF_ISUBCAT") if is_nitf else None,
                wavelength=wavelengths.get(i),
            )
        )
    return tuple(bands)


def _wavelengths(dataset: DatasetReader) -> dict[int, float]:
    """Centre wavelengths in nm of the bands (from 0) that have one: of NITF's BANDSB, or GDAL's domain IMAGERY, in micrometres.

    BANDSB (STDI-0002, appendix X) has them in micrometres, unit U, or as wave numbers per centimetre, unit W.
    """
    if dataset.driver == "NITF":
        tags = dataset.tags()
        given = [_number(tags.get(f"NITF_BANDSB_BAND_{i:05d}_CWAVE")) for i in range(1, dataset.count + 1)]
        per_centimetre = tags.get("NITF_BANDSB_WAVE_LENGTH_UNIT") == "W"
    else:
        given = [_number(dataset.tags(i, ns="IMAGERY").get("CENTRAL_WAVELENGTH_UM")) for i in range(1, dataset.count + 1)]
        per_centimetre = False
    return {i: 1e7 / value if per_centimetre else 1e3 * value for i, value in enumerate(given) if value > 0}


def _number(text: str | None) -> float:
    """A positive, finite number; 0 where the text holds none."""
    try:
        value = float(text or 0)
    except ValueError:
        return 0.0
    return value if np.isfinite(value) else 0.0


def _photometric(dataset: DatasetReader) -> str | None:
    """How a TIFF's samples are meant, in lower case, as far as GDAL tells: it names the first bands after it."""
    if dataset.photometric is not None:
        return str(dataset.photometric.name)
    if dataset.driver not in ("GTiff", "COG"):
        return None
    if dataset.colorinterp[0] is ColorInterp.palette:
        return "palette"
    return "rgb" if dataset.colorinterp[:3] == (ColorInterp.red, ColorInterp.green, ColorInterp.blue) else None


def _mask_kind(flags: set[MaskFlags]) -> str:
    if MaskFlags.all_valid in flags:
        return "none"
    if MaskFlags.alpha in flags:
        return "alpha"
    if flags == {MaskFlags.nodata}:
        return "nodata"
    return "dataset"


def _alpha(dataset: DatasetReader) -> int | None:
    """The band whose zeros GDAL takes as "invalid": the last of those marked as alpha."""
    return next((i for i in range(dataset.count, 0, -1) if dataset.colorinterp[i - 1] is ColorInterp.alpha), None)


def _attrs(dataset: DatasetReader) -> tuple[tuple[str, Any], ...]:
    attrs: dict[str, Any] = {"driver": dataset.driver}
    tags = {key: value for key, value in dataset.tags().items() if isinstance(value, str)}
    if tags:
        attrs["tags"] = tuple(sorted(tags.items()))
    photometric = _photometric(dataset)
    if photometric is not None:
        attrs["photometric"] = photometric
    for i, interpretation in enumerate(dataset.colorinterp, start=1):
        if interpretation is ColorInterp.palette:
            attrs["colormap"] = tuple(sorted(dataset.colormap(i).items()))
            break
    points, points_crs = dataset.gcps
    if points:
        attrs["gcps"] = tuple(tuple(float(v or 0.0) for v in (p.row, p.col, p.x, p.y, p.z)) for p in points)
        attrs["gcps_crs"] = _crs_or_text(points_crs)
    if dataset.rpcs:
        terms = dataset.rpcs.to_dict()
        attrs["rpcs"] = tuple((name, tuple(v) if isinstance(v, list) else v) for name, v in sorted(terms.items()))
    if dataset.crs is not None:
        attrs["file_crs"] = _crs_or_text(dataset.crs)
    if dataset.subdatasets:
        attrs["subdatasets"] = tuple(dataset.subdatasets)
    if any(value is not None for value in dataset.nodatavals):
        attrs["nodatavals"] = tuple(dataset.nodatavals)
    return tuple(attrs.items())


def _crs_or_text(crs: Any) -> str | None:
    if crs is None:
        return None
    try:
        return crs_name(crs)
    except CRSError:
        return str(crs.to_wkt())
