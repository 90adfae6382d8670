"""A cluster of processes gives the pixels that threads give, bit for bit, and its graphs are small."""

from __future__ import annotations

import pickle
from collections.abc import Iterator

import dask
import numpy as np
import pytest
import rasterio

import weft

distributed = pytest.importorskip("distributed")

CRS, ROWS = "EPSG:3857", (64, 960)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """A client of two worker processes, which dask uses only within ``as_current``."""
    with (
        dask.config.set({"temporary-directory": str(tmp_path_factory.mktemp("workers"))}),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as workers,
        distributed.Client(workers, set_as_default=False) as client,
    ):
        yield client


def view(scene) -> weft.Raster:
    return weft.open(scene).select(["red", "nir"]).crop(window=(*ROWS, *ROWS)).warp(CRS, resolution=9)


def both(cluster, compute):
    """What ``compute()`` gives with threads, and what it gives on the cluster."""
    here = compute()
    with cluster.as_current():
        return here, compute()


def assert_same(one: np.ma.MaskedArray, other: np.ma.MaskedArray) -> None:
    assert one.dtype == other.dtype
    np.testing.assert_array_equal(np.ma.getmaskarray(one), np.ma.getmaskarray(other))
    np.testing.assert_array_equal(one.data, other.data)


def test_the_workers_compute_in_processes_of_their_own(cluster, scene):
    """Otherwise the other tests here would compare threads with threads."""

    def loads():
        from weft.graph.cache import tile_cache

        return tile_cache().counts.loads

    before = cluster.run(loads)
    here = loads()
    with cluster.as_current():
        view(scene).to_numpy()
    assert sum(cluster.run(loads).values()) > sum(before.values())
    assert loads() == here


def test_to_numpy(cluster, scene):
    here, there = both(cluster, lambda: view(scene).to_numpy(masked=True))
    assert here.shape[1] > 1024, "several chunks"
    assert np.ma.getmaskarray(here).any()
    assert_same(here, there)
    filled = both(cluster, lambda: view(scene).to_numpy(fill=7))
    np.testing.assert_array_equal(*filled)


def test_whole_file_equals_rasterio(cluster, scene):
    with cluster.as_current():
        pixels = weft.open(scene).to_numpy()
    with rasterio.open(scene) as file:
        np.testing.assert_array_equal(pixels, file.read())


def test_dra_into_zarr(cluster, scene, tmp_path):
    names = iter(("here.zarr", "there.zarr"))
    urls = both(cluster, lambda: view(scene).dra().to_zarr(tmp_path / next(names), chunks=(256, 256)))
    here, there = (weft.open(url) for url in urls)
    assert here.grid == there.grid
    assert_same(here.to_numpy(masked=True), there.to_numpy(masked=True))
    files = [{p.relative_to(url): p.read_bytes() for p in tmp_path.joinpath(url).rglob("*") if p.is_file()} for url in urls]
    assert files[0] == files[1]


@pytest.mark.parametrize("method", ["sips", "average"])
def test_a_pyramid_in_one_pass(cluster, scene, tmp_path, method):
    names = iter(("here.zarr", "there.zarr"))
    pyramid = view(scene).pyramid(method, 100)
    urls = both(cluster, lambda: pyramid.to_zarr(tmp_path / next(names), chunks=(128, 128)))
    files = [{p.relative_to(url): p.read_bytes() for p in tmp_path.joinpath(url).rglob("*") if p.is_file()} for url in urls]
    assert files[0] == files[1]
    with cluster.as_current():
        computed = pyramid.to_numpy()
    for number, pixels in enumerate(computed):
        np.testing.assert_array_equal(pixels, weft.open(f"{urls[0]}/{number}").to_numpy())


def test_statistics_and_histogram(cluster, scene):
    here, there = both(cluster, lambda: view(scene).statistics(approximate=False))
    assert here == there
    floats = view(scene).astype("float32") * 0.37
    here, there = both(cluster, floats.statistics)
    assert here == there
    here, there = both(cluster, floats.histogram)
    np.testing.assert_array_equal(here.counts, there.counts)
    np.testing.assert_array_equal(here.edges, there.edges)


def test_to_dask_and_to_xarray(cluster, scene):
    here, there = both(cluster, lambda: view(scene).stretch((1, 99)).to_dask(chunks=(300, 400)).compute())
    np.testing.assert_array_equal(here, there)
    here, there = both(cluster, lambda: view(scene).to_xarray(chunks=(500, 500)).compute())
    assert here.identical(there)


def test_persisted_pixels_stay_with_the_workers(cluster, scene):
    with cluster.as_current():
        kept = view(scene).persist(chunks=(512, 512))
        halved = (kept.astype("float32") / 2).to_numpy()
    np.testing.assert_array_equal(halved, (view(scene).astype("float32") / 2).to_numpy())


def test_an_error_on_a_worker_is_the_same_error_here(cluster, shared_data, tmp_path):
    broken = weft.open(shared_data / "geotiff" / "malformed" / "truncated_half.tif")
    with cluster.as_current(), pytest.raises(weft.SourceError, match=r"truncated_half\.tif"):
        broken.to_zarr(tmp_path / "a.zarr")
    assert not list(tmp_path.iterdir())


def test_the_graph_is_small(scene):
    """A thousand chunks of a warped, stretched file: what the scheduler receives, with all that the tasks need."""
    array = view(scene).stretch((2, 98)).to_dask(chunks=(31, 31))
    assert array.npartitions > 1000
    assert len(pickle.dumps(array.__dask_graph__())) < 100_000
    chain = view(scene)
    for number in range(100):
        chain = chain + number
    assert len(pickle.dumps(chain.to_dask(chunks=(31, 31)).__dask_graph__())) < 100_000
