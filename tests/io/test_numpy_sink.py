"""All pixels into memory: validity, fill, schedulers, errors."""

from __future__ import annotations

import dask
import numpy as np
import pytest

from weft.graph.errors import ArgumentError, MemoryLimitError, SourceError
from weft.io.array import from_array
from weft.io.numpy_sink import to_numpy
from weft.io.registry import open_source
from weft.ops.crop import crop
from weft.ops.pad import pad

DATA = np.arange(2 * 50 * 60, dtype=np.int16).reshape(2, 50, 60)
VALID = DATA % 7 != 0


def test_stored_masked_and_filled():
    node = from_array(DATA, valid=VALID)
    np.testing.assert_array_equal(to_numpy(node), DATA)
    np.testing.assert_array_equal(to_numpy(node, fill=-1), np.where(VALID, DATA, -1))
    masked = to_numpy(node, masked=True)
    np.testing.assert_array_equal(masked.mask, ~VALID)
    np.testing.assert_array_equal(masked.data, DATA)
    assert to_numpy(node, masked=True, fill=-1).fill_value == -1
    one_mask = to_numpy(from_array(DATA, valid=VALID[0]), masked=True)
    np.testing.assert_array_equal(one_mask.mask, ~np.stack([VALID[0]] * 2))


def test_all_valid_has_a_full_mask_too():
    masked = to_numpy(from_array(DATA), masked=True)
    assert masked.mask.shape == DATA.shape
    assert not masked.mask.any()


def test_fill_has_to_fit():
    with pytest.raises(ArgumentError, match="fill"):
        to_numpy(from_array(DATA), fill=1e9)


def test_many_chunks_and_a_window(write_tif):
    big = np.random.default_rng(0).integers(0, 255, (1, 2500, 1300)).astype(np.uint8)
    node = open_source(write_tif(big, tiled=True, blockxsize=256, blockysize=256))
    np.testing.assert_array_equal(to_numpy(node), big)
    np.testing.assert_array_equal(to_numpy(crop(node, window=(7, 2400, 100, 1111))), big[:, 7:2400, 100:1111])


@pytest.mark.parametrize("scheduler", ["synchronous", "threads", "processes"])
def test_any_scheduler(scheduler):
    node = from_array(DATA, valid=VALID)
    with dask.config.set(scheduler=scheduler, num_workers=2):
        values = to_numpy(node, masked=True, fill=-1)
    np.testing.assert_array_equal(values.data, np.where(VALID, DATA, -1))
    np.testing.assert_array_equal(values.mask, ~VALID)


def test_distributed_client():
    distributed = pytest.importorskip("distributed")
    with distributed.Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None):
        np.testing.assert_array_equal(to_numpy(from_array(DATA, valid=VALID), fill=3), np.where(VALID, DATA, 3))


def test_errors_come_through(shared_data):
    with pytest.raises(SourceError, match=r"corrupt\.tif"):
        to_numpy(open_source(shared_data / "geotiff" / "rasterio/corrupt.tif"))
    with pytest.raises(MemoryLimitError):
        to_numpy(from_array(DATA), memory_limit=10)


@pytest.mark.parametrize("width", [10**6, 10**9])
def test_what_no_memory_holds_is_refused_before_it_starts(width):
    with pytest.raises(MemoryLimitError, match=r"the whole array, 2 x .* GiB"):
        to_numpy(pad(from_array(DATA), width))


def test_progress_counts_chunks():
    from contextlib import contextmanager

    seen = []

    @contextmanager
    def bar(total, description):
        yield lambda: seen.append(total)

    to_numpy(from_array(DATA), progress=bar)
    assert seen == [1]
