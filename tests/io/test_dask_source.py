"""Dask arrays as a source, through whole plans."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest

from weft.graph.errors import ArgumentError, BandError, GraphFormatError
from weft.graph.jsonio import to_json
from weft.io.array import from_array
from weft.io.numpy_sink import to_numpy
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
