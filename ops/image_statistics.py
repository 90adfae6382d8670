"""Image statistics: count, minimum, maximum, mean, deviation and histogram of every band from one look at the pixels.

Of bool and integer bands of at most 16 bits only the values are counted; everything else follows from the counts, exactly.
Invalid pixels, NaN and infinities do not count.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt

from ..graph.block import Block, both_valid
from ..graph.errors import ArgumentError, BandError, PlanError
from ..graph.grid import Grid, Region
from ..graph.lower import to_dask
from ..graph.node import HasNode, Meta, Node, Reduction, as_dtype, operation, rule
from ..graph.optimize import Mode
from ..graph.plan import make_plan
from ..graph.sweep import StandIn
from .aligned_counts import aligned_counts
from .common import plain_number
from .counting import band_of
from .histogram import Counts, Histogram, values_of
from .sampled_pixels import SampledPixels, checked_rate, some_blocks
from .statistics import COLUMNS, BandStatistics, Moments, Statistics, Sums, coarser, joined, row_of, seen, table_meta

__all__ = ["ImageStatistics", "SamplingStrategy", "compute_image_statistics", "compute_statistics", "merge_statistics"]

# Pixels of an array that are counted at a time; the sums of the loops are exact for as many.
_AT_A_TIME = 2**26

Range = tuple[float, float]


class SamplingStrategy(Enum):
    """Which pixels statistics are made of.

    ALL : every pixel
    RANDOM : every pixel with the same probability, independently; the image is read as a whole
    BLOCK : every pixel of randomly chosen blocks; the others are not read
    """

    ALL = "all"
    RANDOM = "random"
    BLOCK = "block"


@dataclass(frozen=True)
class ImageStatistics:
    """The statistics of an image: ``stats["red"]`` or ``stats[0]`` is one band's.

    Parameters
    ----------
    bands : BandStatistics, one per band
    sample_rate : the share of the image's pixels that were looked at, 0 to 1
    names : of the bands; "b1", "b2", ... where none are given

    Raises
    ------
    BandError
        There are not as many names as bands.
    """

    bands: tuple[BandStatistics, ...]
    sample_rate: float = 1.0
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "bands", tuple(self.bands))
        object.__setattr__(self, "names", tuple(self.names) or tuple(f"b{k + 1}" for k in range(len(self.bands))))
        if len(self.names) != len(self.bands):
            raise BandError(f"statistics of {len(self.bands)} bands cannot have {len(self.names)} names")

    def __getitem__(self, band: int | str) -> BandStatistics:
        if isinstance(band, str):
            if band not in self.names:
                raise BandError(f"no band {band!r}; there are statistics of {', '.join(self.names)}")
            return self.bands[self.names.index(band)]
        return self.bands[band]

    def __len__(self) -> int:
        return len(self.bands)


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of an image: its histogram's state, and of each band the sums, where they do not follow from that."""

    counts: Any
    sums: list[Sums | Moments] | None


