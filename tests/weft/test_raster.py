from __future__ import annotations

import inspect
import operator
import pickle

import numpy as np
import pytest
from affine import Affine
from dask.base import tokenize
from pyproj import CRS

import weft
from weft.graph.node import Node


def test_what_is_known_without_reading(raster):
    assert raster.shape == (3, 40, 50)
    assert raster.ndim == 3
    assert raster.dtype == np.uint16
    assert raster.bands == ("red", "green", "blue")
    assert raster.crs == CRS.from_epsg(32633)
    assert raster.transform == Affine(10, 0, 500000, 0, -10, 5000000)
    assert raster.bounds == (500000, 4999600, 500500, 5000000)
    assert raster.resolution == (10, 10)
    assert raster.nodata == 0
    assert raster.grid == weft.Grid((40, 50), raster.transform, "EPSG:32633")
    assert raster.chunks == ((3,), (40,), (50,))
    assert isinstance(raster.node, Node)
    assert raster.token == raster.node.token


def test_a_plain_pixel_grid_has_no_crs(pixels):
    assert weft.from_array(pixels).crs is None


BINARY = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.floordiv,
    operator.mod,
    operator.lt,
    operator.le,
    operator.gt,
    operator.ge,
    operator.eq,
    operator.ne,
    operator.and_,
    operator.or_,
    operator.xor,
]


@pytest.mark.parametrize("function", BINARY)
def test_operators_are_numpys(function, pixels):
    a, b = pixels, pixels[:, ::-1].copy()
    left, right = weft.from_array(a), weft.from_array(b)
    for got, expected in [
        (function(left, right), function(a, b)),
        (function(left, 7), function(a, 7)),
        (function(7, left), function(7, a)),
        (function(np.uint16(7), left), function(np.uint16(7), a)),
    ]:
        assert isinstance(got, weft.Raster)
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got.to_numpy(), expected)


def test_powers_and_unary_operators(pixels):
    data = pixels.astype(np.float64) - 100
    r = weft.from_array(data)
    np.testing.assert_array_equal((r**2).to_numpy(), data**2)
    np.testing.assert_array_equal((2**r).to_numpy(), 2**data)
    np.testing.assert_array_equal((-r).to_numpy(), -data)
    np.testing.assert_array_equal((+r).to_numpy(), data)
    np.testing.assert_array_equal(abs(r).to_numpy(), abs(data))
    np.testing.assert_array_equal((~weft.from_array(pixels)).to_numpy(), ~pixels)


def test_ufuncs_stay_lazy(raster, pixels):
    root = np.sqrt(raster)
    assert isinstance(root, weft.Raster)
    np.testing.assert_array_equal(root.to_numpy(), np.sqrt(pixels))
    np.testing.assert_array_equal(np.maximum(raster, 90).to_numpy(), np.maximum(pixels, 90))
    with pytest.raises(TypeError):
        np.add.reduce(raster)
    with pytest.raises(TypeError):
        np.sqrt(raster, out=np.empty(raster.shape))
    with pytest.raises(TypeError):
        np.modf(raster)


def test_operands_that_make_no_sense(raster):
    with pytest.raises(TypeError):
        raster + "one"
    with pytest.raises(weft.GridError):
        raster + raster[1:, :]
    assert (raster == None) is False  # noqa: E711  nothing to compare pixels with
    assert raster != "text"


def test_equality_is_of_pixels_and_hash_of_the_graph(raster):
    same = weft.from_json(raster.to_json())
    assert hash(same) == hash(raster)
    assert (raster == same).dtype == bool
    assert (raster == same).to_numpy().all()
    with pytest.raises(TypeError, match="token"):
        bool(raster == same)
    with pytest.raises(TypeError):
        iter(raster)


def test_numpy_reads_it(raster, pixels):
    np.testing.assert_array_equal(np.asarray(raster), pixels)
    assert np.asarray(raster, dtype=np.float32).dtype == np.float32
    with pytest.raises(ValueError, match="copy"):
        np.array(raster, copy=False)


def test_dask_reads_it(raster, pixels):
    np.testing.assert_array_equal(raster.data.compute(), pixels)
    assert raster.to_dask((16, 50)).chunks == ((3,), (16, 16, 8), (50,))
    assert tokenize(raster) == tokenize(weft.from_json(raster.to_json()))
    assert tokenize(raster) != tokenize(raster + 1)


