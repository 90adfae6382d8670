"""Chains of ten thousand operations: built, rewritten, explained, stored, sent and computed without recursion."""

from __future__ import annotations

import pickle
import re

import numpy as np
import pytest
import rasterio

import weft

DEPTH = 10_000
AT = np.s_[:, 200:264, 300:364]


def sums(r: weft.Raster) -> weft.Raster:
    for number in range(DEPTH):
        r = r + float(number % 7)
    return r


def crops(r: weft.Raster) -> weft.Raster:
    for number in range(DEPTH):
        r = r[1:, :] if number % 100 == 0 else r.crop(window=(0, r.shape[1], 0, r.shape[2] - (number % 50 == 1)))
    return r


def mixed(r: weft.Raster) -> weft.Raster:
    """Arithmetic, clips and windows in turn, and a diamond now and then."""
    for number in range(DEPTH // 5):
        r = (r + 1.0).clip(0, 1e6)
        r = (r + r) * 0.5
        r = r[:, 1:] if number % 20 == 0 else r - 1.0
    return r


def expected(name: str, pixels: np.ndarray) -> np.ndarray:
    pixels = pixels.astype("float32")
    if name == "sums":
        return (pixels + sum(number % 7 for number in range(DEPTH)))[AT]
    if name == "crops":
        return pixels[:, DEPTH // 100 :, : -(DEPTH // 50)][AT]
    # Each round adds 1 and takes it off again, but for the rounds that move the window.
    moved = DEPTH // 5 // 20
    return (pixels[:, :, moved:] + moved)[AT]


@pytest.fixture(scope="module", params=[sums, crops, mixed], ids=lambda make: make.__name__)
def chain(request, scene):
    with rasterio.open(scene) as file:
        pixels = file.read([1])
    r = request.param(weft.open(scene).select("red").astype("float32"))
    return r, expected(request.param.__name__, pixels)


@pytest.mark.parametrize("mode", ["default", "exact", "none"])
def test_compute(chain, mode):
    r, pixels = chain
    got = r[AT].to_numpy(masked=True, optimize=mode)
    ok = ~np.ma.getmaskarray(got)
    assert ok.mean() > 0.5
    np.testing.assert_array_equal(got.data[ok], pixels[ok])


def test_optimize_and_explain(chain):
    r, _ = chain
    built = re.search(r"nodes +(\d+) built, (\d+) after", str(r.explain()))
    assert DEPTH <= int(built[1]) <= 2 * DEPTH
    assert int(built[2]) <= int(built[1])
    assert f"{built[1]} built" in str(r.explain(optimize="none"))
    np.testing.assert_array_equal(r.optimize()[AT].to_numpy(), r[AT].to_numpy())


def test_json(chain):
    r, pixels = chain
    again = weft.from_json(r.to_json())
    assert again.token == r.token
    got = again[AT].to_numpy(masked=True)
    ok = ~np.ma.getmaskarray(got)
    np.testing.assert_array_equal(got.data[ok], pixels[ok])


def test_pickle(chain):
    r, _ = chain
    again = pickle.loads(pickle.dumps(r))
    assert again.token == r.token
    array = r[AT].to_dask()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(array)).compute(), array.compute())


def test_shown_and_measured(chain):
    r, pixels = chain
    rows, cols = r.shape[1:]
    for text in (repr(r), r._repr_html_()):
        assert str(rows) in text
        assert str(cols) in text
    got = r[AT].statistics()["red"]
    assert pixels.min() <= got.min <= got.max <= pixels.max()