@operation("image_statistics")
@dataclass(frozen=True, eq=False)
class ImageSummary(Reduction):
    """Table (bands, 3, columns), float64: the histogram's edges, its counts, then count, min, max, mean and deviation.

    Rows are filled up with zeros. Parameters as in ``Histogram``.
    """

    source: Node
    limits: Node | None = None
    bins: int | None = None
    span: Range | None = None
    approximate: bool = False

    @classmethod
    def of(cls, source: Node, bins: int | None, span: Range | None, *, approximate: bool = False) -> ImageSummary:
        """The statistics of ``source``, with those that its histogram depends on."""
        form = Histogram.of(source, bins, span, approximate=approximate)
        return cls(source, form.limits, form.bins, form.span, approximate)

    def _meta(self) -> Meta:
        return table_meta(self.source, 3, max(self.form.bin_count + 1, len(COLUMNS)), "image statistics")

    @property
    def form(self) -> Histogram:
        """The histogram that this counts."""
        return Histogram(self.source, self.limits, self.bins, self.span)

    def partial(self, blocks: tuple[Block, ...]) -> Seen:
        form = self.form
        if form.is_discrete:
            return Seen(form.partial(blocks), None)
        bands = [band_of(blocks[0], band) for band in range(len(blocks[0].data))]
        sums = [seen(*band) for band in bands]
        if not form.is_aligned:
            return Seen(form.partial(blocks), sums)
        parts = zip(bands, sums, strict=True)
        return Seen([aligned_counts(*band, (own.min, own.max)) if own.count else None for band, own in parts], sums)

    def combine(self, states: list[Seen]) -> Seen:
        counts = self.form.combine([state.counts for state in states])
        if states[0].sums is None:
            return Seen(counts, None)
        return Seen(counts, [reduce(joined, parts) for parts in zip(*(state.sums or () for state in states), strict=True)])

    def finish(self, state: Seen) -> Block:
        form = self.form
        sums = _sums_of_values(state.counts, form) if state.sums is None else state.sums
        counted = form.finish(state.counts).data[:, :2]
        table = np.zeros((len(sums), *self.meta.grid.shape))
        table[:, :2, : counted.shape[2]] = counted
        table[:, 2, : len(COLUMNS)] = [row_of(band) for band in sums]
        return Block(table)

    def dressed(self, table: np.ndarray, sample_rate: float = 1.0) -> ImageStatistics:
        """The whole table under names."""
        bins = self.form.bin_count
        bands = [self._dressed(edges[: bins + 1], counts[:bins], row[: len(COLUMNS)]) for edges, counts, row in table]
        return ImageStatistics(tuple(bands), sample_rate, self.source.meta.bands)

    def _dressed(self, edges: np.ndarray, counts: np.ndarray, row: np.ndarray) -> BandStatistics:
        count, low, high, mean, std = row.tolist()
        if np.isnan(edges[0]):
            return BandStatistics(int(count), low, high, mean, std)
        if self.form.is_aligned:
            filled = int(np.flatnonzero(counts)[-1]) + 1
            edges, counts = edges[: filled + 1], counts[:filled]
        return BandStatistics(int(count), low, high, mean, std, counts.astype(np.int64), edges.copy())

    def describe(self) -> str:
        return self.form.describe()

    @rule("statistics from an overview", exact=False)
    def from_overview(self) -> Node | None:
        coarse = coarser(self.source) if self.approximate else None
        if coarse is None:
            return None
        limits = None if self.limits is None else Statistics(coarse)
        return ImageSummary(coarse, limits, self.bins, self.span)


def _sums_of_values(counts: Counts, form: Histogram) -> list[Sums | Moments]:
    """The sums that counts per value come to, exactly."""
    values = values_of(form.source.meta.dtype)
    assert values is not None
    sums: list[Sums | Moments] = []
    for band in counts.counts:
        filled = np.flatnonzero(band)
        if not filled.size:
            sums.append(Sums(0, 0, 0, 0, 0))
            continue
        # Python's integers: the sum of squares of a large image exceeds 64 bits.
        times, each = band[filled].astype(object), (filled + (counts.first + values.start)).astype(object)
        weighed = times * each
        sums.append(Sums(times.sum(), each[0], each[-1], weighed.sum(), (weighed * each).sum()))
    return sums


