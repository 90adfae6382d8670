"""Overviews: the file's own levels, through pixelwise operations."""

from __future__ import annotations

import numpy as np
import pytest

from weft.graph.errors import ArgumentError
from weft.graph.sweep import Program, evaluate
from weft.io.array import from_array
from weft.io.registry import open_source
from weft.ops.overview import overview, overviews_of
from weft.ops.select import select


@pytest.fixture
def pyramid(shared_data):
    return open_source(shared_data / "geotiff" / "rasterio/cogeo.tif")  # 1024 px and six overviews


def test_levels_by_number(pyramid):
    assert overview(pyramid, 0) is pyramid
    assert [overview(pyramid, k).meta.grid.shape[0] for k in range(7)] == [1024, 512, 256, 128, 64, 32, 16]
    assert overview(pyramid, -1).meta.grid.shape == (16, 16)
    assert overview(pyramid, 3).meta.bands == pyramid.meta.bands


@pytest.mark.parametrize("level", [7, -8, 1.0, True, None])
def test_no_such_level(pyramid, level):
    with pytest.raises(ArgumentError, match=r"1024 x 1024.*16 x 16"):
        overview(pyramid, level)


def test_through_pixelwise_operations(pyramid):
    node = select(pyramid, [2, 0])
    reduced = overview(node, 2)
    whole = evaluate(Program(overview(pyramid, 2)), reduced.meta.grid.region)
    np.testing.assert_array_equal(evaluate(Program(reduced), reduced.meta.grid.region).data, whole.data[[2, 0]])


def test_without_overviews():
    node = from_array(np.zeros((4, 4), np.uint8))
    assert overviews_of(node) == ()
    with pytest.raises(ArgumentError, match="no overviews"):
        overview(node, 1)
