"""DRA, dynamic range adjustment: stretch each band to the range that its histogram says is worth showing.

The rule is that of NGA's Softcopy Image Processing Standard (NGA.STND.0014) as the OSML imagery toolkit has it: find the bins
Emin and Emax that leave out 2 % of the counts at either end, widen that range by a share of itself (0.2 below, 0.4 above), and
keep it within the values that occur. Pixels map linearly onto 0 to the maximum of the output type and are cut off, not rounded.

Integers of at most 16 bits, signed ones too, are counted value by value; other types in bins narrower than a 4096th of their
range, of which the rule uses the lower edges. The range that occurs is there that from minimum to maximum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import numpy.typing as npt

from ..graph.block import Block
from ..graph.errors import ArgumentError, DtypeError
from ..graph.grid import Region
from ..graph.node import Meta, Node, as_dtype, operation, verb
from .histogram import Histogram, values_of
from .statistics import table_meta
from .stretch import LinearStretch, display_range, stretch_table

__all__ = ["DRAParameters", "dra"]

DRAMode = Literal["dra", "minmax"]


@dataclass(frozen=True)
class DRAParameters:
    """The range that occurs and the range that DRA suggests to show, in data units; from counts, as lower edges of bins."""

    suggested_min_value: float
    suggested_max_value: float
    actual_min_value: float
    actual_max_value: float

    @classmethod
    def from_counts(
        cls,
        counts: Sequence[float] | npt.NDArray[Any],
        first_bucket_value: float | None = None,
        last_bucket_value: float | None = None,
        min_percentage: float = 0.02,
        max_percentage: float = 0.98,
        a: float = 0.2,
        b: float = 0.4,
    ) -> DRAParameters:
        """The parameters of one histogram.

        Parameters
        ----------
        counts : (bins,)
        first_bucket_value, last_bucket_value : lower edge of the first bin and upper edge of the last
            0 and the number of bins when left out.
        min_percentage, max_percentage : shares of the counts, 0 to 1
            Emin is the first bin up to which at least ``min_percentage`` of the counts lie, Emax the last one up to which no
            more than ``max_percentage`` do.
        a, b : how far to widen the range below Emin and above Emax, in units of Emax - Emin

        Raises
        ------
        ArgumentError
            There are no bins, or the shares are not increasing within 0 and 1.
        """
        _check(min_percentage, max_percentage, a, b)
        bins = np.asarray(counts, dtype=np.float64)
        if bins.ndim != 1 or bins.size == 0:
            raise ArgumentError(f"counts are one number per bin; got an array of shape {bins.shape}")
        filled = np.flatnonzero(bins)
        first, last = (int(filled[0]), int(filled[-1])) if filled.size else (0, bins.size - 1)
        cumulative = np.cumsum(bins)
        total = cumulative[-1]
        e_min = int(np.searchsorted(cumulative, min_percentage * total, side="left"))
        e_max = max(0, int(np.searchsorted(cumulative, max_percentage * total, side="right")) - 1)
        low = max(first, e_min - a * (e_max - e_min))
        high = min(last, e_max + b * (e_max - e_min))
        origin = 0.0 if first_bucket_value is None else float(first_bucket_value)
        end = float(bins.size) if last_bucket_value is None else float(last_bucket_value)
        width = end - origin
        if np.isfinite(width):
            step = width / bins.size
            values = [place * step + origin for place in (low, high, first, last)]
        else:
            shares = (place / bins.size for place in (low, high, first, last))
            values = [origin * (1 - share) + end * share for share in shares]
        return cls(*values)

    def build_lut(self, input_dtype: Any, output_dtype: Any = "uint8", range_adjustment: str = "dra") -> npt.NDArray[Any]:
        """What every value of an integer type becomes, as ``dra()`` maps it.

        Parameters
        ----------
        input_dtype : bool or an integer type of at most 16 bits
        output_dtype : an integer type of at most 32 bits (0 to its maximum), or float32, float64 (0 to 1)
        range_adjustment : "dra" for the suggested range, "minmax" for the one that occurs

        Returns
        -------
        (values of the type,) of ``output_dtype``, entry 0 for the type's least value, which is negative for signed types:
        trunc((v - lo) / (hi - lo) * maximum), clipped; half the maximum where the range has no width.

        Raises
        ------
        ArgumentError
            Another ``range_adjustment``.
        DtypeError
            ``input_dtype`` is no integer type or has more than 16 bits, or ``output_dtype`` is not one of those above.
        """
        source, target = as_dtype(input_dtype), as_dtype(output_dtype)
        values = values_of(source)
        if values is None:
            raise DtypeError(f"a look-up table has an entry per value of an integer type of at most 16 bits, not of {source}")
        table = stretch_table(values, self.range_of(range_adjustment), (0.0, display_range(target)[1]), "down", False, target)
        return table.copy()

    def range_of(self, mode: str) -> tuple[float, float]:
        """The range that a mode shows.

        Raises
        ------
        ArgumentError
            The mode is unknown.
        """
        if mode not in get_args(DRAMode):
            raise ArgumentError(f"the mode of dra is one of {', '.join(get_args(DRAMode))}; got {mode!r}")
        if mode == "dra":
            return self.suggested_min_value, self.suggested_max_value
        return self.actual_min_value, self.actual_max_value

    def between(self, low: float, high: float) -> DRAParameters:
        """The same where minimum and maximum of the pixels are known better than to a bin."""
        return DRAParameters(max(self.suggested_min_value, low), self.suggested_max_value, low, high)


@operation("dra_range")
@dataclass(frozen=True, eq=False)
class DRARange(Node):
    """Table (bands, 1, 2): the range that DRA shows of each band, in data units; NaN where nothing was counted."""

    version: ClassVar[int] = 2

    histogram: Node
    min_percentage: float
    max_percentage: float
    a: float
    b: float
    mode: str

    def _meta(self) -> Meta:
        _check(self.min_percentage, self.max_percentage, self.a, self.b)
        if self.mode not in get_args(DRAMode):
            raise ArgumentError(f"the mode of dra is one of {', '.join(get_args(DRAMode))}; got {self.mode!r}")
        return table_meta(self.histogram, 1, 2, "dra")

    def need(self, region: Region) -> tuple[Region, ...]:
        return (self.histogram.meta.grid.region,)

    def kernel(self, blocks: tuple[Block, ...], region: Region) -> Block:
        ranges = np.full((len(self.meta.bands), 1, 2), np.nan)
        for band, (edges, counts, *extremes) in enumerate(blocks[0].data):
            if counts.any():
                found = DRAParameters.from_counts(
                    counts[:-1], edges[0], edges[-1], self.min_percentage, self.max_percentage, self.a, self.b
                )
                if extremes:
                    found = found.between(*extremes[0][:2].tolist())
                ranges[band, 0] = found.range_of(self.mode)
        return Block(ranges).cut(self.meta.grid.region, region)


def _check(min_percentage: float, max_percentage: float, a: float, b: float) -> None:
    if not 0 <= min_percentage < max_percentage <= 1:
        raise ArgumentError(
            f"the percentages of dra are shares that increase within 0 and 1; got {min_percentage}, {max_percentage}"
        )
    if not (np.isfinite(a) and np.isfinite(b)):
        raise ArgumentError(f"a and b of dra are finite numbers; got {a}, {b}")


@verb
def dra(
    raster: Node,
    *,
    dtype: Any = "uint8",
    min_percentage: float = 0.02,
    max_percentage: float = 0.98,
    a: float = 0.2,
    b: float = 0.4,
    mode: DRAMode = "dra",
    approximate: bool = True,
) -> Node:
    """Dynamic range adjustment of each band, for display.

    Parameters
    ----------
    raster : (band, y, x), bool, integer or float
    dtype : an integer type of at most 32 bits (0 to its maximum), or float32, float64 (0 to 1)
    min_percentage, max_percentage, a, b : see ``DRAParameters.from_counts``
        Shares of the counts, 0 to 1, not percent.
    mode : "dra", or "minmax" to show the whole range that occurs
    approximate : bool
        Take the histogram from the cheapest overview with at least ten million pixels where the image is larger and has one.
        False reads every pixel.

    Returns
    -------
    (band, y, x) of ``dtype`` without nodata value: trunc((v - lo) / (hi - lo) * maximum), clipped. A band whose range has no
    width becomes half the maximum throughout (127 for uint8). Invalid pixels stay invalid; NaN becomes invalid.

    Raises
    ------
    ArgumentError
        The mode is unknown, or the percentages are not increasing within 0 and 1.
    DtypeError
        The pixels are complex, or ``dtype`` is not one of those above.
    """
    target_dtype = as_dtype(dtype)
    target = (0.0, display_range(target_dtype)[1])
    histogram = Histogram.of(raster, approximate=approximate)
    span = DRARange(histogram, float(min_percentage), float(max_percentage), float(a), float(b), mode)
    return LinearStretch(raster, span, target_dtype, target, rounding="down", parted=False)