def compute_statistics(
    image: npt.ArrayLike,
    *,
    valid: npt.ArrayLike | None = None,
    nodata: float | None = None,
    bins: int | None = None,
    range: Range | None = None,
    strategy: SamplingStrategy = SamplingStrategy.ALL,
    sample_rate: float | None = None,
    num_blocks: int | None = None,
    seed: int = 0,
) -> ImageStatistics:
    """Statistics of an array.

    Parameters
    ----------
    image : (rows, cols) or (bands, rows, cols), bool, integer or float
    valid : bool of the same shape, or (rows, cols) for all bands, optional
        False takes a pixel out.
    nodata : number, optional
        Pixels of this value do not count. NaN and infinities never do.
    bins, range : as in ``weft.ops.histogram``
        Left out: one bin per value for integers of at most 16 bits, bins of a power of two for other types, of which only
        those up to the maximum are given.
    strategy, sample_rate, num_blocks, seed : as in ``compute_image_statistics``

    Returns
    -------
    ImageStatistics, of one band where the image has two axes

    Raises
    ------
    ArgumentError
        The image has other axes, the mask another shape, or the arguments of sampling do not go together.
    DtypeError
        The pixels are complex.
    """
    pixels = np.asarray(image)
    if pixels.ndim not in (2, 3) or pixels.size == 0:
        raise ArgumentError(f"an image is (rows, cols) or (bands, rows, cols) and not empty; got shape {pixels.shape}")
    pixels = pixels.astype(as_dtype(pixels.dtype), copy=False)
    pixels = pixels if pixels.ndim == 3 else pixels[None]
    keep: np.ndarray | None = None
    if valid is not None:
        keep = np.asarray(valid)
        keep = keep if keep.ndim == 3 else keep[None]
        if keep.dtype != bool or keep.shape not in (pixels.shape, (1, *pixels.shape[1:])):
            raise ArgumentError(f"the mask of an image {pixels.shape} is bool of that shape; got {keep.dtype} {keep.shape}")
    if nodata is not None:
        keep = both_valid(keep, pixels != plain_number(nodata, "nodata"))
    names = tuple(f"b{band + 1}" for band in np.arange(len(pixels)))
    standing = StandIn("array", Meta(Grid(pixels.shape[1:]), names, pixels.dtype, masked=True))
    sampled, share = _sampled(standing, strategy, sample_rate, num_blocks, seed)
    summary = ImageSummary.of(sampled, bins, range)
    blocks = _slabs(Block(pixels, keep), sampled)
    tables = () if summary.limits is None else (_table_of(summary.limits, blocks, ()),)
    return summary.dressed(_table_of(summary, blocks, tables).data, share)


def compute_image_statistics(
    raster: HasNode,
    *,
    strategy: SamplingStrategy = SamplingStrategy.ALL,
    sample_rate: float | None = None,
    num_blocks: int | None = None,
    seed: int = 0,
    bins: int | None = None,
    range: Range | None = None,
    approximate: bool = False,
    optimize: Mode = "default",
) -> ImageStatistics:
    """Statistics and histogram of every band of a raster, computed now, in one pass over what the strategy looks at.

    Parameters
    ----------
    raster : Raster, (band, y, x), bool, integer or float
    strategy : SamplingStrategy
    sample_rate : share above 0, at most 1
        RANDOM: the probability of every pixel, all bands alike. BLOCK: the share of the blocks, at least one.
    num_blocks : int, at least 1
        BLOCK: how many blocks, instead of ``sample_rate``. A block is whole tiles of the raster, about 1024 pixels a side.
    seed : int, at least 0
        Equal seeds choose equal pixels, whatever the chunks and threads.
    bins, range : as in ``weft.ops.histogram``
        ``bins`` without ``range`` takes a pass of its own to find the limits.
    approximate : bool
        With strategy ALL: read the cheapest overview with at least ten million pixels where the image is larger and has one.
    optimize : "default", "exact" (no overviews) or "none"

    Returns
    -------
    ImageStatistics. Integers: exact and the same for every partition into blocks, correctly rounded. Floats: count, minimum,
    maximum and histogram likewise, mean and deviation to the last digits. ``sample_rate`` is RANDOM's probability, or the share
    of the pixels that lie in BLOCK's blocks; 1 for ALL, of whatever overview.

    Raises
    ------
    ArgumentError
        The arguments of sampling do not go together.
    DtypeError
        The pixels are complex.
    """
    node, share = _sampled(raster.node, strategy, sample_rate, num_blocks, seed)
    summary = ImageSummary.of(node, bins, range, approximate=approximate)
    return summary.dressed(np.asarray(to_dask(make_plan(summary, None, optimize)).compute()), share)


