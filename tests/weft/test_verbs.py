"""A verb of ``Raster`` and the function of ``weft.ops`` are one thing: they build the same graph."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from affine import Affine

import weft
from weft import ops


def call(*args, **kwargs):
    return args, kwargs


LIKE = weft.Grid((20, 20), (20, 0, 500000, 0, -20, 5000000), "EPSG:32633")
CASES = {
    "crop": [
        call((500100, 4999700, 500300, 4999900)),
        call((14.9, 45.1, 15.1, 45.2), "EPSG:4326"),
        call(window=(1, 9, 2, 8)),
    ],
    "pad": [call(3), call((1, 2), value=9)],
    "select": [call("red"), call([2, 0])],
    "warp": [
        call("EPSG:3857"),
        call("EPSG:3857", resolution=20, bounds=(1669000, 5640000, 1671000, 5642000)),
        call(like=LIKE),
        call("EPSG:4326", shape=(20, 30), resampling="cubic", antialias=False, tolerance=0.01),
    ],
    "affine": [call(Affine.rotation(10)), call(Affine.scale(2), shape="keep", resampling="nearest", antialias=False)],
    "scale": [call(0.5), call((2, 3), resampling="nearest", antialias=False), call(0.3, resampling="mode")],
    "resize": [call((20, 30)), call((20, 30), resampling="cubic", antialias=False), call((9, 8), resampling="average")],
    "halve": [call(), call("lanczos")],
    "overview": [call(0)],
    "sips_reduce": [call(), call(3, bit_depth=11)],
    "astype": [call("float32"), call("uint8", casting="wrap")],
    "rescale": [call((0, 200)), call((0, 200), (0, 255), "uint8")],
    "clip": [call(10, 20), call(hi=30)],
    "lut": [call(np.arange(200, dtype=np.uint8)), call(np.arange(9), first=3)],
    "map": [call(np.negative), call(np.negative, "int32", 2, bands=["a", "b", "c"], valid=True)],
    "correlate": [call([[1, 2], [3, 4]])],
    "convolve": [call(np.ones((3, 3)) / 9)],
    "fillna": [call(5)],
    "dra": [
        call(),
        call(dtype="uint16", min_percentage=0.1, max_percentage=0.8, a=0.1, b=0.3, mode="minmax", approximate=False),
    ],
    "display": [call(), call(bands=["red", 2, 0], mode="minmax", dtype="uint16", approximate=False)],
    "stretch": [call(), call((1, 99), dtype="float32", per_band=False, approximate=False)],
}


@pytest.mark.parametrize(("name", "case"), [(name, case) for name, cases in CASES.items() for case in cases])
def test_methods_and_functions_are_one(raster, name, case):
    args, kwargs = case
    by_method = getattr(raster, name)(*args, **kwargs)
    by_function = getattr(ops, name)(raster, *args, **kwargs)
    assert isinstance(by_method, weft.Raster)
    assert isinstance(by_function, weft.Raster)
    assert by_method.token == by_function.token


def test_colours_are_three_bands_of_floats(raster):
    image = raster.rescale((0, 255))
    assert image.color_space("srgb", "cielab").token == ops.color_space(image, "srgb", "cielab").token


def test_verbs_that_take_rasters(raster):
    cond = raster > 50
    assert raster.where(cond).token == ops.where(raster, cond).token
    assert raster.where(cond, 7).token == ops.where(raster, cond, 7).token
    assert raster.mask(cond).token == ops.mask(raster, cond).token
    assert raster[1, 3:9, ::-1].token == ops.index(raster, (1, slice(3, 9), slice(None, None, -1))).token


@pytest.mark.parametrize("name", sorted(CASES))
def test_methods_take_what_functions_take(name):
    method = list(inspect.signature(getattr(weft.Raster, name)).parameters.values())[1:]
    function = list(inspect.signature(getattr(ops, name)).parameters.values())[1:]
    assert [(p.name, p.kind, p.default) for p in method] == [(p.name, p.kind, p.default) for p in function]
