"""Concat: the bands of several rasters on the same pixels, one after the other.

Values keep their meaning: the dtype is the one that holds all inputs (numpy's promotion), validity is kept band by band.
The nodata value stays if all inputs have the same; otherwise it is NaN for floats and none for integers, and invalid
pixels are rewritten to hold what then stands beneath them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np

from ..graph.block import Block
from ..graph.errors import ArgumentError, BandError
from ..graph.grid import Region
from ..graph.node import H, Meta, Node, operation, rule
from .common import PER_BAND, joint_nodata, same_pixels, same_value, spread, unique_names
from .select import picked_bands, renamed

__all__ = ["concat"]


@operation("concat")
@dataclass(frozen=True, eq=False)
class Concat(Node):
    """All bands of ``sources`` as ``names``. With a ``dtype``, that and ``nodata`` hold whatever the sources would give."""

    sources: tuple[Node, ...]
    names: tuple[str, ...] | None = None
    dtype: np.dtype | None = None
    nodata: int | float | complex | None = None

    is_pointwise = True

    def _meta(self) -> Meta:
        if not self.sources:
            raise ArgumentError("concat needs at least one raster")
        same_pixels("concat", self.sources)
        metas = [node.meta for node in self.sources]
        names = unique_names(name for meta in metas for name in meta.bands) if self.names is None else self.names
        count = sum(len(meta.bands) for meta in metas)
        if len(names) != count or len(set(names)) != count or not all(names):
            raise BandError(f"concat of {count} bands needs as many different names; got {', '.join(map(str, names))}")
        dtype, nodata = self.dtype, self.nodata
        if dtype is None:
            dtype = np.result_type(*(meta.dtype for meta in metas))
            nodata = joint_nodata([meta.nodata for meta in metas], dtype)
        masked = any(meta.masked for meta in metas)
        return metas[0].having(bands=names, dtype=dtype, nodata=nodata, masked=masked, attrs=_joined_attrs(metas))

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        meta = self.meta
        if len(blocks) == 1 and self._keeps(self.sources[0]):
            return blocks[0]
        data = np.empty((len(meta.bands), *region.shape), meta.dtype)
        valid = None if all(block.valid is None for block in blocks) else np.empty(data.shape, bool)
        stop = 0
        for node, block in zip(self.sources, blocks, strict=True):
            start, stop = stop, stop + len(block.data)
            data[start:stop] = block.data
            mask = spread(block.valid, block.data.shape)
            if valid is not None:
                valid[start:stop] = mask
            if block.valid is not None and not same_value(node.meta.nodata, meta.nodata):
                np.copyto(data[start:stop], np.asarray(meta.fill).astype(meta.dtype), where=~mask)
        return Block(data, valid)

    @rule("concat of one", exact=True)
    def _identity(self) -> Node | None:
        first = self.sources[0]
        if len(self.sources) > 1 or not self._keeps(first):
            return None
        return renamed(first, tuple(range(len(first.meta.bands))), self.meta.bands)

    @rule("concat of concat", exact=True)
    def _flatten(self) -> Node | None:
        flat: list[Node] = []
        for node in self.sources:
            # A concat of another dtype has another fill, which would no longer be written.
            joined = isinstance(node, Concat) and node.meta.dtype == self.meta.dtype
            flat.extend(node.sources if joined and isinstance(node, Concat) else (node,))
        if len(flat) == len(self.sources) or not all(self.meta.grid.same_pixels(node.meta.grid) for node in flat):
            return None
        return self._of(flat, self.meta.bands)

    def select(self, bands: tuple[int, ...]) -> Node | None:
        starts = [0, *accumulate(len(node.meta.bands) for node in self.sources)]
        kept: list[Node] = []
        order: list[int] = []
        for node, start in zip(self.sources, starts, strict=False):
            wanted = tuple(sorted({band - start for band in bands if start <= band < start + len(node.meta.bands)}))
            if wanted:
                kept.append(picked_bands(node, wanted))
                order.extend(start + band for band in wanted)
        # Grids may differ by a thousandth of a pixel; the first input's is the one that counts, so it must not change.
        if len(order) == len(self.meta.bands) or kept[0].meta.grid != self.meta.grid:
            return None
        narrow = self._of(kept, tuple(self.meta.bands[band] for band in order))
        return renamed(narrow, tuple(map(order.index, bands)), tuple(self.meta.bands[band] for band in bands))

    def _keeps(self, node: Node) -> bool:
        """Whether pixels of ``node`` pass unchanged."""
        return node.meta.dtype == self.meta.dtype and same_value(node.meta.nodata, self.meta.nodata)

    def _of(self, sources: Sequence[Node], names: tuple[str, ...]) -> Concat:
        """A concat of other sources whose result has this one's dtype and nodata."""
        plain = Concat(tuple(sources))
        same = plain.meta.dtype == self.meta.dtype and same_value(plain.meta.nodata, self.meta.nodata)
        own = None if plain.meta.bands == names else names
        if same:
            return Concat(tuple(sources), own)
        return Concat(tuple(sources), own, self.meta.dtype, self.meta.nodata)


def concat(rasters: Iterable[H], *, bands: Sequence[str] | None = None) -> H:
    """Put the bands of several rasters one after the other.

    Parameters
    ----------
    rasters : iterable of Raster, each (band, y, x), all on the same pixels
    bands : names, one per resulting band, optional
        Left out, the rasters' own; one that comes again gets "_2", "_3", ... behind it.

    Returns
    -------
    Raster (all bands, y, x) of the kind of the first, dtype ``np.result_type`` of all. The nodata value stays if all
    have the same; otherwise it is NaN for floats and None for integers.

    Raises
    ------
    GridError
        Two rasters lie on different pixels; the message names both grids and which inputs they are.
    BandError
        ``bands`` are not as many different names as there are bands.
    ArgumentError
        There is no raster, or something else among them.
    """
    given = list(rasters) if isinstance(rasters, Iterable) else [None]
    if not given:
        raise ArgumentError("concat needs at least one raster")
    if not all(isinstance(getattr(raster, "node", None), Node) for raster in given):
        raise ArgumentError("concat takes a sequence of rasters; an array becomes one by weft.from_array()")
    names = None if bands is None else ((bands,) if isinstance(bands, str) else tuple(bands))
    return given[0].with_node(Concat(tuple(raster.node for raster in given), names))  # type: ignore[no-any-return]


def _joined_attrs(metas: list[Meta]) -> dict[str, Any]:
    """The first raster's attributes; of those with a value per band, the values of all, if all have them."""
    if len(metas) == 1:
        return dict(metas[0].attrs)
    attrs = {name: value for name, value in metas[0].attrs.items() if name not in (*PER_BAND, "photometric")}
    for name in PER_BAND:
        values = [meta.attrs.get(name) for meta in metas]
        if all(isinstance(v, (tuple, list)) and len(v) == len(meta.bands) for v, meta in zip(values, metas, strict=True)):
            attrs[name] = tuple(item for v in values if v is not None for item in v)
    return attrs
