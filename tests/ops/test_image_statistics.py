"""Image statistics against numpy: from arrays and rasters, merged from any partition, sampled by a seed."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import Any

import dask
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import weft
from weft.graph.errors import ArgumentError, BandError, DtypeError
from weft.graph.grid import Region
from weft.graph.jsonio import from_json, to_json
from weft.graph.optimize import optimize
from weft.graph.sweep import Program, evaluate
from weft.ops.image_statistics import (
    ImageStatistics,
    ImageSummary,
    SamplingStrategy,
    compute_image_statistics,
    compute_statistics,
    merge_statistics,
)
from weft.ops.sampled_pixels import SampledBlocks, SampledPixels, chosen_pixels, some_blocks
from weft.ops.statistics import BandStatistics, statistics, statistics_of

from .helpers import Pixels, array_source, computed
from .strategies import images

pytestmark = pytest.mark.filterwarnings("error")

DTYPES = ["bool", "u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"]


def kept(data: np.ndarray, valid: np.ndarray | None, band: int) -> np.ndarray:
    keep = np.isfinite(data[band]) if data.dtype.kind == "f" else np.ones(data[band].shape, bool)
    if valid is not None:
        keep &= valid[band % len(valid)]
    return data[band][keep]


def judge(found: BandStatistics, values: np.ndarray) -> None:
    assert found.count == values.size
    if not values.size:
        assert np.isnan([found.min, found.max, found.mean, found.std]).all()
        assert found.m2 == 0
        return
    exact = values.astype(np.longdouble)
    assert (found.min, found.max) == (float(values.min()), float(values.max()))
    size = float(np.abs(exact).max())
    assert found.mean == pytest.approx(float(exact.mean()), rel=1e-12, abs=1e-12 * size)
    assert found.std == found.stddev == pytest.approx(float(exact.std()), rel=1e-9, abs=1e-12 * size)
    assert found.m2 == pytest.approx(found.std**2 * values.size)
    assert found.histogram is not None
    assert found.bin_edges is not None
    assert found.histogram.sum() == values.size
    if values.dtype.kind == "f" or values.dtype.itemsize == 4:
        np.testing.assert_array_equal(found.histogram, np.histogram(values.astype(np.float64), found.bin_edges)[0])
    if values.dtype.kind != "f" and values.dtype.itemsize < 3:
        filled = np.flatnonzero(found.histogram)
        each, times = np.unique(values, return_counts=True)
        np.testing.assert_array_equal(found.bin_edges[filled], each)
        np.testing.assert_array_equal(found.histogram[filled], times)


@settings(max_examples=60, deadline=None)
@given(images(DTYPES))
def test_an_array_against_numpy(image: tuple[np.ndarray, np.ndarray | None]) -> None:
    data, valid = image
    found = compute_statistics(data, valid=valid)
    assert (len(found), found.sample_rate) == (len(data), 1.0)
    for band, own in enumerate(found.bands):
        judge(own, kept(data, valid, band))


@settings(max_examples=30, deadline=None)
@given(images(DTYPES), st.integers(2, 9), st.integers(2, 9), st.integers(1, 4))
def test_any_tiling_gives_the_same(image: tuple[np.ndarray, np.ndarray | None], height: int, width: int, fan_in: int) -> None:
    source = array_source(*image)
    node, whole = ImageSummary.of(source, None, None), source.meta.grid.region
    states = [
        node.partial((source.kernel((), Region(r, r + height, c, c + width).intersect(whole)),))
        for r in range(0, whole.row1, height)
        for c in range(0, whole.col1, width)
    ]
    groups = [node.combine(states[k : k + fan_in]) for k in range(0, len(states), fan_in)]
    tree, at_once = node.finish(node.combine(groups)).data, evaluate(Program(node), node.meta.grid.region).data
    exactly = slice(None) if image[0].dtype.kind != "f" else slice(3)
    np.testing.assert_array_equal(tree[:, :2], at_once[:, :2])
    np.testing.assert_array_equal(tree[:, 2, :5][:, exactly], at_once[:, 2, :5][:, exactly])
    np.testing.assert_allclose(tree[:, 2], at_once[:, 2], rtol=1e-9, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(images(DTYPES), st.integers(3, 9), st.integers(3, 9), st.randoms())
def test_merging_any_partition_in_any_order_is_the_whole(
    image: tuple[np.ndarray, np.ndarray | None], height: int, width: int, chance: Any
) -> None:
    data, valid = image
    mask = np.broadcast_to(True if valid is None else valid, data.shape)
    parts = [
        compute_statistics(data[:, r : r + height, c : c + width], valid=mask[:, r : r + height, c : c + width])
        for r in range(0, data.shape[1], height)
        for c in range(0, data.shape[2], width)
    ]
    chance.shuffle(parts)
    merged, whole = merge_statistics(parts), compute_statistics(data, valid=valid)
    for one, all_ in zip(merged.bands, whole.bands, strict=True):
        assert one.count == all_.count
        if not one.count:
            continue
        assert (one.min, one.max) == (all_.min, all_.max)
        size = max(abs(all_.min), abs(all_.max))
        assert one.mean == pytest.approx(all_.mean, rel=1e-12, abs=1e-12 * size)
        assert one.std == pytest.approx(all_.std, rel=1e-9, abs=1e-9 * size)
        np.testing.assert_array_equal(one.bin_edges, all_.bin_edges)
        np.testing.assert_array_equal(one.histogram, all_.histogram)


def test_merged_numbers_agree_to_a_millionth_of_a_millionth() -> None:
    data = np.random.default_rng(4).gamma(2, 300, (2, 300, 310))
    parts = [compute_statistics(part) for part in np.array_split(data, 7, axis=2)]
    for order in (parts, parts[::-1]):
        for band, own in enumerate(merge_statistics(order).bands):
            assert own.mean == pytest.approx(data[band].mean(), rel=1e-12)
            assert own.std == pytest.approx(data[band].std(), rel=1e-12)


def test_small_integers_follow_from_their_counts_exactly() -> None:
    data = np.random.default_rng(5).integers(-(2**15), 2**15, (1, 200, 210)).astype(np.int16)
    (found,) = compute_statistics(data).bands
    total, squares, n = int(data.sum(dtype=np.int64)), int((data.astype(np.int64) ** 2).sum()), data.size
    assert found.mean == total / n
    assert found.std == ((n * squares - total**2) / n**2) ** 0.5
    assert BandStatistics(*statistics_row(data)) == found


def statistics_row(data: np.ndarray) -> list[Any]:
    node = statistics(array_source(data))
    own = statistics_of(evaluate(Program(node), node.meta.grid.region), node.meta.bands)["b0"]
    return [own.count, own.min, own.max, own.mean, own.std]


def test_two_axes_are_one_band_and_nodata_does_not_count() -> None:
    found = compute_statistics(np.array([[1, 2, 9], [9, 3, 9]], np.uint8), nodata=9)
    assert found.bands == (BandStatistics(3, 1, 3, 2, np.sqrt(2 / 3)),)
    floats = compute_statistics(np.array([[1, -5, np.nan]]), nodata=np.nan, valid=np.array([[True, False, True]]))
    assert floats[0] == BandStatistics(1, 1, 1, 1, 0)
    assert compute_statistics(np.array([[1, 2]], ">i2"), nodata=300000)["b1"].count == 2


def test_bins_and_range() -> None:
    data = np.array([[0.0, 1.0, 2.5, 10.0]])
    found = compute_statistics(data, bins=5)[0]
    assert found.histogram is not None
    assert found.bin_edges is not None
    assert (found.histogram.tolist(), found.bin_edges.tolist()) == ([2, 1, 0, 0, 1], [0, 2, 4, 6, 8, 10])
    ranged = compute_statistics(data, bins=2, range=(0, 4))[0]
    assert ranged.histogram is not None
    assert ranged.histogram.tolist() == [2, 1]
    assert (ranged.count, ranged.max) == (4, 10)
    raster = weft.from_array(data[None])
    eager = compute_image_statistics(raster, bins=5)[0]
    np.testing.assert_array_equal(eager.histogram, found.histogram)
    one = compute_statistics(data, bins=1)[0]
    assert one.histogram is not None
    assert one.histogram.tolist() == [4]


def test_an_array_in_slabs_is_the_array(monkeypatch: pytest.MonkeyPatch) -> None:
    data = np.random.default_rng(6).normal(size=(2, 70, 50)).astype(np.float32)
    for given_ in ({}, {"strategy": SamplingStrategy.RANDOM, "sample_rate": 0.3}, {"bins": 7}):
        whole = compute_statistics(data, **given_)
        with monkeypatch.context() as patch:
            patch.setattr(import_module("weft.ops.image_statistics"), "_AT_A_TIME", 170)
            slabs = compute_statistics(data, **given_)
        for one, other in zip(whole.bands, slabs.bands, strict=True):
            assert (one.count, one.min, one.max) == (other.count, other.min, other.max)
            assert one.mean == pytest.approx(other.mean, rel=1e-12)
            np.testing.assert_array_equal(one.histogram, other.histogram)


# Rasters


@pytest.mark.parametrize("dtype", ["u2", "i4", "f4"])
def test_a_raster_is_read_once(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = (np.random.default_rng(7).normal(size=(2, 90, 80)) * 100 + 500).astype(dtype)
    source, asked = array_source(data), []
    kernel = Pixels.kernel
    monkeypatch.setattr(Pixels, "kernel", lambda self, blocks, region: asked.append(region) or kernel(self, blocks, region))
    found = compute_image_statistics(source)
    assert sum(region.size for region in asked) == source.meta.grid.region.size
    assert found.names == ("b0", "b1")
    for band, own in enumerate(found.bands):
        judge(own, data[band].ravel())
        np.testing.assert_array_equal(own.histogram, compute_statistics(data)[band].histogram)


def test_statistics_of_a_raster_say_the_same() -> None:
    raster = weft.from_array(np.random.default_rng(8).integers(0, 999, (2, 60, 70)).astype(np.uint16), bands=["red", "nir"])
    found = compute_image_statistics(raster)
    assert {name: found[name] for name in found.names} == raster.statistics()
    with pytest.raises(BandError, match="nir"):
        found["green"]


def test_the_overview_is_read_where_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("weft.ops.statistics"), "MIN_PIXELS", 100)
    data = np.random.default_rng(9).normal(size=(1, 50, 50)).astype(np.float32)
    source = array_source(data, coarsest=8)
    assert compute_image_statistics(source)[0].count == 2500
    assert compute_image_statistics(source, approximate=True)[0].count == 100
    assert compute_image_statistics(source, approximate=True, bins=8)[0].count == 100
    assert not optimize(ImageSummary.of(source, 8, None, approximate=True), mode="exact").fired


def test_json_round_trip() -> None:
    source = array_source(np.arange(12, dtype="i2").reshape(1, 3, 4))
    for node in (
        ImageSummary.of(source, None, None),
        ImageSummary.of(source, 5, None),
        SampledPixels(source, 0.25, 7),
        some_blocks(source, 0.5, None, 3)[0],
    ):
        assert from_json(to_json(node)).token == node.token


# Sampling


def test_random_pixels_depend_on_seed_and_place_alone() -> None:
    whole = Region(0, 300, 0, 310)
    chosen = chosen_pixels(whole, 0.2, 5)
    assert chosen.mean() == pytest.approx(0.2, abs=0.01)
    assert np.abs(chosen.mean(axis=0) - 0.2).max() < 0.12  # neither rows nor columns stand out
    assert np.abs(chosen.mean(axis=1) - 0.2).max() < 0.12
    for part in (Region(7, 100, 33, 34), Region(299, 300, 0, 310)):
        np.testing.assert_array_equal(chosen_pixels(part, 0.2, 5), chosen[part.row0 : part.row1, part.col0 : part.col1])
    assert (chosen_pixels(whole, 0.2, 6) != chosen).any()
    assert chosen_pixels(whole, 1.0, 5).all()
    # A larger sample holds the smaller one.
    assert (chosen_pixels(whole, 0.4, 5) | ~chosen).all()


@settings(max_examples=20, deadline=None)
@given(images(DTYPES), st.integers(0, 3))
def test_sampled_nodes_keep_their_promises(image: tuple[np.ndarray, np.ndarray | None], seed: int) -> None:
    source = array_source(*image)
    data, valid = computed(source)
    for node in (SampledPixels(source, 0.5, seed), SampledBlocks(source, (2, 3), some_of(source, seed))):
        got, taken = computed(node)
        np.testing.assert_array_equal(got[taken], data[taken])
        assert (valid | ~taken).all()


def some_of(source: Pixels, seed: int) -> Any:
    rows, cols = (-(-n // k) for n, k in zip(source.meta.grid.shape, (2, 3), strict=True))
    return weft.graph.values.FrozenArray(np.random.default_rng(seed).permutation(rows * cols)[: rows * cols // 2])


@pytest.mark.parametrize(
    "given_",
    [
        {"strategy": SamplingStrategy.RANDOM, "sample_rate": 0.3},
        {"strategy": SamplingStrategy.BLOCK, "num_blocks": 3},
        {"strategy": SamplingStrategy.BLOCK, "sample_rate": 0.4},
    ],
)
def test_samples_are_reproducible_across_threads_and_chunks(given_: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("weft.ops.sampled_pixels"), "BLOCK_SIDE", 64)
    data = np.random.default_rng(10).normal(size=(2, 130, 150)).astype(np.float32)
    source = array_source(data)
    found = compute_image_statistics(source, **given_)
    assert 0 < found[0].count < 130 * 150
    for side, scheduler in ((2048, "synchronous"), (64, "threads"), (16, "synchronous"), (33, "threads")):
        monkeypatch.setattr(import_module("weft.graph.plan"), "STATISTIC_SIDE", side)
        with dask.config.set(scheduler=scheduler):
            again = compute_image_statistics(source, **given_)
        assert again.sample_rate == found.sample_rate
        for one, other in zip(found.bands, again.bands, strict=True):
            assert (one.count, one.min, one.max) == (other.count, other.min, other.max)
            assert (one.mean, one.std) == pytest.approx((other.mean, other.std), rel=1e-12)
            np.testing.assert_array_equal(one.histogram, other.histogram)
    assert compute_image_statistics(source, **given_, seed=1)[0] != found[0]


def test_blocks_are_read_alone_and_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    data = np.arange(2 * 2100 * 2300, dtype=np.int32).reshape(2, 2100, 2300)
    source, asked = array_source(data), []
    kernel = Pixels.kernel
    monkeypatch.setattr(Pixels, "kernel", lambda self, blocks, region: asked.append(region) or kernel(self, blocks, region))
    found = compute_image_statistics(source, strategy=SamplingStrategy.BLOCK, num_blocks=1, seed=2)
    assert sum(region.size for region in asked) == found[0].count == found[1].count
    assert found.sample_rate == found[0].count / (2100 * 2300)
    assert found[0].count in {1024 * 1024, 1024 * 252, 52 * 1024, 52 * 252}
    assert compute_image_statistics(source, strategy=SamplingStrategy.BLOCK, num_blocks=99) == compute_image_statistics(source)


def test_the_same_pixels_of_an_array_and_of_its_raster() -> None:
    data = np.random.default_rng(11).integers(0, 4000, (2, 100, 90)).astype(np.uint16)
    for given_ in ({"strategy": SamplingStrategy.RANDOM, "sample_rate": 0.1}, {"strategy": "block", "num_blocks": 1}):
        assert compute_statistics(data, **given_, seed=3) == replace(
            compute_image_statistics(array_source(data), **given_, seed=3), names=("b1", "b2")
        )


@pytest.mark.parametrize(
    ("given_", "match"),
    [
        ({"strategy": "some"}, "strategy"),
        ({"sample_rate": 0.5}, "ALL"),
        ({"num_blocks": 5}, "ALL"),
        ({"strategy": SamplingStrategy.RANDOM}, "sample_rate"),
        ({"strategy": SamplingStrategy.RANDOM, "num_blocks": 3}, "sample_rate"),
        ({"strategy": SamplingStrategy.RANDOM, "sample_rate": 0}, "share"),
        ({"strategy": SamplingStrategy.RANDOM, "sample_rate": np.nan}, "share"),
        ({"strategy": SamplingStrategy.BLOCK}, "either"),
        ({"strategy": SamplingStrategy.BLOCK, "sample_rate": 0.5, "num_blocks": 3}, "either"),
        ({"strategy": SamplingStrategy.BLOCK, "num_blocks": 0}, "from 1"),
        ({"seed": -1}, "seed"),
        ({"seed": 0.5}, "seed"),
        ({"bins": 0}, "bins"),
        ({"range": (2, 1)}, "range"),
    ],
)
def test_impossible_arguments(given_: dict[str, Any], match: str) -> None:
    with pytest.raises(ArgumentError, match=match):
        compute_statistics(np.ones((3, 3)), **given_)
    with pytest.raises(ArgumentError, match=match):
        compute_image_statistics(array_source(np.ones((3, 3))), **given_)


def test_impossible_images() -> None:
    with pytest.raises(ArgumentError, match="rows, cols"):
        compute_statistics(np.ones(5))
    with pytest.raises(ArgumentError, match="not empty"):
        compute_statistics(np.ones((0, 5)))
    with pytest.raises(ArgumentError, match="mask"):
        compute_statistics(np.ones((5, 5)), valid=np.ones((5, 4), bool))
    with pytest.raises(DtypeError, match="abs"):
        compute_statistics(np.ones((5, 5), np.complex64))
    with pytest.raises(DtypeError, match="abs"):
        compute_image_statistics(array_source(np.ones((5, 5), np.complex64)))


# Merging


def of(*values: float, bins: int | None = None) -> ImageStatistics:
    return compute_statistics(np.array([values]), bins=bins)


def test_what_is_empty_changes_nothing() -> None:
    empty, some = compute_statistics(np.full((1, 3), np.nan)), of(1, 2, 4)
    assert empty[0].count == 0
    for merged in (merge_statistics(empty, some), merge_statistics([some, empty])):
        assert merged.bands == some.bands
        np.testing.assert_array_equal(merged[0].histogram, some[0].histogram)
    assert merge_statistics(empty, empty)[0].count == 0


def test_sample_rates_add_up_to_all_of_it() -> None:
    some = of(1, 2)
    assert merge_statistics(replace(some, sample_rate=0.25), replace(some, sample_rate=0.5)).sample_rate == 0.75
    assert merge_statistics(some, some).sample_rate == 1


def test_histograms_that_do_not_fit() -> None:
    with pytest.raises(ArgumentError, match="same bins"):
        merge_statistics(of(1, 2, 4, bins=3), of(1, 2, 7, bins=3))
    none = replace(of(1, 2, 7), bands=(replace(of(1, 2, 7)[0], histogram=None, bin_edges=None),))
    merged = merge_statistics(of(1, 2, 4), none)[0]
    assert merged.histogram is None
    assert (merged.count, merged.max) == (6, 7)
    with pytest.raises(ArgumentError, match="without a count"):
        BandStatistics(0, 1, 2, 1.5, 0.5).merged(of(1)[0])
    with pytest.raises(ArgumentError, match="one edge more"):
        BandStatistics(1, 1, 1, 1, 0, np.ones(3, int), np.ones(3))


def test_what_cannot_be_merged() -> None:
    with pytest.raises(ArgumentError, match="at least one"):
        merge_statistics([])
    with pytest.raises(BandError, match="b1, b2"):
        merge_statistics(of(1), compute_statistics(np.ones((2, 3, 3))))
    with pytest.raises(BandError, match="names"):
        ImageStatistics(of(1).bands, names=("a", "b"))
