"""Weft: a lazy raster dataflow engine. Open imagery, chain operations, read only what the answer needs."""

from __future__ import annotations

from importlib.metadata import version

from .accessor import WeftAccessor
from .graph.errors import (
    ArgumentError,
    BandError,
    CRSError,
    DtypeError,
    GraphFormatError,
    GridError,
    MemoryLimitError,
    PlanError,
    SinkError,
    SourceError,
    WeftError,
)
from .graph.grid import Grid, Region
from .progress import progress
from .pyramid import Pyramid
from .raster import Raster
from .reading import concat, from_array, from_json, from_xarray, open
from .toolkit import PyramidBuilder, TiledImagePyramid, iter_blocks

__version__ = version("weft")

__all__ = [
    "ArgumentError",
    "BandError",
    "CRSError",
    "DtypeError",
    "GraphFormatError",
    "Grid",
    "GridError",
    "MemoryLimitError",
    "PlanError",
    "Pyramid",
    "PyramidBuilder",
    "Raster",
    "Region",
    "SinkError",
    "SourceError",
    "TiledImagePyramid",
    "WeftAccessor",
    "WeftError",
    "__version__",
    "concat",
    "from_array",
    "from_json",
    "from_xarray",
    "iter_blocks",
    "open",
    "progress",
]
