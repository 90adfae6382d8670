"""Pad against numpy.pad."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

from weft.graph.errors import ArgumentError
from weft.graph.optimize import optimize
from weft.ops.crop import crop
from weft.ops.pad import pad

from .helpers import array_source, computed

DATA = np.arange(2 * 6 * 5, dtype=np.uint8).reshape(2, 6, 5)
VALID = DATA % 5 != 1


@given(
    width=st.tuples(*[st.integers(0, 9)] * 4),
    value=st.sampled_from([None, 7]),
    masked=st.booleans(),
    per_band=st.booleans(),
)
@settings(max_examples=30, deadline=None)
def test_like_numpy(width: Any, value: Any, masked: bool, per_band: bool) -> None:
    flags = VALID if per_band else VALID[:1]
    source = array_source(DATA, flags if masked else None, nodata=255, transform=Affine(2, 0, 10, 0, -2, 20))
    node = pad(source, width, value=value)
    around = ((0, 0), width[:2], width[2:])
    data, valid = computed(node)
    np.testing.assert_array_equal(data, np.pad(DATA, around, constant_values=255 if value is None else value))
    before = np.broadcast_to(flags, DATA.shape) if masked else np.ones_like(VALID)
    np.testing.assert_array_equal(valid, np.pad(before, around, constant_values=value is not None))
    back = crop(node, window=(width[0], width[0] + 6, width[2], width[2] + 5))
    assert back.grid.same_pixels(source.grid)
    np.testing.assert_array_equal(computed(back)[0], DATA)


@pytest.mark.parametrize(
    ("width", "sides"),
    [(2, (2, 2, 2, 2)), ((1, 2), (1, 1, 2, 2)), ((1, 2, 3, 4), (1, 2, 3, 4)), (((1, 2), (3, 4)), (1, 2, 3, 4))],
)
def test_widths(width: Any, sides: Any) -> None:
    node = pad(array_source(DATA), width)
    assert (node.top, node.bottom, node.left, node.right) == sides


@pytest.mark.parametrize("width", [-1, (1, -1), (1, 2, 3), 1.5, "2", None])
def test_bad_widths(width: Any) -> None:
    with pytest.raises(ArgumentError):
        pad(array_source(DATA), width)


def test_values() -> None:
    for value in (256, -1, 0.5, np.nan, "a"):
        with pytest.raises(ArgumentError):
            pad(array_source(DATA), 1, value=value)
    assert pad(array_source(DATA), 1, value=3.0).value == 3
    data, valid = computed(pad(array_source(DATA, nodata=9), 1, value=9))
    assert (data[:, 0] == 9).all()
    assert not valid[:, 0].any()
    data, valid = computed(pad(array_source(DATA.astype("f4")), 1, value=np.nan))
    assert np.isnan(data[:, 0]).all()
    assert not valid[:, 0].any()
    assert valid[:, 1:-1, 1:-1].all()


def test_padding_by_nothing_is_removed() -> None:
    source = array_source(DATA)
    assert optimize(pad(source, 0), "exact").node == source
    assert not pad(source, 0).meta.masked
