"""A small scene and rasters that several tests of the faces use."""

from __future__ import annotations

import numpy as np
import pytest

import weft
from weft.scene import write_scene


@pytest.fixture(scope="session")
def scene(tmp_path_factory):
    """A COG of 256 x 256 pixels; nobody writes into it."""
    return write_scene(tmp_path_factory.mktemp("scene") / "scene.tif", 256)


@pytest.fixture
def pixels():
    return np.random.default_rng(3).integers(1, 200, (3, 40, 50)).astype(np.uint16)


@pytest.fixture
def raster(pixels):
    return weft.from_array(
        pixels, transform=(10, 0, 500000, 0, -10, 5000000), crs="EPSG:32633", bands=("red", "green", "blue"), nodata=0
    )
