"""Histograms against numpy, whole and in tiles, for every kind of pixel and bins."""

from __future__ import annotations

import pickle
from fractions import Fraction
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weft.graph.errors import ArgumentError, DtypeError, PlanError
from weft.graph.grid import Region
from weft.graph.node import Node
from weft.graph.optimize import optimize
from weft.graph.sweep import Program, evaluate
from weft.ops.histogram import Histogram, ImageHistogram, histogram, histogram_of

from .helpers import Pixels, array_source
from .strategies import images

pytestmark = pytest.mark.filterwarnings("error")

DTYPES = ["bool", "u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"]


def found(node: Node) -> ImageHistogram:
    return histogram_of(evaluate(Program(node), node.meta.grid.region), node.meta.bands)


def kept(data: np.ndarray, valid: np.ndarray | None, band: int) -> np.ndarray:
    keep = np.isfinite(data[band]) if data.dtype.kind == "f" else np.ones(data[band].shape, bool)
    if valid is not None:
        keep &= valid[band % len(valid)]
    return data[band][keep]


def linear_counts(values: np.ndarray, low: float, high: float, bins: int) -> np.ndarray:
    v = values.astype(np.float64)
    v = v[(v >= low) & (v <= high)]
    if high == low:
        return np.bincount(np.full(v.size, bins - 1), minlength=bins)
    return np.bincount(np.minimum(np.floor((v - low) / (high - low) * bins), bins - 1).astype(int), minlength=bins)