def test_pickle(raster, pixels):
    view = raster.select("green").crop(window=(5, 30, 6, 40)).optimize()
    back = pickle.loads(pickle.dumps(view))
    assert isinstance(back, weft.Raster)
    assert back.token == view.token
    np.testing.assert_array_equal(back.to_numpy(), pixels[1:2, 5:30, 6:40])


def test_an_optimized_graph_is_final(raster):
    twice = raster[10:, :][10:, :]
    final = twice.optimize("none")
    assert final.token == twice.token
    assert final.optimize("default").token == twice.token
    assert twice.optimize("default").token != twice.token
    assert "crop" not in str(final.explain()).split("graph")[0]
    assert (final + 1).optimize().token == (twice + 1).optimize().token


@pytest.mark.parametrize("valid", [None, True])
def test_persist_keeps_pixels_and_validity(raster, pixels, valid):
    view = raster if valid is None else raster.where(raster > 50)
    kept = view.persist((16, 16))
    assert kept.grid == view.grid
    assert kept.bands == view.bands
    assert kept.nodata == view.nodata
    got, expected = kept.to_numpy(masked=True), view.to_numpy(masked=True)
    np.testing.assert_array_equal(np.ma.getmaskarray(got), np.ma.getmaskarray(expected))
    np.testing.assert_array_equal(got.filled(0), expected.filled(0))


def test_statistics_and_histogram(raster, pixels):
    table = raster.statistics()
    assert list(table) == ["red", "green", "blue"]
    for band, values in zip(table.values(), pixels, strict=True):
        assert (band.count, band.min, band.max) == (values.size, values.min(), values.max())
        assert band.mean == pytest.approx(values.mean())
        assert band.std == pytest.approx(values.std())
    histogram = raster.histogram(bins=10, range=(0, 200))
    for counts, values in zip(histogram.counts, pixels, strict=True):
        np.testing.assert_array_equal(counts, np.histogram(values, 10, (0, 200))[0])


def test_json_round_trip(raster):
    view = raster.select(["blue", "red"])[5:, ::2].astype("float32").warp("EPSG:3857").stretch((1, 99))
    back = weft.from_json(view.to_json())
    assert back.token == view.token
    np.testing.assert_array_equal(back.to_numpy(), view.to_numpy())


def test_a_graph_with_a_function_has_no_json(raster):
    with pytest.raises(weft.GraphFormatError):
        raster.map(np.negative).to_json()


def test_a_small_memory_limit_is_refused_before_reading(raster):
    for finalize in (raster.to_numpy, raster.to_dask, raster.to_xarray, raster.persist):
        with pytest.raises(weft.MemoryLimitError):
            finalize(memory_limit=10)


def test_every_verb_says_what_it_does():
    for name, member in inspect.getmembers(weft.Raster):
        if not name.startswith("_"):
            documented = inspect.getdoc(member)
            assert documented, name
            assert documented[0].isupper() or documented[0].isdigit() or documented[0] == "(", name


def test_every_public_function_says_what_it_does():
    for name in weft.__all__:
        if callable(getattr(weft, name)):
            assert inspect.getdoc(getattr(weft, name)), name


def test_a_raster_holds_a_node():
    with pytest.raises(weft.ArgumentError, match="from_array"):
        weft.Raster(np.zeros((1, 2, 2)))


def test_concat(raster, pixels):
    both = weft.concat([raster, raster.select("red")], bands=["a", "b", "c", "d"])
    assert both.bands == ("a", "b", "c", "d")
    np.testing.assert_array_equal(both.to_numpy(), np.concatenate([pixels, pixels[:1]]))
    with pytest.raises(weft.GridError):
        weft.concat([raster, raster[1:, :]])


def test_open(scene):
    r = weft.open(scene, bands=["nir", "red"])
    assert r.bands == ("nir", "red")
    assert r.shape == (2, 256, 256)
    with pytest.raises(weft.SourceError, match=r"missing\.tif"):
        weft.open(scene.with_name("missing.tif"))
    with pytest.raises(weft.BandError, match="red"):
        weft.open(scene, bands=["purple"])
