"""Dask arrays as a source, through whole plans."""

from __future__ import annotations

import pickle

import cloudpickle
import dask
import dask.array as da
import numpy as np
import pytest

from weft.graph.errors import ArgumentError, BandError, GraphFormatError
from weft.graph.jsonio import to_json
from weft.graph.lower import lower, whole_block
from weft.graph.plan import make_plan
from weft.io.array import from_array
from weft.io.numpy_sink import to_numpy
from weft.ops.arithmetic import apply_ufunc
from weft.ops.crop import crop

DATA = np.arange(2 * 30 * 40, dtype=np.float32).reshape(2, 30, 40)
DATA[0, 3, 3] = np.nan


@pytest.mark.parametrize("chunks", [(1, 7, 9), (2, 30, 40), (1, 30, 1)])
def test_pixels_and_validity(chunks):
    lazy = da.from_array(DATA, chunks=chunks)
    mask = DATA % 5 != 0
    node = from_array(lazy, nodata=8, valid=da.from_array(mask, chunks=(2, 11, 40)))
    values = to_numpy(node, masked=True)
    np.testing.assert_array_equal(values.data, DATA)
    np.testing.assert_array_equal(values.mask, ~(mask & (DATA != 8) & ~np.isnan(DATA)))


def test_only_the_needed_chunks_are_computed():
    asked = []

    def block(block_info=None):
        place = block_info[None]["array-location"]
        asked.append(tuple(place[-2:]))
        return np.full([b - a for a, b in place], 3, np.uint8)

    lazy = da.map_blocks(block, chunks=((1,), (10,) * 5, (10,) * 5), dtype=np.uint8, meta=np.empty((0, 0, 0), np.uint8))
    node = crop(from_array(lazy), window=(12, 18, 25, 35))
    assert (to_numpy(node) == 3).all()
    assert set(asked) == {((10, 20), (20, 30)), ((10, 20), (30, 40))}


def test_bands_and_names():
    node = from_array(da.from_array(DATA, chunks=(1, 10, 10)), bands=["a", "b"], valid=np.ones((2, 30, 40), bool))
    picked = node.select((1,))
    assert picked.meta.bands == ("b",)
    np.testing.assert_array_equal(to_numpy(picked), DATA[[1]])


def test_two_axes_and_native_order():
    node = from_array(da.from_array(DATA[1].astype(">f4"), chunks=16))
    assert node.meta.dtype.isnative
    np.testing.assert_array_equal(to_numpy(node), DATA[[1]])


def test_refusals():
    lazy = da.from_array(DATA, chunks=10)
    with pytest.raises(ArgumentError, match="unknown"):
        from_array(lazy[0][lazy[0][:, 0] > 3])
    with pytest.raises(BandError):
        from_array(lazy, bands=["one"])
    with pytest.raises(ArgumentError, match="bool"):
        from_array(lazy, valid=lazy)
    with pytest.raises(ArgumentError, match="fit"):
        from_array(lazy, valid=np.ones((2, 2), bool))
    with pytest.raises(GraphFormatError):
        to_json(from_array(lazy))


def test_a_task_carries_no_dask_graph() -> None:
    """The chunks reach a task as its dependencies, so the plan that every worker gets must not hold them too."""
    pixels = np.random.default_rng(1).integers(0, 255, (1, 2048, 2048), dtype=np.uint8)
    node = apply_ufunc("add", from_array(da.from_array(pixels, chunks=(1, 256, 256)), nodata=7), 1)
    lowered = lower(make_plan(node, (256, 256)), whole_block)
    plan = next(layer for name, layer in lowered.graph.layers.items() if name.endswith("-plan"))
    assert len(cloudpickle.dumps(dict(plan))) < 10_000
    again = pickle.loads(cloudpickle.dumps(dict(lowered.graph)))
    block = dask.get(again, lowered.keys[3][5])
    wanted = pixels[:, 3 * 256 : 4 * 256, 5 * 256 : 6 * 256]
    np.testing.assert_array_equal(block.data[block.valid], wanted[wanted != 7] + 1)
    np.testing.assert_array_equal(block.valid, wanted != 7)