def merge_statistics(stats: ImageStatistics | Iterable[ImageStatistics], *more: ImageStatistics) -> ImageStatistics:
    """The statistics of several parts of an image together, in any order.

    Parameters
    ----------
    stats, *more : ImageStatistics of pixels that do not overlap, or one iterable of them
        What is empty (count 0) changes nothing.

    Returns
    -------
    ImageStatistics: bands as ``BandStatistics.merged`` joins them, the sum of the sample rates, at most 1

    Raises
    ------
    ArgumentError
        There are none; or histograms that cannot be added, see ``BandStatistics.merged``.
    BandError
        The parts have different bands.
    """
    parts = [stats, *more] if isinstance(stats, ImageStatistics) else [*stats, *more]
    if not parts:
        raise ArgumentError("there are no statistics to merge; give at least one ImageStatistics")
    for part in parts:
        if part.names != parts[0].names:
            raise BandError(f"statistics of bands {', '.join(parts[0].names)} and {', '.join(part.names)} cannot be merged")
    bands = (reduce(BandStatistics.merged, of_band) for of_band in zip(*(part.bands for part in parts), strict=True))
    return ImageStatistics(tuple(bands), min(1.0, sum(part.sample_rate for part in parts)), parts[0].names)


def _sampled(
    node: Node, strategy: SamplingStrategy, sample_rate: float | None, num_blocks: int | None, seed: int
) -> tuple[Node, float]:
    """``node`` with the pixels valid that a strategy looks at, and what share of them that is."""
    strategy = _strategy(strategy)
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ArgumentError(f"a seed is a whole number from 0; got {seed!r}")
    if strategy is SamplingStrategy.ALL:
        if sample_rate not in (None, 1) or num_blocks is not None:
            raise ArgumentError("strategy ALL looks at every pixel; sample_rate and num_blocks are for RANDOM and BLOCK")
        return node, 1.0
    rate = None if sample_rate is None else checked_rate(sample_rate)
    if strategy is SamplingStrategy.RANDOM:
        if rate is None or num_blocks is not None:
            raise ArgumentError("strategy RANDOM takes a sample_rate and nothing else")
        return SampledPixels(node, rate, int(seed)), rate
    if (rate is None) == (num_blocks is None):
        raise ArgumentError("strategy BLOCK takes either a sample_rate or num_blocks")
    if num_blocks is not None and (isinstance(num_blocks, bool) or num_blocks != int(num_blocks) or num_blocks < 1):
        raise ArgumentError(f"num_blocks is a whole number from 1; got {num_blocks!r}")
    return some_blocks(node, rate, num_blocks, int(seed))


def _strategy(given: Any) -> SamplingStrategy:
    try:
        return SamplingStrategy(given)
    except ValueError as error:
        names = ", ".join(f"SamplingStrategy.{known.name}" for known in SamplingStrategy)
        raise ArgumentError(f"a strategy is one of {names}; got {given!r}") from error


def _slabs(image: Block, sampled: Node) -> list[Block]:
    """An array in pieces of whole rows, with only what is sampled valid."""
    rows, cols = image.data.shape[1:]
    height = max(1, _AT_A_TIME // cols)
    slabs = []
    for row in np.arange(0, rows, height).tolist():
        region = Region(row, min(row + height, rows), 0, cols)
        needed = sampled.need(region)
        inputs = tuple(image.window(box.rows, box.cols) for box in needed)
        slabs.append(sampled.kernel(inputs, region) if inputs else image.window(region.rows, region.cols))
    return slabs


def _table_of(statistic: Node, blocks: Sequence[Block], tables: tuple[Block, ...]) -> Block:
    if not isinstance(statistic, Reduction):
        raise PlanError(f"{statistic.name} is no statistic")
    return statistic.finish(statistic.combine([statistic.partial((block, *tables)) for block in blocks]))
