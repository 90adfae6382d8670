"""Statistics against numpy, whole and in tiles; what counts and what does not; the overview rule."""

from __future__ import annotations

import pickle
from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from weft.graph.errors import DtypeError
from weft.graph.grid import Region
from weft.graph.node import Node
from weft.graph.optimize import optimize
from weft.graph.sweep import Program, evaluate
from weft.ops.statistics import BandStatistics, Statistics, statistics, statistics_of

from .helpers import array_source

pytestmark = pytest.mark.filterwarnings("error")

DTYPES = ["bool", "u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"]


def table(node: Node) -> np.ndarray:
    return evaluate(Program(node), node.meta.grid.region).data


def expected(data: np.ndarray, valid: np.ndarray | None) -> list[list[float]]:
    rows = []
    for band in range(len(data)):
        keep = np.isfinite(data[band]) if data.dtype.kind == "f" else np.ones(data[band].shape, bool)
        if valid is not None:
            keep &= valid[band % len(valid)]
        v = data[band][keep].astype(np.longdouble)
        rows.append([v.size, v.min(), v.max(), v.mean(), v.std()] if v.size else [0] + [np.nan] * 4)
    return np.array(rows, np.float64).tolist()


@st.composite
def images(draw: st.DrawFn, dtypes: list[str] = DTYPES) -> tuple[np.ndarray, np.ndarray | None]:
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)))
    elements = st.floats(-1e6, 1e6, width=32) | st.sampled_from([np.nan, np.inf, -np.inf]) if dtype.kind == "f" else None
    if dtype == np.float16:
        elements = st.floats(width=16)
    data = draw(arrays(dtype, shape, elements=elements))
    if draw(st.booleans()):
        return data, None
    return data, draw(arrays(bool, (draw(st.sampled_from([1, shape[0]])), *shape[1:])))


def tiles(draw: st.DrawFn, shape: tuple[int, int]) -> list[Region]:
    height, width = draw(st.integers(1, shape[0])), draw(st.integers(1, shape[1]))
    whole = Region(0, shape[0], 0, shape[1])
    return [
        Region(r, r + height, c, c + width).intersect(whole)
        for r in range(0, shape[0], height)
        for c in range(0, shape[1], width)
    ]


@settings(max_examples=80, deadline=None)
@given(images())
def test_equals_numpy(image: tuple[np.ndarray, np.ndarray | None]) -> None:
    data, valid = image
    found = table(Statistics(array_source(data, valid)))
    assert found.shape == (len(data), 1, 5)
    np.testing.assert_array_equal(found[:, 0, :3], np.array(expected(data, valid))[:, :3])
    np.testing.assert_allclose(found[:, 0, 3:], np.array(expected(data, valid))[:, 3:], rtol=1e-9, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_tiling_gives_the_same(draws: st.DataObject) -> None:
    data, valid = draws.draw(images())
    source = array_source(data, valid)
    node = Statistics(source)
    parts = draws.draw(st.composite(tiles)(data.shape[1:]))
    states = [node.partial((source.kernel((), tile),)) for tile in parts]
    split = draws.draw(st.integers(1, len(states)))
    groups = [node.combine(states[k : k + split]) for k in range(0, len(states), split)]
    tree = node.finish(pickle.loads(pickle.dumps(node.combine(groups)))).data
    whole = table(node)
    np.testing.assert_array_equal(tree[..., :3], whole[..., :3])
    if data.dtype.kind == "f":
        np.testing.assert_allclose(tree, whole, rtol=1e-9, atol=1e-9)
    else:
        np.testing.assert_array_equal(tree, whole)


def test_integers_are_exact_to_the_last_digit() -> None:
    extremes = np.array([[[-(2**63), 2**63 - 1, 5, -7]]], np.int64)
    found = table(Statistics(array_source(extremes)))[0, 0]
    exact = [int(v) for v in extremes.ravel()]
    assert found[3] == sum(exact) / 4
    assert found[4] == pytest.approx(np.std(np.array(exact, np.longdouble)), rel=1e-15)
    top = np.full((1, 40, 40), 2**64 - 1, np.uint64)
    assert table(Statistics(array_source(top)))[0, 0].tolist() == [1600, 2.0**64, 2.0**64, 2.0**64, 0]


def test_a_small_spread_on_a_large_offset_survives() -> None:
    noise = np.random.default_rng(1).normal(size=(1, 300, 301))
    found = table(Statistics(array_source(noise + 1e9)))[0, 0]
    assert found[4] == pytest.approx(np.std(noise), rel=1e-6)


def test_strided_bands_are_read_in_place() -> None:
    data = np.arange(2 * 30 * 40, dtype=np.uint16).reshape(30, 40, 2).transpose(2, 0, 1)
    assert table(Statistics(array_source(data)))[1, 0].tolist() == pytest.approx(expected(data, None)[1])


def test_nothing_valid_is_a_count_of_zero() -> None:
    for dtype in ("u1", "i4", "f4"):
        found = table(Statistics(array_source(np.ones((1, 4, 4), dtype), np.zeros((1, 4, 4), bool))))[0, 0]
        assert found[0] == 0
        assert np.isnan(found[1:]).all()


def test_complex_pixels_have_no_order() -> None:
    with pytest.raises(DtypeError, match="abs"):
        statistics(array_source(np.ones((1, 2, 2), np.complex64)))


def test_dressed_by_band_name() -> None:
    node = statistics(array_source(np.array([[[1, 3]], [[5, 5]]], np.uint8)))
    found = statistics_of(evaluate(Program(node), node.meta.grid.region), node.meta.bands)
    assert found == {"b0": BandStatistics(2, 1, 3, 2, 1), "b1": BandStatistics(2, 5, 5, 5, 0)}


def test_a_part_of_the_table_can_be_asked_for() -> None:
    node = statistics(array_source(np.array([[[1, 3]]], np.uint8)))
    assert evaluate(Program(node), Region(0, 1, 1, 3)).data.tolist() == [[[1, 3]]]


def test_the_overview_is_read_where_it_is_large_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("weft.ops.statistics"), "MIN_PIXELS", 100)
    data = np.random.default_rng(2).integers(0, 1000, (1, 50, 50)).astype(np.uint16)
    plan = optimize(statistics(array_source(data, coarsest=8)))
    assert [firing.rule for firing in plan.fired] == ["statistics from an overview"]
    np.testing.assert_allclose(table(plan.node)[:, 0], expected(data[:, ::5, ::5], None))
    assert not optimize(statistics(array_source(data, coarsest=8)), mode="exact").fired
    assert not optimize(statistics(array_source(data, coarsest=8), approximate=False)).fired
    assert not optimize(statistics(array_source(data, coarsest=1))).fired
    assert not optimize(statistics(array_source(data[:, :10, :10], coarsest=8))).fired
