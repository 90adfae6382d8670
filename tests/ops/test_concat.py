"""Concat against numpy.concatenate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from weft.graph.errors import ArgumentError, BandError, GridError
from weft.graph.flat import topological
from weft.graph.jsonio import from_json, to_json
from weft.graph.optimize import optimize
from weft.ops.astype import astype
from weft.ops.concat import Concat, concat
from weft.ops.select import select

from .helpers import Pixels, array_source, computed

SHAPE = (7, 9)


@st.composite
def sources(draw: Any) -> Pixels:
    dtype = np.dtype(draw(st.sampled_from(["u1", "i2", "u2", "f4", "f8", "?"])))
    bands = draw(st.integers(1, 3))
    data = draw(arrays(np.uint8, (bands, *SHAPE), elements=st.integers(0, 9))).astype(dtype)
    valid = draw(st.sampled_from([None, 1, bands]))
    flags = None if valid is None else draw(arrays(bool, (valid, *SHAPE)))
    return array_source(data, flags, nodata=draw(st.sampled_from([None, 1, 0])))


def expected_of(parts: list[Pixels]) -> tuple[np.ndarray, np.ndarray]:
    valid = [np.broadcast_to(True if p.valid is None else p.valid.array, p.data.array.shape) for p in parts]
    return np.concatenate([p.data.array for p in parts]), np.concatenate(valid)


@given(parts=st.lists(sources(), min_size=1, max_size=4), draw=st.data())
@settings(max_examples=50, deadline=None)
def test_like_numpy_nested_and_selected(parts: list[Pixels], draw: Any) -> None:
    data, valid = expected_of(parts)
    flat = concat(parts)
    assert flat.meta.dtype == data.dtype
    got, got_valid = computed(flat)
    np.testing.assert_array_equal(got_valid, valid)
    np.testing.assert_array_equal(got[valid], data[valid])
    nodatas = {part.nodata for part in parts}
    agreed = nodatas.pop() if len(nodatas) == 1 and data.dtype != bool else np.nan if data.dtype.kind == "f" else None
    np.testing.assert_equal(flat.meta.nodata, agreed)
    split = draw.draw(st.integers(1, len(parts)))
    nested = concat([concat(parts[:split]), *parts[split:]])
    got, got_valid = computed(nested)
    np.testing.assert_array_equal(got_valid, valid)
    np.testing.assert_array_equal(got[valid], data[valid])
    picked = draw.draw(st.lists(st.integers(0, len(data) - 1), min_size=1, max_size=4))
    got, got_valid = computed(select(nested, picked))
    np.testing.assert_array_equal(got[valid[picked]], data[picked][valid[picked]])
    np.testing.assert_array_equal(got_valid, valid[picked])


def test_names() -> None:
    a, b = array_source(np.zeros((2, 3, 3)), bands=["x", "y"]), array_source(np.zeros((2, 3, 3)), bands=["y", "x"])
    assert concat([a, b]).meta.bands == ("x", "y", "y_2", "x_2")
    assert concat([a, b], bands=["p", "q", "r", "s"]).meta.bands == ("p", "q", "r", "s")
    assert concat([array_source(np.zeros((3, 3)))], bands="pan").meta.bands == ("pan",)
    for bands in (["p", "q"], ["p", "p", "q", "r"]):
        with pytest.raises(BandError):
            concat([a, b], bands=bands)
    with pytest.raises(ArgumentError):
        concat([])


def test_other_pixels_are_named() -> None:
    a = array_source(np.zeros((3, 3)), crs="EPSG:4326")
    for other in (array_source(np.zeros((3, 4)), crs="EPSG:4326"), array_source(np.zeros((3, 3)), transform=Affine.scale(2))):
        with pytest.raises(GridError, match=r"inputs 0 and 2 .*EPSG:4326.*warp"):
            concat([a, a, other])


def test_disagreeing_nodata_is_rewritten() -> None:
    valid = np.array([[True, False]])
    a, b = array_source(np.array([[5, 7]], "u1"), valid, nodata=7), array_source(np.array([[3, 9]], "u1"), valid, nodata=9)
    node = concat([a, b])
    assert node.meta.nodata is None
    np.testing.assert_array_equal(computed(node)[0], [[[5, 0]], [[3, 0]]])
    node = concat([a, astype(b, "f4")])
    assert np.isnan(node.meta.nodata)
    np.testing.assert_array_equal(computed(node)[0], [[[5, np.nan]], [[3, np.nan]]])
    np.testing.assert_array_equal(computed(concat([a, a]))[0], [[[5, 7]], [[5, 7]]])


def test_unused_inputs_are_dropped_and_one_alone_is_itself() -> None:
    a = array_source(np.ones((2, 3, 3), "u1"), nodata=1)
    b = array_source(np.full((2, 3, 3), 2.5, "f4"), bands=["p", "b0"])
    c = array_source(np.full((3, 3), 3.0, "f4"), bands=["q"])
    best = optimize(select(concat([a, b, c]), ["p", "b0_2"]), "exact").node
    assert a not in topological(best)
    assert c not in topological(best)
    assert best.meta.bands == ("p", "b0_2")
    assert optimize(concat([b]), "exact").node == b
    assert optimize(concat([concat([b, c]), c]), "exact").node == Concat((b, c, c))
    assert from_json(to_json(best)) == best


@pytest.mark.parametrize("given", [[], [np.zeros((2, 2))], None, array_source(np.zeros((2, 2)))])
def test_only_rasters_are_taken(given: Any) -> None:
    with pytest.raises(ArgumentError, match="concat"):
        concat(given)


def test_attributes_of_bands_go_with_their_bands():
    data = np.zeros((2, 3, 3), "uint8")
    one = array_source(data, attrs={"scales": (1.0, 2.0), "units": ("m", "m"), "title": "one"})
    two = array_source(data[:1], attrs={"scales": (5.0,), "title": "two"}, bands=("x",))
    attrs = concat([one, two]).meta.attrs
    assert attrs == {"scales": (1.0, 2.0, 5.0), "title": "one"}
    assert concat([one]).meta.attrs == one.meta.attrs
    assert select(concat([one, two]), [2, 0]).meta.attrs["scales"] == (5.0, 1.0)
