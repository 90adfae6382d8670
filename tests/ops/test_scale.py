"""Scale: shapes, true ratios, and what the pixels mean."""

from __future__ import annotations

import numpy as np
import pytest

from weft.graph.errors import ArgumentError, GridError
from weft.graph.grid import Grid
from weft.ops import scale

UTM = Grid((41, 50), (10, 0, 500000, 0, -10, 5200000), "EPSG:32633")


def test_shape_is_rounded_and_the_ratio_is_true(image):
    node = scale(image(np.zeros((1, 41, 50)), UTM), (0.5, 0.333))
    assert node.grid.shape == (20, 17)
    assert node.matrix == pytest.approx((50 / 17, 0, 0, 0, 41 / 20, 0))
    assert node.grid.bounds == pytest.approx(UTM.bounds)
    assert scale(image(np.zeros((1, 41, 50))), 0.001).grid.shape == (1, 1)


def test_halving_averages_and_doubling_repeats(image, whole):
    pixels = np.random.default_rng(0).normal(size=(1, 32, 32))
    half = whole(scale(image(pixels), 0.5)).data
    weights = np.array([0.125, 0.375, 0.375, 0.125])  # a triangle two output pixels wide, at its taps
    window = pixels[0, 3:7, 5:9]
    assert half[0, 2, 3] == pytest.approx(weights @ window @ weights)
    twice = whole(scale(image(pixels), 2, resampling="nearest")).data
    assert np.array_equal(twice, pixels.repeat(2, axis=1).repeat(2, axis=2))


def test_a_constant_stays_and_no_pixel_is_lost(image, whole):
    for factor in (0.13, 0.5, 0.99, 1.7, 3):
        for resampling in ("nearest", "bilinear", "cubic"):
            block = whole(scale(image(np.full((1, 41, 50), 200, np.uint8)), factor, resampling=resampling))
            assert block.valid is None
            assert (block.data == 200).all()


def test_scale_by_one_is_the_image(image):
    source = image(np.zeros((1, 41, 50)), UTM)
    assert scale(source, 1).rewrite(exact_only=True)[1] is source


@pytest.mark.parametrize("factor", [0, -1, float("nan"), float("inf"), "half", (1, 2, 3), (1, 0)])
def test_impossible_factors_are_refused(image, factor):
    with pytest.raises(ArgumentError, match="factor"):
        scale(image(np.zeros((1, 4, 5))), factor)


def test_absurd_sizes_and_unknown_resampling_are_refused(image):
    with pytest.raises(GridError):
        scale(image(np.zeros((1, 4, 5))), 1e12)
    with pytest.raises(ArgumentError, match="nearest, bilinear, cubic"):
        scale(image(np.zeros((1, 4, 5))), 2, resampling="box")
