"""Display: which bands of an image to show as what colour, and the chain that makes them fit for a screen.

Three bands are shown as red, green and blue, fewer as one grey band. Which three, the first of these that knows says:

1. band names red, green, blue (a user's ``select`` renames bands, so what a name says was said last);
2. IREPBAND of a NITF image subheader (R, G, B);
3. a photometric interpretation of RGB: the first three bands;
4. GDAL's colour interpretation (red, green, blue);
5. centre wavelengths, of a NITF BANDSB for one: the bands nearest to 660, 532.5 and 472.5 nm, if they are three;
6. ISUBCAT of a NITF image subheader (R, G, B);
7. the first three, with a warning if there are more; an alpha band is no colour.

2 to 6 are the OSML imagery toolkit's order. What it takes from files stands in ``Raster.attrs``: "irepbands", "photometric",
"colorinterp", "wavelengths", "isubcats".

Imagery that is ready to be shown stays as it is: palettes, RGB and YCbCr (which readers decode to RGB) of 8 bits, and 8 bits
of one or three bands, an alpha band not counted. All else goes through dynamic range adjustment (``weft.ops.dra``), band by
band, with the whole image's histogram. Nothing is sampled at random: the same image always looks the same.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from typing import Any, get_args

import numpy as np

from ..graph.block import Block
from ..graph.errors import ArgumentError, BandError, DtypeError
from ..graph.grid import Grid, Region
from ..graph.lower import to_dask
from ..graph.node import HasNode, Meta, Node, Source, as_dtype, operation, verb
from ..graph.plan import make_plan
from ..graph.sweep import StandIn
from .chain import ProcessingChain, raster_step
from .dra import DRAMode, DRAParameters, dra
from .histogram import ImageHistogram
from .select import select
from .stretch import LinearStretch, display_range

__all__ = ["DisplayChainFactory", "display"]

_COLOURS = ("red", "green", "blue")
_CENTRES = (660.0, 532.5, 472.5)
_READY = ("palette", "rgb", "ycbcr")

Bands = tuple[int, ...]


@operation("fixed_range")
@dataclass(frozen=True, eq=False)
class FixedRange(Source):
    """Table (bands, 1, 2): a range per band that was known beforehand, in data units."""

    ranges: tuple[tuple[float, float], ...]
    bands: tuple[str, ...]

    def _meta(self) -> Meta:
        if len(self.ranges) != len(self.bands):
            raise BandError(f"{len(self.ranges)} ranges do not fit {len(self.bands)} bands")
        return Meta(Grid((1, 2)), self.bands, np.dtype(np.float64), tile=(1, 2))

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        return Block(np.array(self.ranges, np.float64)[:, None, :]).cut(self.meta.grid.region, region)


@raster_step
@dataclass(frozen=True)
class RangeStep:
    """The step that maps the range of each band onto that of ``dtype``, cut off as DRA does.

    Parameters
    ----------
    span : table (bands, 1, 2) of the ranges, lazy; an array is the first to need its numbers
    dtype : of the result
    """

    span: Node
    dtype: np.dtype

    def __call__(self, image: Any) -> Any:
        if isinstance(getattr(image, "node", None), Node):
            return image.with_node(self._stretched(image.node, self.span))
        bands = self.span.meta.bands
        if len(image) != len(bands):
            raise BandError(f"the display chain takes {len(bands)} bands; the array has {len(image)}")
        grid = Grid(image.shape[1:])
        stretch = self._stretched(StandIn("image", Meta(grid, bands, image.dtype)), self.span)
        return stretch.kernel((Block(image), Block(self.ranges)), grid.region).data

    @cached_property
    def ranges(self) -> np.ndarray:
        """(bands, 1, 2) float64, computed once."""
        return np.asarray(to_dask(make_plan(self.span)).compute())

    def _stretched(self, image: Node, span: Node) -> LinearStretch:
        if len(image.meta.bands) != len(span.meta.bands):
            raise BandError(f"the display chain takes {len(span.meta.bands)} bands; the raster has {len(image.meta.bands)}")
        return LinearStretch(image, span, self.dtype, (0.0, display_range(self.dtype)[1]), rounding="down", parted=False)


class DisplayChainFactory:
    """Makes the chain that turns an image into what a screen shows."""

    @staticmethod
    def build(
        source: HasNode,
        stats: Any = None,
        range_adjustment: DRAMode = "dra",
        band_selection: Sequence[int | str] | None = None,
        output_dtype: Any = np.uint8,
        *,
        approximate: bool = True,
        min_percentage: float = 0.02,
        max_percentage: float = 0.98,
        a: float = 0.2,
        b: float = 0.4,
    ) -> ProcessingChain:
        """The chain for one image; nothing is read.

        Parameters
        ----------
        source : Raster of real pixels
            Its bands, dtype and ``attrs`` decide which bands are shown and whether they need a range; see the head of
            ``weft.ops.display``.
        stats : optional
            Histograms known beforehand, of all bands or of those shown: an ``ImageHistogram``, statistics whose ``bands``
            have ``histogram`` and ``bin_edges``, or a sequence of ``DRAParameters``. Left out, the histogram of the source
            is counted when pixels are first wanted: of a Raster as part of its graph, for an array at its first call.
        range_adjustment : "dra", or "minmax" to show the whole range that occurs
        band_selection : names or 0-based positions, optional
            Shown instead of those that the metadata name, in this order.
        output_dtype : an integer type of at most 32 bits (0 to its maximum), or float32, float64 (0 to 1)
            Imagery that is ready to be shown stays as it is only if it has this type.
        approximate : bool
            Count the cheapest overview with at least ten million pixels where the image is larger and has one.
        min_percentage, max_percentage, a, b : see ``DRAParameters.from_counts``

        Returns
        -------
        ProcessingChain whose ``input_bands`` are the bands shown, None where these are all, in order. Its arrays hold just
        those. Pixels are those of ``dra``: cut off, invalid and NaN 0.

        Raises
        ------
        ArgumentError
            ``range_adjustment`` is neither of the two, or the percentages do not increase within 0 and 1.
        BandError
            A band is not there, or ``stats`` are of another number of bands.
        DtypeError
            The pixels are complex, or ``output_dtype`` is not one of those above.
        """
        node, dtype = source.node, as_dtype(output_dtype)
        meta = node.meta
        if range_adjustment not in get_args(DRAMode):
            raise ArgumentError(f"range_adjustment is one of {', '.join(get_args(DRAMode))}; got {range_adjustment!r}")
        if meta.dtype.kind == "c":
            raise DtypeError(f"a display chain needs real pixels, not {meta.dtype}; take abs() of the raster first")
        display_range(dtype)
        shown = shown_bands(meta, warn=True) if band_selection is None else meta.band_indices(band_selection)
        picked = None if shown == tuple(range(len(meta.bands))) else shown
        if meta.dtype == dtype and is_ready(meta):
            return ProcessingChain((), len(shown), dtype, picked)
        shares = {"min_percentage": min_percentage, "max_percentage": max_percentage, "a": a, "b": b}
        few: Node = node if picked is None else select(node, picked)
        if stats is None:
            adjusted = dra(few, dtype=dtype, mode=range_adjustment, approximate=approximate, **shares)
            span = adjusted.inputs[1]
        else:
            parameters = _parameters(stats, shares)
            if len(parameters) == len(meta.bands):
                parameters = [parameters[band] for band in shown]
            if len(parameters) != len(shown):
                raise BandError(
                    f"stats of {len(parameters)} bands do not fit {len(meta.bands)} bands, {len(shown)} of them shown"
                )
            span = FixedRange(tuple(found.range_of(range_adjustment) for found in parameters), few.meta.bands)
        return ProcessingChain((RangeStep(span, dtype),), len(shown), dtype, picked)


def shown_bands(meta: Meta, *, warn: bool = False) -> Bands:
    """Positions of the bands to show: red, green, blue, or one for grey. The order of rules stands at the module's head.

    Parameters
    ----------
    meta : of the image
    warn : whether to say so where nothing tells which of more than three bands are the colours
    """
    attrs, count = meta.attrs, len(meta.bands)
    colours = tuple(band for band, kind in enumerate(_per_band(attrs, "colorinterp", count)) if kind != "alpha")
    if len(colours) < 3:
        return colours[:1] or (0,)
    found = (
        _named(meta.bands, _COLOURS)
        or _named(_per_band(attrs, "irepbands", count), "rgb")
        or (colours[:3] if attrs.get("photometric") == "rgb" else None)
        or _named(_per_band(attrs, "colorinterp", count), _COLOURS)
        or _nearest(_per_band(attrs, "wavelengths", count))
        or _named(_per_band(attrs, "isubcats", count), "rgb")
    )
    if found is None and warn and len(colours) > 3:
        warnings.warn(
            f"nothing says which of {count} bands are red, green and blue; showing "
            f"{', '.join(meta.bands[band] for band in colours[:3])}: name them with bands=",
            UserWarning,
            stacklevel=3,
        )
    return found or colours[:3]


def is_ready(meta: Meta) -> bool:
    """Whether the pixels are made to be looked at: 8 bits of grey, of a palette, or of three colours."""
    if meta.dtype.kind not in "iu" or meta.dtype.itemsize > 1:
        return False
    kinds = _per_band(meta.attrs, "colorinterp", len(meta.bands))
    colours = sum(kind != "alpha" for kind in kinds)
    return colours in (1, 3) or meta.attrs.get("photometric") in _READY


def _per_band(attrs: Mapping[str, Any], name: str, count: int) -> Sequence[Any]:
    """An attribute that has one value per band; None for each where it is missing or of other bands."""
    values = attrs.get(name)
    return values if isinstance(values, (tuple, list)) and len(values) == count else (None,) * count


def _named(values: Sequence[Any], wanted: Sequence[str]) -> Bands | None:
    """Where each of ``wanted`` first stands among ``values``, upper or lower case."""
    words = [value.strip().lower() if isinstance(value, str) else None for value in values]
    return tuple(words.index(word) for word in wanted) if set(wanted) <= set(words) else None


def _nearest(wavelengths: Sequence[Any]) -> Bands | None:
    """The bands nearest to the middle of red, green and blue, if they are three."""
    known = [(float(value), band) for band, value in enumerate(wavelengths) if value is not None]
    if not known:
        return None
    found = tuple(min(known, key=lambda pair: (abs(pair[0] - centre), pair[1]))[1] for centre in _CENTRES)
    return found if len(set(found)) == 3 else None


def _parameters(stats: Any, shares: Mapping[str, float]) -> list[DRAParameters]:
    """DRA's parameters of each band that ``stats`` tell of."""
    if isinstance(stats, ImageHistogram):
        return [_counted(counts, edges, shares) for counts, edges in zip(stats.counts, stats.edges, strict=True)]
    bands = getattr(stats, "bands", None)
    if bands is not None and all(hasattr(band, "histogram") and hasattr(band, "bin_edges") for band in bands):
        found = [_counted(band.histogram, band.bin_edges, shares) for band in bands]
        return [
            _between(known, getattr(band, "min", None), getattr(band, "max", None))
            for known, band in zip(found, bands, strict=True)
        ]
    given = (stats,) if isinstance(stats, DRAParameters) else stats
    if isinstance(given, Sequence) and all(isinstance(item, DRAParameters) for item in given):
        return list(given)
    raise ArgumentError(
        "stats are an ImageHistogram, statistics with a histogram per band, or DRAParameters per band; "
        f"got {type(stats).__name__}"
    )


