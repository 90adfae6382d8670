"""Select against numpy indexing along the band axis."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weft.graph.errors import ArgumentError, BandError
from weft.graph.flat import topological
from weft.graph.jsonio import from_json, to_json
from weft.graph.optimize import optimize
from weft.ops.arithmetic import apply_ufunc
from weft.ops.common import unique_names
from weft.ops.select import Select, select

from .helpers import array_source, computed

DATA = np.arange(4 * 5 * 6, dtype=np.int32).reshape(4, 5, 6)
VALID = DATA % 3 != 0
NAMES = ("red", "green", "blue", "nir")


@given(draw=st.data(), per_band=st.booleans())
@settings(max_examples=40, deadline=None)
def test_chains_of_positions(draw: Any, per_band: bool) -> None:
    flags = VALID if per_band else VALID[:1]
    node = source = array_source(DATA, flags, bands=NAMES)
    order = np.arange(4)
    for _ in range(draw.draw(st.integers(1, 3))):
        picked = draw.draw(st.lists(st.integers(0, len(order) - 1), min_size=1, max_size=5))
        node, order = select(node, picked), order[picked]
    data, valid = computed(node)
    np.testing.assert_array_equal(data, DATA[order])
    np.testing.assert_array_equal(valid, np.broadcast_to(flags, DATA.shape)[order])
    assert len(topological(optimize(node, "exact").node)) <= 2
    assert source.meta.bands == NAMES


def test_names_slices_and_repeats() -> None:
    source = array_source(DATA, bands=NAMES)
    assert select(source, "nir").meta.bands == ("nir",)
    assert select(source, -1) == select(source, ["nir"])
    assert select(source, slice(None, None, -1)).meta.bands == NAMES[::-1]
    assert select(source, ["red", "red", 0]).meta.bands == ("red", "red_2", "red_3")
    assert unique_names(["a", "a", "a_2", "a"]) == ("a", "a_3", "a_2", "a_4")


def test_a_mapping_renames() -> None:
    source = array_source(DATA, bands=NAMES)
    node = select(source, {"r": "red", "infrared": 3})
    assert node.meta.bands == ("r", "infrared")
    np.testing.assert_array_equal(computed(node)[0], DATA[[0, 3]])
    again = select(node, ["infrared"])
    assert optimize(again, "exact").node == Select(source, (3,), ("infrared",))
    assert from_json(to_json(again)) == again


def test_refusals() -> None:
    source = array_source(DATA, bands=NAMES)
    for bands, error in [
        ("swir", BandError), (4, BandError), (-5, BandError), ([], BandError), (slice(9, None), BandError), (True, BandError),
        ({"": "red"}, ArgumentError), ({3: "red"}, ArgumentError), (1.5, BandError), (slice("a"), ArgumentError),
    ]:  # fmt: skip
        with pytest.raises(error):
            select(source, bands)
    with pytest.raises(ArgumentError):
        Select(source, (0, 1), ("a", "a"))
    with pytest.raises(BandError):
        Select(source, (-1,))


def test_all_bands_in_order_is_nothing() -> None:
    source = array_source(DATA, bands=NAMES)
    assert optimize(select(source, slice(None)), "exact").node == source
    renamed = select(source, {"a": 0, "b": 1, "c": 2, "d": 3})
    assert optimize(renamed, "exact").node == renamed


def test_a_selection_sinks_below_pointwise_operations_and_keeps_its_names() -> None:
    many, one = array_source(DATA, VALID, bands=NAMES), array_source(DATA[:1], bands=["pan"])
    node = select(apply_ufunc("multiply", one, apply_ufunc("add", many, [1, 2, 3, 4])), {"x": "blue", "y": "blue"})
    data, _ = computed(node)
    np.testing.assert_array_equal(data, np.where(VALID, DATA[:1] * (DATA + np.arange(1, 5)[:, None, None]), 0)[[2, 2]])
    widths = {len(n.meta.bands) for n in topological(optimize(node, "exact").node) if n.name == "arithmetic"}
    assert widths == {1}
