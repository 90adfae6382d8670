"""Statistics as GDAL keeps them in a band's metadata, and as the XML that stands in a TIFF's tag 42112 (GDAL_METADATA)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from ..graph.errors import ArgumentError
from .image_statistics import ImageStatistics
from .statistics import BandStatistics
from .strict_xml import read_strictly

__all__ = ["statistics_from_gdal_metadata", "statistics_to_gdal_metadata", "statistics_to_gdal_xml"]

Items = Mapping[str, str]

_NUMBERS = {"MINIMUM": "min", "MAXIMUM": "max", "MEAN": "mean", "STDDEV": "std"}
# A tag of more characters or bins than this holds no statistics, but means to fill memory.
_MOST_CHARACTERS = 2**26
_MOST_BINS = 2**24


def statistics_to_gdal_metadata(
    stats: ImageStatistics, *, pixels: int | None = None, histogram: bool = False
) -> dict[str, dict[str, str]]:
    """The metadata items that GDAL and its users look for, per band.

    Parameters
    ----------
    stats : ImageStatistics
    pixels : int, optional
        How many pixels a band has, invalid ones too, of those that were looked at: gives STATISTICS_VALID_PERCENT.
    histogram : bool
        Write histograms with bins of equal width, too: STATISTICS_HISTOMIN, ..HISTOMAX (the outer edges), ..HISTONUMBINS and
        ..HISTOBINVALUES (counts between |), as the OSML imagery toolkit does.

    Returns
    -------
    band name -> {"STATISTICS_MINIMUM": ..., "STATISTICS_MAXIMUM", "STATISTICS_MEAN", "STATISTICS_STDDEV", ...}, in the order of
    the bands, for rasterio's ``update_tags(bidx, **items)``. Numbers have as many digits as bring them back unchanged (GDAL
    itself writes 14). STATISTICS_APPROXIMATE is YES where not all pixels were looked at. A band without valid pixels has none.

    Raises
    ------
    ArgumentError
        ``pixels`` is less than a band's count.
    """
    named = zip(stats.names, stats.bands, strict=True)
    return {name: _items(band, stats.sample_rate, pixels, histogram) for name, band in named}


def statistics_to_gdal_xml(stats: ImageStatistics, *, pixels: int | None = None, histogram: bool = False) -> str:
    """``statistics_to_gdal_metadata`` as one XML text, for a TIFF's tag 42112.

    Parameters and errors are those of ``statistics_to_gdal_metadata``.

    Returns
    -------
    <GDALMetadata> of <Item name="STATISTICS_..." sample="band, from 0">value</Item>
    """
    bands = statistics_to_gdal_metadata(stats, pixels=pixels, histogram=histogram).values()
    lines = [
        f'  <Item name={quoteattr(name)} sample="{band}">{escape(value)}</Item>'
        for band, items in enumerate(bands)
        for name, value in items.items()
    ]
    return "\n".join(["<GDALMetadata>", *lines, "</GDALMetadata>", ""])


def statistics_from_gdal_metadata(
    metadata: str | Mapping[str, Any] | Sequence[Items], *, pixels: int | None = None
) -> ImageStatistics | None:
    """Statistics from what GDAL keeps.

    Parameters
    ----------
    metadata : band name -> items, as ``statistics_to_gdal_metadata`` gives them; or a sequence of items per band, such as
        ``[dataset.tags(i) for i in dataset.indexes]``; or the XML of tag 42112, as text or as {"GDAL_METADATA": text}
    pixels : int, optional
        How many pixels a band has: gives the count, from STATISTICS_VALID_PERCENT where that is there.

    Returns
    -------
    ImageStatistics; None if no band has any. What is missing or not a number is NaN. The count is that of a histogram, else
    follows from ``pixels``, else it is 0 and such statistics do not merge. ``sample_rate`` is 1: GDAL does not keep it.

    Raises
    ------
    ArgumentError
        The XML is malformed or absurdly long, or has a document type or entities; these are not read.
    """
    names: Iterable[str] = ()
    if isinstance(metadata, Mapping) and not isinstance(metadata.get("GDAL_METADATA", {}), Mapping):
        metadata = str(metadata["GDAL_METADATA"])
    if isinstance(metadata, str):
        bands: list[Items] = _parsed(metadata)
    elif isinstance(metadata, Mapping):
        names, bands = tuple(map(str, metadata)), list(metadata.values())
    else:
        bands = list(metadata)
    if not any(f"STATISTICS_{key}" in items for items in bands for key in _NUMBERS):
        return None
    return ImageStatistics(tuple(_band(items, pixels) for items in bands), names=tuple(names))


def _items(band: BandStatistics, sample_rate: float, pixels: int | None, histogram: bool) -> dict[str, str]:
    if pixels is not None and pixels < max(1, band.count):
        raise ArgumentError(f"a band of {pixels} pixels cannot have {band.count} valid ones")
    if math.isnan(band.mean):
        return {}
    items = {f"STATISTICS_{key}": _text(getattr(band, name)) for key, name in _NUMBERS.items()}
    if pixels is not None:
        items["STATISTICS_VALID_PERCENT"] = _text(100 * band.count / pixels)
    if sample_rate < 1:
        items["STATISTICS_APPROXIMATE"] = "YES"
    if histogram and band.histogram is not None and band.bin_edges is not None and band.histogram.size:
        low, high = float(band.bin_edges[0]), float(band.bin_edges[-1])
        # Edges that do not come back from the outer two are not told: readers would take the bins for others.
        if np.array_equal(np.linspace(low, high, band.bin_edges.size), band.bin_edges):
            items["STATISTICS_HISTOMIN"], items["STATISTICS_HISTOMAX"] = _text(low), _text(high)
            items["STATISTICS_HISTONUMBINS"] = str(band.histogram.size)
            items["STATISTICS_HISTOBINVALUES"] = "|".join(map(str, band.histogram.tolist()))
    return items


def _text(number: float) -> str:
    return format(number, ".17g") if float(format(number, ".15g")) != number else format(number, ".15g")


def _band(items: Items, pixels: int | None) -> BandStatistics:
    least, greatest, mean, std = (_number(items, key) for key in _NUMBERS)
    counts, edges = _histogram(items)
    if counts is not None:
        count = int(counts.sum())
    else:
        percent = _number(items, "VALID_PERCENT") if "STATISTICS_VALID_PERCENT" in items else 100.0
        known = pixels is not None and 0 <= percent <= 100 and not math.isnan(mean)
        count = round((pixels or 0) * percent / 100) if known else 0
    return BandStatistics(count, least, greatest, mean, std, counts, edges)


def _number(items: Items, key: str) -> float:
    try:
        return float(items[f"STATISTICS_{key}"])
    except (KeyError, ValueError, TypeError):
        return math.nan


def _histogram(items: Items) -> tuple[np.ndarray | None, np.ndarray | None]:
    low, high, bins = (_number(items, f"HISTO{key}") for key in ("MIN", "MAX", "NUMBINS"))
    if not (math.isfinite(low) and math.isfinite(high) and low < high and 1 <= bins <= _MOST_BINS):
        return None, None
    try:
        values = [int(part) for part in str(items["STATISTICS_HISTOBINVALUES"]).split("|") if part.strip()]
        counts = np.array(values, np.int64)
    except (KeyError, ValueError, OverflowError):
        return None, None
    if counts.size != bins or (counts < 0).any():
        return None, None
    return counts, np.linspace(low, high, counts.size + 1)


def _parsed(text: str) -> list[Items]:
    """The items of each band from XML; bands that the text leaves out have none."""
    if len(text) > _MOST_CHARACTERS:
        raise ArgumentError(f"GDAL metadata of {len(text):,} characters is not read")
    bands: dict[int, dict[str, str]] = {}
    at: list[tuple[int, str]] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        at.clear()
        band, key = attributes.get("sample", ""), attributes.get("name", "")
        if name == "Item" and key.startswith("STATISTICS_") and band.isdecimal() and len(band) <= 5:
            at.append((int(band), key))
            bands.setdefault(int(band), {})[key] = ""

    def end(_: str) -> None:
        at.clear()

    def characters(more: str) -> None:
        for band, key in at:
            bands[band][key] += more

    read_strictly(text, lambda why: ArgumentError(f"GDAL metadata: {why}"), start=start, end=end, characters=characters)
    return [bands.get(band, {}) for band in range(max(bands, default=-1) + 1)]
