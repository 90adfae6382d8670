"""Map against the function on the whole, padded image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from weft.graph.errors import ArgumentError, DtypeError, GraphFormatError
from weft.graph.jsonio import to_json
from weft.graph.sweep import Program, evaluate
from weft.ops.map import map as map_blocks

from .helpers import array_source, computed


def box_sum(halo: tuple[int, int], trim: bool) -> Any:
    """A function that sums the window around each pixel, for every band."""

    def func(data: np.ndarray) -> np.ndarray:
        around = ((0, 0), (0, 0), (0, 0)) if trim else ((0, 0), (halo[0],) * 2, (halo[1],) * 2)
        window = (2 * halo[0] + 1, 2 * halo[1] + 1)
        sums = np.lib.stride_tricks.sliding_window_view(data.astype("i8"), window, axis=(1, 2)).sum(axis=(3, 4))
        return np.pad(sums, around)

    return func


@given(
    shape=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    halo=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    trim=st.booleans(),
    masked=st.sampled_from([None, 1, 2]),
    draw=st.data(),
)
@settings(max_examples=50, deadline=None)
def test_a_window_sum(shape: Any, halo: Any, trim: bool, masked: Any, draw: Any) -> None:
    data = draw.draw(arrays("u1", (2, *shape)))
    valid = (
        None if masked is None else draw.draw(arrays(bool, (masked, *shape), elements=st.sampled_from([True] * 9 + [False])))
    )
    node = map_blocks(array_source(data, valid), box_sum(halo, trim), "i8", halo)
    padded, missing = data.astype("i8"), np.zeros(shape, bool)[None] if valid is None else ~valid.all(axis=0, keepdims=True)
    for axis, reach in enumerate(halo, start=1):
        around = [(0, 0)] * 3
        around[axis] = (reach, reach)
        mode: Any = "reflect" if reach < data.shape[axis] else "edge"
        padded, missing = np.pad(padded, around, mode=mode), np.pad(missing, around, mode=mode)
    expected, bad = box_sum(halo, True)(padded), box_sum(halo, True)(missing) > 0
    got, got_valid = computed(node)
    np.testing.assert_array_equal(got_valid, np.broadcast_to(~bad, got.shape))
    np.testing.assert_array_equal(got, np.where(bad, 0, expected))


def test_validity_goes_in_and_out() -> None:
    data = np.arange(12, dtype="f4").reshape(1, 3, 4)
    valid = data % 2 == 0

    def swap(pixels: np.ndarray, flags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert flags.shape == pixels.shape
        return np.concatenate([pixels, pixels]), ~flags

    node = map_blocks(array_source(data, valid, nodata=-1), swap, bands=["a", "b"], valid=True)
    got, got_valid = computed(node)
    assert node.meta.bands == ("a", "b")
    np.testing.assert_array_equal(got_valid, np.broadcast_to(~valid, got.shape))
    np.testing.assert_array_equal(got, np.broadcast_to(np.where(valid, np.nan, data), got.shape))
    everything = map_blocks(array_source(data, valid), lambda pixels, flags: (pixels, None), valid=True)
    assert computed(everything)[1].all()


def test_the_input_is_safe_and_nan_is_invalid() -> None:
    data = np.array([[0.0, 1.0, np.nan]])
    source = array_source(data.copy())

    def spoil(pixels: np.ndarray) -> np.ndarray:
        pixels[:] = 5
        return pixels

    with pytest.raises(ValueError, match="read-only"):
        evaluate(Program(map_blocks(source, spoil)), source.grid.region)
    same = map_blocks(source, lambda pixels: pixels)
    np.testing.assert_array_equal(computed(same)[1], [[[True, True, False]]])
    np.testing.assert_array_equal(source.data.array[0], data)


def median(pixels: np.ndarray) -> Any:
    return np.median(pixels)


@pytest.mark.parametrize(
    ("func", "options", "error", "words"),
    [
        (median, {}, ArgumentError, "median.*must return"),
        (lambda a: a[0], {}, ArgumentError, "lambda.*must return"),
        (lambda a: a[:, 1:], {}, ArgumentError, "must return"),
        (lambda a: np.concatenate([a, a]), {}, ArgumentError, "must return"),
        (lambda a: a.astype("f4"), {}, DtypeError, "lambda.*float32.*dtype="),
        (lambda a, v: a, {"valid": True}, ArgumentError, "data, valid"),
        (lambda a, v: (a, v.astype("u1")), {"valid": True}, DtypeError, "not bool"),
        (lambda a, v: (a, v[:, 1:]), {"valid": True}, ArgumentError, "must return valid"),
    ],
)  # fmt: skip
def test_wrong_results_name_the_function(func: Any, options: Any, error: type[Exception], words: str) -> None:
    source = array_source(np.ones((1, 4, 5), "u1"))
    with pytest.raises(error, match=words):
        evaluate(Program(map_blocks(source, func, **options)), source.grid.region)


def test_refusals() -> None:
    source = array_source(np.ones((1, 4, 5), "u1"))
    for wrong in ({"func": 3}, {"halo": -1}, {"halo": 1.5}, {"halo": (1, 2, 3)}, {"bands": ["a", "a"]}, {"dtype": "U1"}):
        with pytest.raises(ArgumentError):
            map_blocks(source, **{"func": median, **wrong})
    with pytest.raises(GraphFormatError, match="Python function"):
        to_json(map_blocks(source, median))
