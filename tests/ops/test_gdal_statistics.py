"""GDAL's metadata items and XML: there and back, from GDAL itself, from strangers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

from weft.graph.errors import ArgumentError
from weft.ops import (
    compute_statistics,
    merge_statistics,
    statistics_from_gdal_metadata,
    statistics_to_gdal_metadata,
    statistics_to_gdal_xml,
)
from weft.ops.image_statistics import ImageStatistics
from weft.ops.statistics import BandStatistics

pytestmark = pytest.mark.filterwarnings("error")

NUMBER = st.floats(allow_nan=False)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 10**9), NUMBER, NUMBER, NUMBER, NUMBER), min_size=1, max_size=4), st.integers(0, 99))
def test_there_and_back(bands: list[tuple[int, float, float, float, float]], invalid: int) -> None:
    stats = ImageStatistics(tuple(BandStatistics(*band) for band in bands))
    pixels = max(count for count, *_ in bands) + invalid
    items = statistics_to_gdal_metadata(stats, pixels=pixels)
    assert statistics_from_gdal_metadata(items, pixels=pixels) == stats
    assert statistics_from_gdal_metadata(list(items.values()), pixels=pixels) == stats
    xml = statistics_to_gdal_xml(stats, pixels=pixels)
    assert statistics_from_gdal_metadata(xml, pixels=pixels) == stats
    assert statistics_from_gdal_metadata({"GDAL_METADATA": xml, "other": 5}, pixels=pixels) == stats
    without = statistics_from_gdal_metadata(xml)
    assert without is not None
    assert [band.count for band in without.bands] == [0] * len(bands)


def test_keys_and_text() -> None:
    stats = compute_statistics(np.array([[[1, 2, 3, 9]], [[0.5, 0.5, 0.5, 9]]]), nodata=9)
    assert statistics_to_gdal_metadata(stats, pixels=4) == {
        "b1": {
            "STATISTICS_MINIMUM": "1",
            "STATISTICS_MAXIMUM": "3",
            "STATISTICS_MEAN": "2",
            "STATISTICS_STDDEV": "0.816496580927726",
            "STATISTICS_VALID_PERCENT": "75",
        },
        "b2": {
            "STATISTICS_MINIMUM": "0.5",
            "STATISTICS_MAXIMUM": "0.5",
            "STATISTICS_MEAN": "0.5",
            "STATISTICS_STDDEV": "0",
            "STATISTICS_VALID_PERCENT": "75",
        },
    }
    assert statistics_to_gdal_metadata(replace(stats, sample_rate=0.5))["b1"]["STATISTICS_APPROXIMATE"] == "YES"
    assert '<Item name="STATISTICS_MEAN" sample="1">0.5</Item>' in statistics_to_gdal_xml(stats)


@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "f4"])
def test_histograms_come_back_where_bins_have_one_width(dtype: str) -> None:
    data = (np.random.default_rng(1).normal(size=(2, 40, 50)) * 20 + 60).astype(dtype)
    stats = compute_statistics(data)
    back = statistics_from_gdal_metadata(statistics_to_gdal_xml(stats, histogram=True))
    assert back == stats  # the count is that of the histogram
    assert back is not None
    for one, other in zip(stats.bands, back.bands, strict=True):
        np.testing.assert_array_equal(one.histogram, other.histogram)
        np.testing.assert_array_equal(one.bin_edges, other.bin_edges)
    assert merge_statistics(back, stats)[0].count == 2 * stats[0].count
    uneven = replace(stats[0], histogram=np.array([1, 2]), bin_edges=np.array([0.0, 1.0, 5.0]))
    assert "STATISTICS_HISTOMIN" not in statistics_to_gdal_metadata(ImageStatistics((uneven,)), histogram=True)["b1"]


def test_gdal_writes_and_reads_the_same(tmp_path: Path) -> None:
    data = np.random.default_rng(2).normal(size=(2, 50, 60)).astype(np.float32)
    data[0, :5] = -1
    path = tmp_path / "a.tif"
    profile = {"driver": "GTiff", "width": 60, "height": 50, "count": 2, "dtype": "float32", "nodata": -1}
    profile["transform"] = Affine.translation(7, 9)
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(data)
        for index, items in enumerate(statistics_to_gdal_metadata(compute_statistics(data, nodata=-1), pixels=3000).values()):
            dataset.update_tags(index + 1, **items)
    with rasterio.open(path) as dataset:
        ours = statistics_from_gdal_metadata([dataset.tags(index) for index in dataset.indexes], pixels=3000)
    assert ours == compute_statistics(data, nodata=-1)
    other = tmp_path / "b.tif"
    with rasterio.open(other, "w", **profile) as dataset:
        dataset.write(data)
    with rasterio.open(other, "r+") as dataset:
        for index in dataset.indexes:
            with pytest.warns(rasterio.errors.RasterioDeprecationWarning):
                dataset.statistics(index, approx=False)
    with rasterio.open(other) as dataset:
        theirs = statistics_from_gdal_metadata([dataset.tags(index) for index in dataset.indexes], pixels=3000)
    assert theirs is not None
    assert ours is not None
    for one, own in zip(theirs.bands, ours.bands, strict=True):
        assert one.count == own.count
        assert (one.min, one.max, one.mean, one.std) == pytest.approx((own.min, own.max, own.mean, own.std), rel=1e-12)


def test_what_is_missing_is_not_a_number() -> None:
    found = statistics_from_gdal_metadata([{"STATISTICS_MEAN": "5", "STATISTICS_STDDEV": "wide", "AREA": "x"}, {}], pixels=10)
    assert found is not None
    assert (found[0].count, found[0].mean, found[1].count) == (10, 5, 0)
    assert np.isnan([found[0].min, found[0].max, found[0].std, found[1].mean]).all()
    for nothing in ({}, [], [{}], "<GDALMetadata/>", {"GDAL_METADATA": "<GDALMetadata><Item name='x'>1</Item></GDALMetadata>"}):
        assert statistics_from_gdal_metadata(nothing) is None  # type: ignore[arg-type]


def test_a_band_without_valid_pixels_has_no_items() -> None:
    stats = compute_statistics(np.array([[[np.nan, np.nan]], [[1.0, 2.0]]]))
    assert statistics_to_gdal_metadata(stats, pixels=2)["b1"] == {}
    back = statistics_from_gdal_metadata(statistics_to_gdal_xml(stats, pixels=2), pixels=2)
    assert back is not None
    assert (back[0].count, back[1]) == (0, stats[1])


def test_histograms_that_lie_are_left_out() -> None:
    good = {
        "STATISTICS_MEAN": "1",
        "STATISTICS_HISTOMIN": "0",
        "STATISTICS_HISTOMAX": "2",
        "STATISTICS_HISTONUMBINS": "2",
        "STATISTICS_HISTOBINVALUES": "3|4|",
    }
    found = statistics_from_gdal_metadata([good])
    assert found is not None
    assert (found[0].count, found[0].bin_edges.tolist()) == (7, [0, 1, 2])  # type: ignore[union-attr]
    lies = [("HISTOMAX", "0"), ("HISTONUMBINS", "3"), ("HISTONUMBINS", "1e99"), ("HISTOMIN", "nan")]
    lies += [("HISTOBINVALUES", text) for text in ("3|x", "3|-4", "3|99999999999999999999")]
    for key, value in lies:
        bad = statistics_from_gdal_metadata([good | {f"STATISTICS_{key}": value}])
        assert bad is not None
        assert (bad[0].histogram, bad[0].mean) == (None, 1)


@pytest.mark.parametrize(
    "xml",
    [
        "<!DOCTYPE a><GDALMetadata/>",
        '<!DOCTYPE a [<!ENTITY b "c">]><GDALMetadata><Item name="STATISTICS_MEAN" sample="0">&b;</Item></GDALMetadata>',
        '<!DOCTYPE a SYSTEM "http://example.com/a.dtd"><GDALMetadata/>',
    ],
)
def test_document_types_and_entities_are_refused(xml: str) -> None:
    with pytest.raises(ArgumentError, match="entities"):
        statistics_from_gdal_metadata(xml)


@pytest.mark.parametrize("xml", ["", "<GDALMetadata>", "no xml"])
def test_malformed_xml(xml: str) -> None:
    with pytest.raises(ArgumentError, match="malformed"):
        statistics_from_gdal_metadata(xml)


def test_absurd_bands_do_not_fill_memory() -> None:
    xml = '<GDALMetadata><Item name="STATISTICS_MEAN" sample="99999999999">1</Item></GDALMetadata>'
    assert statistics_from_gdal_metadata(xml) is None


def test_impossible_pixels() -> None:
    with pytest.raises(ArgumentError, match="cannot have"):
        statistics_to_gdal_metadata(compute_statistics(np.ones((3, 3))), pixels=8)
