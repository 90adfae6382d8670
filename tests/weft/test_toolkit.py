"""The OSML imagery toolkit's names: thin forms of what weft has."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from rasterio.enums import Resampling

import weft
from weft import PyramidBuilder, TiledImagePyramid, iter_blocks, ops
from weft.graph.errors import ArgumentError


@pytest.fixture
def image():
    pixels = np.random.default_rng(7).integers(0, 4000, (2, 700, 611)).astype("uint16")
    return weft.from_array(pixels, transform=(10, 0, 500000, 0, -10, 5000000), crs="EPSG:32633")


@pytest.fixture
def file(tmp_path, image):
    path = tmp_path / "a.tif"
    profile = {"driver": "GTiff", "height": 700, "width": 611, "count": 2, "dtype": "uint16", "tiled": True}
    place = rasterio.Affine(10, 0, 500000, 0, -10, 5000000)
    with rasterio.open(path, "w", **profile, transform=place, blockxsize=256, blockysize=256) as target:
        target.write(image.to_numpy())
    with rasterio.open(path, "r+") as target:
        target.build_overviews([2, 4], Resampling.nearest)
    return path


def test_a_tiled_pyramid_is_a_pyramid(image):
    pyramid = TiledImagePyramid.from_providers([image, image.halve()])
    assert isinstance(pyramid, weft.Pyramid)
    assert (pyramid.num_levels, pyramid.scale_factor, pyramid.reader) == (2, 2, None)
    assert pyramid.get_level(1).shape == (2, 350, 306)
    assert pyramid.best_level_for((611, 700), (300, 300)) == 1
    with pytest.raises(IndexError):
        pyramid.get_level(2)
    with pytest.raises(ValueError, match="at least one"):
        TiledImagePyramid([])


@pytest.mark.parametrize("opened", [False, True])
def test_from_a_file_with_its_overviews(file, opened):
    given = weft.open(file) if opened else file
    pyramid = TiledImagePyramid.from_dataset(given)
    assert [level.shape for level in pyramid] == [(2, 700, 611), (2, 350, 306), (2, 175, 153)]
    assert pyramid.reader is given
    level = pyramid.compute_statistics(max_pixels=20_000)
    coarse = pyramid[2].to_numpy()
    assert [band.min for band in level.bands] == [plane.min() for plane in coarse]
    np.testing.assert_allclose([band.mean for band in level.bands], coarse.mean(axis=(1, 2)))
    whole = pyramid.compute_statistics(0)
    np.testing.assert_allclose([band.mean for band in whole.bands], pyramid[0].to_numpy().mean(axis=(1, 2)))


@pytest.mark.parametrize(
    ("function", "method"),
    [
        (None, "sips"),
        ("mode", "mode"),
        (ops.sips_rrds_resample, "sips"),
        (ops.area_resample, "average"),
        (ops.nearest_neighbor_resample, "nearest"),
        (ops.lanczos_resample, "lanczos"),
    ],
)
def test_a_builder_computes_what_the_pyramid_is(image, function, method):
    levels = PyramidBuilder(image, 100, resample_func=function).build()
    expected = image.pyramid(method, 100)
    assert levels[0] is not None
    assert levels[0].token == image.token
    assert len(levels) == len(expected)
    for level, wanted in zip(levels, expected, strict=True):
        np.testing.assert_array_equal(level.to_numpy(), wanted.to_numpy())


def test_a_builder_takes_the_overviews_of_the_file(file):
    image = weft.open(file)
    levels = PyramidBuilder(image, 100).build()
    np.testing.assert_array_equal(levels[2].to_numpy(), image.overview(2).to_numpy())
    own = PyramidBuilder(image, 100, use_native_levels=False).build()
    np.testing.assert_array_equal(own[1].to_numpy(), image.sips_reduce().to_numpy())


def test_a_builder_writes_the_reduced_levels(image, tmp_path):
    url = PyramidBuilder(image, 100, tile_width=128, tile_height=64).build_and_write(tmp_path / "a.zarr")
    stored = weft.open(url)
    np.testing.assert_array_equal(stored.to_numpy(), image.sips_reduce().to_numpy())
    assert stored.node.header.levels[0].chunk == (64, 128)
    with pytest.raises(ArgumentError, match="no reduced levels"):
        PyramidBuilder(image, 2000).build_and_write(tmp_path / "b.zarr")
    assert len(PyramidBuilder(image, 2000).build()) == 1


@pytest.mark.parametrize(
    "options",
    [{"scale_factor": 4}, {"num_workers": -1}, {"min_size": 0}, {"resample_func": np.mean}, {"resample_func": "wavelet"}],
)
def test_what_makes_no_sense_is_refused(image, options):
    with pytest.raises(ValueError, match=r"scale_factor|num_workers|min_size|resample_func|method"):
        PyramidBuilder(image, **options)


def test_blocks_come_row_by_row(file):
    image = weft.open(file)
    blocks = list(iter_blocks(image))
    rows, cols = image.node.meta.tile
    assert [(i, j) for i, j, _ in blocks] == [(i, j) for i in range(-(-700 // rows)) for j in range(-(-611 // cols))]
    whole = np.concatenate(
        [np.concatenate([b for i, _, b in blocks if i == row], axis=2) for row in range(blocks[-1][0] + 1)], axis=1
    )
    np.testing.assert_array_equal(whole, image.to_numpy())
    np.testing.assert_array_equal(next(iter_blocks(image, resolution_level=2))[2], image.overview(2).to_numpy())
    with pytest.raises(ArgumentError, match="order"):
        iter_blocks(image, order="spiral")
    with pytest.raises(ArgumentError, match="no level"):
        iter_blocks(image, resolution_level=3)