def assert_in_powers_of_two(edges: np.ndarray, counts: np.ndarray, values: np.ndarray) -> None:
    """Every value in the bin that exact division puts it into; equal widths, a power of two; the range in 4097 to 8193."""
    assert counts.shape == (8193,)
    if not values.size:
        assert not counts.any()
        return
    width = Fraction(float(edges[1])) - Fraction(float(edges[0]))
    assert width.numerator & (width.numerator - 1) == width.denominator & (width.denominator - 1) == 0
    places = [int(Fraction(value) // width) for value in values.tolist()]
    first = min(places)
    assert Fraction(float(edges[0])) == first * width
    np.testing.assert_array_equal(counts, np.bincount(np.array(places) - first, minlength=8193))
    used = edges[: max(places) - first + 2]
    np.testing.assert_array_equal(np.diff(used), float(width))
    spread = Fraction(values.max().item()) - Fraction(values.min().item())
    finest = 1 if values.dtype.kind in "iu" else np.spacing(np.abs(values).max().astype(np.float64))
    assert width < spread / 4096 or float(width) == max(finest, np.spacing(float(np.abs(values.astype(np.float64)).max())))


@settings(max_examples=80, deadline=None)
@given(images(DTYPES), st.integers(1, 20) | st.none(), st.booleans())
def test_equals_numpy(image: tuple[np.ndarray, np.ndarray | None], bins: int | None, ranged: bool) -> None:
    data, valid = image
    span = (-30.0, 91.5) if ranged else None
    got = found(histogram(array_source(data, valid), bins=bins, range=span))
    discrete = bins is None and not ranged and (data.dtype.kind == "b" or (data.dtype.kind in "iu" and data.dtype.itemsize < 3))
    for band in range(len(data)):
        values = kept(data, valid, band)
        if discrete:
            each, times = np.unique(values, return_counts=True)
            filled = np.flatnonzero(got.counts[band])
            np.testing.assert_array_equal(got.edges[band][filled], each)
            np.testing.assert_array_equal(got.counts[band][filled], times)
            assert (np.diff(got.edges[band]) == 1).all()
        elif bins is None and not ranged:
            assert_in_powers_of_two(got.edges[band], got.counts[band], values)
        elif values.size:
            low, high = span or (float(values.min()), float(values.max()))
            np.testing.assert_array_equal(got.counts[band], linear_counts(values, low, high, bins or 4096))
            np.testing.assert_allclose(got.edges[band], np.linspace(low, high, (bins or 4096) + 1), rtol=1e-9, atol=1e-9)
            assert (got.edges[band][0], got.edges[band][-1]) == (low, high)
        else:
            assert got.counts[band].sum() == 0


@settings(max_examples=40, deadline=None)
@given(images(DTYPES), st.integers(1, 9), st.integers(1, 9), st.integers(1, 5))
def test_any_tiling_gives_the_same(image: tuple[np.ndarray, np.ndarray | None], height: int, width: int, fan_in: int) -> None:
    source = array_source(*image)
    node = histogram(source)
    tables = [evaluate(Program(child), child.meta.grid.region) for child in node.inputs[1:]]
    whole = source.meta.grid.region
    states = [
        node.partial((source.kernel((), Region(r, r + height, c, c + width).intersect(whole)), *tables))
        for r in range(0, whole.row1, height)
        for c in range(0, whole.col1, width)
    ]
    groups = [node.combine(states[k : k + fan_in]) for k in range(0, len(states), fan_in)]
    tree = node.finish(pickle.loads(pickle.dumps(node.combine(groups))))
    np.testing.assert_array_equal(tree.data, evaluate(Program(node), node.meta.grid.region).data)


def test_every_16_bit_value_has_its_bin() -> None:
    for dtype in (np.int16, np.uint16):
        info = np.iinfo(dtype)
        every = np.arange(info.min, info.max + 1, dtype=np.int64).astype(dtype).reshape(1, 256, 256)[:, :, ::-1]
        edge = np.concatenate([every, np.full((1, 256, 1), info.min, dtype)], axis=2)
        got = found(histogram(array_source(edge)))
        assert got.counts.shape == (1, 65536)
        assert got.counts[0, 0] == 257
        assert (got.counts[0, 1:] == 1).all()
        assert (got.edges[0, 0], got.edges[0, -1]) == (info.min, info.max + 1)


def test_the_last_edge_belongs_to_the_last_bin_and_what_is_outside_to_none() -> None:
    got = found(histogram(array_source(np.array([[[-1.0, 0.0, 0.5, 1.0, 1.5, np.nan]]])), bins=2, range=(0, 1)))
    assert got.counts.tolist() == [[1, 2]]
    assert got.edges.tolist() == [[0, 0.5, 1]]


def test_shared_limits_are_those_of_all_bands_with_pixels() -> None:
    data = np.array([[[1.0, 2.0]], [[5.0, 9.0]], [[0.0, 99.0]]])
    valid = np.array([[[True, True]], [[True, True]], [[False, False]]])
    got = found(Histogram.of(array_source(data, valid), bins=4, shared=True))
    assert got.edges.tolist() == [[1, 3, 5, 7, 9]] * 3
    assert got.counts.tolist() == [[2, 0, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0]]


def test_explain_says_which_pixels_are_read() -> None:
    floats, bytes_ = array_source(np.ones((1, 20, 30))), array_source(np.ones((1, 20, 30), "u1"))
    assert histogram(floats, bins=10, range=(0, 2)).describe() == "10 bins in 0 to 2, of 20 x 30 px"
    assert histogram(bytes_).describe() == "one bin per value, of 20 x 30 px"
    assert histogram(floats, bins=10).inputs[1].describe() == "of 20 x 30 px"
    assert histogram(floats).describe() == "bins of a power of two, of 20 x 30 px"


def test_huge_floats_do_not_overflow() -> None:
    got = found(histogram(array_source(np.array([[[-1.7e308, 0.0, 1.7e308]]])), bins=3))
    assert got.counts.sum() == 3
    assert found(histogram(array_source(np.array([[[-1.7e308, 0.0, 1.7e308]]])))).counts.sum() == 3


def test_shared_bins_of_two_are_those_of_all_bands_together() -> None:
    data = np.array([[[1.0, 2.0]], [[500.0, 900.0]], [[0.0, 9e9]]])
    valid = np.array([[[True, True]], [[True, True]], [[False, False]]])
    node = Histogram.of(array_source(data, valid), shared=True)
    together = Histogram.of(array_source(data[:2].reshape(1, 2, 2)))
    got, one = found(node), found(together)
    np.testing.assert_array_equal(got.edges, np.repeat(one.edges, 3, axis=0))
    np.testing.assert_array_equal(got.counts.sum(axis=0), one.counts[0])
    assert got.counts.sum(axis=1).tolist() == [2, 2, 0]
    table = evaluate(Program(node), node.meta.grid.region).data
    assert table[:, 2, :4].tolist() == [[1.0, 900.0, 0.0, 0.0]] * 3


def test_floats_without_bins_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Region] = []
    kernel = Pixels.kernel
    monkeypatch.setattr(Pixels, "kernel", lambda self, blocks, region: asked.append(region) or kernel(self, blocks, region))
    source = array_source(np.random.default_rng(8).normal(size=(2, 50, 60)))
    found(histogram(source))
    assert asked == [source.meta.grid.region]


@pytest.mark.parametrize("bins", [0, -1, 2**24 + 1])
def test_impossible_bins(bins: int) -> None:
    with pytest.raises(ArgumentError, match="bins"):
        histogram(array_source(np.ones((1, 2, 2))), bins=bins)


@pytest.mark.parametrize("span", [(1, 1), (2, 1), (0, np.inf), (np.nan, 1), (1,), 5])
def test_impossible_range(span: Any) -> None:
    with pytest.raises(ArgumentError, match="range"):
        histogram(array_source(np.ones((1, 2, 2))), range=span)


def test_what_a_histogram_cannot_be_made_of() -> None:
    with pytest.raises(DtypeError, match="abs"):
        histogram(array_source(np.ones((1, 2, 2), np.complex64)))
    with pytest.raises(PlanError, match="range or the statistics"):
        Histogram(array_source(np.ones((1, 2, 2))), bins=10)
    with pytest.raises(PlanError, match="statistics table"):
        Histogram(array_source(np.ones((1, 2, 2))), array_source(np.ones((1, 2, 2))))


def test_counts_and_limits_come_from_the_same_overview(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("weft.ops.statistics"), "MIN_PIXELS", 100)
    data = np.random.default_rng(3).normal(size=(2, 50, 50)).astype(np.float32)
    plan = optimize(histogram(array_source(data, coarsest=8), bins=10))
    assert {firing.rule for firing in plan.fired} == {"statistics from an overview"}
    got = found(plan.node)
    coarse = data[:, ::5, ::5]
    assert got.counts.sum(axis=1).tolist() == [100, 100]
    np.testing.assert_array_equal(got.edges[:, [0, -1]], np.stack([coarse.min(axis=(1, 2)), coarse.max(axis=(1, 2))], axis=1))
    exact = optimize(histogram(array_source(data, coarsest=8), bins=10), mode="exact")
    assert found(exact.node).counts.sum(axis=1).tolist() == [2500, 2500]
