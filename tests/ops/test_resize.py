"""Resize: any shape over the same ground."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from weft.graph.errors import ArgumentError, GridError
from weft.graph.grid import Grid
from weft.ops import resize


@settings(max_examples=25, deadline=None)
@given(shape=st.tuples(st.integers(1, 90), st.integers(1, 90)), cubic=st.booleans())
def test_equals_pillow_whose_kernels_are_the_same(image, whole, shape, cubic):
    pixels = np.random.default_rng(0).normal(size=(1, 41, 50)).astype(np.float32)
    # Between 1 and 1/0.95 the kernel stays plain here, as GDAL's does; Pillow widens it.
    if any(1 < n / m <= 1 / 0.95 for n, m in zip((41, 50), shape, strict=True)):
        return
    ours = whole(resize(image(pixels), shape, resampling="cubic" if cubic else "bilinear"))
    method = Pillow.Resampling.BICUBIC if cubic else Pillow.Resampling.BILINEAR
    theirs = np.asarray(Pillow.fromarray(pixels[0]).resize(shape[::-1], method))
    assert ours.valid is None
    assert np.abs(ours.data[0] - theirs).max() < 1e-4


def test_ground_and_ratio_per_axis(image):
    grid = Grid((40, 50), (10, 0, 500000, 0, -10, 5200000), "EPSG:32633")
    node = resize(image(np.zeros((2, 40, 50)), grid), (10, 100))
    assert node.grid.shape == (10, 100)
    assert node.grid.resolution == pytest.approx((5, 40))
    assert node.grid.bounds == pytest.approx(grid.bounds)
    assert node.meta.bands == ("b0", "b1")


def test_impossible_shapes_and_resamplings_are_refused(image):
    source = image(np.zeros((1, 4, 5)))
    for shape in ((0, 5), (2.5, 5), (5,), "large", (2**40, 1)):
        with pytest.raises(GridError):
            resize(source, shape)
    with pytest.raises(ArgumentError, match="nearest, bilinear, cubic"):
        resize(source, (2, 2), resampling="area")