def _counted(counts: Any, edges: Any, shares: Mapping[str, float]) -> DRAParameters:
    if counts is None or edges is None:
        raise ArgumentError("a display chain needs statistics with a histogram; these have none")
    if not np.any(counts):
        return DRAParameters(math.nan, math.nan, math.nan, math.nan)
    return DRAParameters.from_counts(counts, float(edges[0]), float(edges[-1]), **shares)


def _between(found: DRAParameters, low: Any, high: Any) -> DRAParameters:
    """The same with the minimum and maximum of the pixels, where these are known too."""
    known = all(isinstance(value, Real) and math.isfinite(value) for value in (low, high))
    return found.between(float(low), float(high)) if known and not math.isnan(found.actual_min_value) else found


@verb
def display(
    raster: Node,
    *,
    bands: Any = None,
    mode: DRAMode = "dra",
    dtype: Any = "uint8",
    approximate: bool = True,
) -> Node:
    """What a screen shows of the image: three bands for red, green and blue, or one for grey.

    Parameters
    ----------
    raster : Raster of real pixels
    bands : names or 0-based positions of one or three bands, optional
        Left out, names and metadata say; see the head of ``weft.ops.display``.
    mode : "dra", or "minmax" to show the whole range that occurs
    dtype : an integer type of at most 32 bits (0 to its maximum), or float32, float64 (0 to 1)
        8-bit grey, RGB and palettes stay as they are if this is their type.
    approximate : bool
        Take the histogram from the cheapest overview with at least ten million pixels where the image is larger and has one.
        False reads every pixel.

    Returns
    -------
    Raster of ``dtype``; invalid pixels stay invalid. The lazy form of ``DisplayChainFactory.build(raster)(raster)``.

    Raises
    ------
    BandError
        A band is not there, or other than one or three are wanted.
    ArgumentError
        The mode is unknown.
    DtypeError
        The pixels are complex, or ``dtype`` is not one of those above.
    """
    chosen = None if bands is None else raster.meta.band_indices(bands)
    if chosen is not None and len(chosen) not in (1, 3):
        raise BandError(f"a screen shows one band or three, not {len(chosen)}")
    chain = DisplayChainFactory.build(raster, None, mode, chosen, dtype, approximate=approximate)
    shown: Node = chain(raster)
    return shown
