"""Select: keep, reorder, repeat or rename bands. Pixels stay as stored; what is left out is never read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..graph.block import Block
from ..graph.errors import ArgumentError, BandError
from ..graph.grid import Region
from ..graph.node import Meta, Node, operation, rule, verb
from .common import PER_BAND, unique_names

__all__ = ["select"]


@operation("select")
@dataclass(frozen=True, eq=False)
class Select(Node):
    """Bands of ``source`` at positions ``bands``, named ``names`` (their own names where None)."""

    source: Node
    bands: tuple[int, ...]
    names: tuple[str, ...] | None = None

    is_pointwise = True

    def _meta(self) -> Meta:
        meta = self.source.meta
        if not self.bands:
            raise BandError(f"a raster has at least one band; keep some of {', '.join(meta.bands[:20])}")
        if any(not 0 <= band < len(meta.bands) for band in self.bands):
            raise BandError(f"band positions {self.bands} are not all within 0 .. {len(meta.bands) - 1}")
        names = _own_names(self.source, self.bands) if self.names is None else self.names
        if len(names) != len(self.bands) or len(set(names)) != len(names) or not all(names):
            raise ArgumentError(f"{len(self.bands)} bands need as many different names; got {names}")
        return meta.having(bands=names, attrs=meta.attrs if self._all_in_order else self._picked_attrs())

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        (block,) = blocks
        first, step = self.bands[0], (self.bands[1] - self.bands[0] if len(self.bands) > 1 else 1)
        run = range(first, first + step * len(self.bands), step) if step else range(0)
        picked: Any = list(self.bands)
        if tuple(run) == self.bands:
            picked = slice(run.start, run.stop if run.stop >= 0 else None, run.step)
        valid = block.valid if block.valid is None or block.valid.shape[0] == 1 else block.valid[picked]
        return Block(block.data[picked], valid)

    @rule("all bands kept", exact=True)
    def _identity(self) -> Node | None:
        return self.source if self._all_in_order and self.meta.bands == self.source.meta.bands else None

    @rule("select of select", exact=True)
    def _compose(self) -> Node | None:
        inner = self.source
        if not isinstance(inner, Select):
            return None
        return renamed(inner.source, tuple(inner.bands[band] for band in self.bands), self.meta.bands)

    @rule("bands into the source", exact=True)
    def _push(self) -> Node | None:
        unique = tuple(dict.fromkeys(self.bands))
        if unique == tuple(range(len(self.source.meta.bands))):
            return None
        inner = self.source.select(unique)
        return None if inner is None else renamed(inner, tuple(map(unique.index, self.bands)), self.meta.bands)

    def select(self, bands: tuple[int, ...]) -> Node | None:
        return renamed(self.source, tuple(self.bands[band] for band in bands), tuple(self.meta.bands[band] for band in bands))

    def _picked_attrs(self) -> dict[str, Any]:
        """The attributes of the bands kept, without the one that speaks of the first bands."""
        meta = self.source.meta
        attrs = {name: value for name, value in meta.attrs.items() if name != "photometric"}
        for name in PER_BAND:
            values = attrs.get(name)
            if isinstance(values, (tuple, list)) and len(values) == len(meta.bands):
                attrs[name] = tuple(values[band] for band in self.bands)
        return attrs

    @property
    def _all_in_order(self) -> bool:
        return self.bands == tuple(range(len(self.source.meta.bands)))


def picked_bands(source: Node, bands: tuple[int, ...]) -> Node:
    """``source`` with just these bands: what operations put beneath themselves when they pass a selection on."""
    return source if bands == tuple(range(len(source.meta.bands))) else Select(source, bands)


def renamed(source: Node, bands: tuple[int, ...], names: tuple[str, ...]) -> Node:
    """Bands of ``source`` under ``names``, without a node where that changes nothing."""
    if names == _own_names(source, bands):
        return picked_bands(source, bands)
    return Select(source, bands, names)


@verb
def select(raster: Node, bands: Any) -> Node:
    """Keep some bands, in the order given.

    Parameters
    ----------
    raster : Raster, (band, y, x)
    bands : str, int, slice, sequence of str and int, or mapping {new name: band}
        Names or 0-based positions, negative ones counted from the end. A band that is named twice comes twice, the second
        time with "_2" behind its name. A mapping also renames.

    Returns
    -------
    Raster of the chosen bands; dtype, nodata and pixels as they were.

    Raises
    ------
    BandError
        A band is not there, or none is chosen; the message lists those that are.
    ArgumentError
        A new name is not a non-empty string, or a slice is not made of whole numbers.
    """
    if isinstance(bands, Mapping):
        if not all(isinstance(name, str) and name for name in bands):
            raise ArgumentError(f"new band names are non-empty strings; got {list(bands)}")
        return Select(raster, raster.meta.band_indices(list(bands.values())), tuple(bands))
    try:
        positions = raster.meta.band_indices(bands)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"bands are names, positions or a slice of positions; got {bands!r}") from error
    return Select(raster, positions)


def _own_names(source: Node, bands: tuple[int, ...]) -> tuple[str, ...]:
    return unique_names(source.meta.bands[band] for band in bands)
