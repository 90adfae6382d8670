"""``Raster``: what a user holds. A node of the graph, what is known of it, and every verb as a thin method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from affine import Affine
from pyproj import CRS

from .arithmetic import Arithmetic
from .geometry import Geometry
from .graph.chunks import choose_chunks
from .graph.grid import Bounds, Grid, pyproj_crs
from .html import raster_html, raster_text
from .outputs import Outputs
from .pixels import Pixels


class Raster(Geometry, Pixels, Arithmetic, Outputs):
    """A lazy image: (band, y, x) pixels on a grid, computed when asked for.

    Made by ``weft.open``, ``weft.from_array``, ``weft.from_xarray`` and every verb. Immutable; verbs give a new Raster.
    ``==`` compares pixels, lazily, as numpy does: two graphs are the same when their ``token`` is.
    """

    __slots__ = ()
    __hash__ = Arithmetic.__hash__
    __iter__ = None  # an image has three axes: r[band], r.bands and np.asarray(r) say which is meant

    @property
    def shape(self) -> tuple[int, int, int]:
        """(bands, rows, cols)."""
        meta = self.node.meta
        return len(meta.bands), *meta.grid.shape

    @property
    def ndim(self) -> int:
        """3."""
        return 3

    @property
    def dtype(self) -> np.dtype:
        """Data type of every band."""
        return self.node.meta.dtype

    @property
    def bands(self) -> tuple[str, ...]:
        """Band names."""
        return self.node.meta.bands

    @property
    def grid(self) -> Grid:
        """Shape, transform and CRS together."""
        return self.node.meta.grid

    @property
    def crs(self) -> CRS | None:
        """The CRS as pyproj has it, or None for a plain pixel grid."""
        return None if self.grid.crs is None else pyproj_crs(self.grid.crs)

    @property
    def transform(self) -> Affine:
        """(col, row) pixel-corner coordinates to CRS units."""
        return self.grid.transform

    @property
    def bounds(self) -> Bounds:
        """(left, bottom, right, top) in CRS units."""
        return self.grid.bounds

    @property
    def resolution(self) -> tuple[float, float]:
        """Pixel size (x, y) in CRS units, both positive."""
        return self.grid.resolution

    @property
    def nodata(self) -> float | int | complex | None:
        """The value beneath invalid pixels, or None."""
        return self.node.meta.nodata

    @property
    def chunks(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """Chunk lengths along (band, y, x) in which ``data`` is computed."""
        return (len(self.bands),), *choose_chunks(self.node.meta)

    @property
    def attrs(self) -> Mapping[str, Any]:
        """What the source said beyond that: scales, offsets, units, GCPs, tags."""
        return self.node.meta.attrs

    @property
    def token(self) -> str:
        """Hash of the graph: equal for equal graphs, in any process."""
        return self.node.token

    def __repr__(self) -> str:
        return raster_text(self.node)

    def _repr_html_(self) -> str:
        return raster_html(self.node)
