"""The main job: open, select, crop, warp to web mercator, DRA, zarr, read back by xarray, PNG; judged by numpy and pyproj."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rioxarray  # noqa: F401  registers the accessor
import xarray as xr
from PIL import Image

import weft

pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")


@dataclass(frozen=True)
class Job:
    """``file`` in the shared data, or the made scene; ``bands`` by position from 0."""

    file: str | None
    bands: tuple[int, ...]
    window: tuple[int, int, int, int]
    resolution: float | None = None

    def path(self, request: pytest.FixtureRequest) -> Path:
        if self.file is None:
            return request.getfixturevalue("scene")
        return request.getfixturevalue("shared_data") / "geotiff" / self.file


JOBS = [
    pytest.param(Job(None, (0, 1, 2), (64, 960, 64, 960), 8.0), id="scene"),
    pytest.param(Job("rasterio/RGB.byte.tif", (2, 0), (40, 700, 30, 750)), id="RGB.byte"),
    pytest.param(Job("titiler/B01.tif", (0,), (11, 171, 5, 180)), id="B01"),
    pytest.param(Job("titiler/dem.tif", (0,), (0, 390, 0, 395)), id="dem"),
]


@pytest.fixture(params=JOBS)
def job(request: pytest.FixtureRequest) -> tuple[Path, Job]:
    return request.param.path(request), request.param


def warped(path: Path, job: Job, resampling: str, **how: Any) -> weft.Raster:
    chain = weft.open(path).select(list(job.bands)).crop(window=job.window)
    return chain.warp("EPSG:3857", resolution=job.resolution, resampling=resampling, antialias=False, **how)


def display_range(values: np.ndarray) -> tuple[float, float]:
    """Emin and Emax of DRA, widened by 0.2 below and 0.4 above, of one band's valid pixels."""
    if values.dtype.kind in "iu":
        first_value = int(np.iinfo(values.dtype).min)
        counts, step = np.bincount(values.astype(np.int64) - first_value, minlength=2 ** (8 * values.itemsize)), 1.0
    else:
        step = 2.0 ** np.ceil(np.log2((float(values.max()) - float(values.min())) / 8192))
        first_value = np.floor(values.min() / step) * step
        counts = np.bincount(np.floor((values.astype(float) - first_value) / step).astype(int))
    upto, total = np.cumsum(counts), counts.sum()
    e_min = next(k for k, c in enumerate(upto) if c >= 0.02 * total)
    e_max = max(0, max((k for k, c in enumerate(upto) if c <= 0.98 * total), default=-1))
    filled = np.nonzero(counts)[0]
    low = max(filled[0], e_min - 0.2 * (e_max - e_min))
    high = min(filled[-1], e_max + 0.4 * (e_max - e_min))
    return max(low * step + first_value, float(values.min())), high * step + first_value


def displayed(pixels: np.ma.MaskedArray) -> np.ndarray:
    """DRA of every band to uint8."""
    bands = []
    for band in pixels:
        low, high = display_range(band.compressed())
        bands.append(np.clip((band.data.astype(float) - low) / (high - low), 0, 1) * 255)
    return np.stack(bands).astype(np.uint8)


def in_file_order(job: Job) -> list[int]:
    return [band + 1 for band in job.bands]


def test_nearest_takes_the_exact_pixel(job, judged):
    path, what = job
    result = warped(path, what, "nearest")
    expected = judged(path, in_file_order(what), what.window, result.grid, "nearest")
    pixels = result.to_numpy(masked=True)
    sure = np.broadcast_to(expected.settled, pixels.shape)
    valid = sure & expected.valid
    assert sure.mean() > 0.95
    assert valid.mean() > 0.25
    np.testing.assert_array_equal(~np.ma.getmaskarray(pixels)[sure], expected.valid[sure])
    np.testing.assert_array_equal(pixels.data[valid], expected.values[valid])


def test_bilinear_is_within_half_a_number(job, judged):
    path, what = job
    result = warped(path, what, "bilinear")
    expected = judged(path, in_file_order(what), what.window, result.grid, "bilinear")
    pixels = result.to_numpy(masked=True)
    sure = np.broadcast_to(expected.settled, pixels.shape)
    valid = sure & expected.valid
    assert valid.mean() > 0.25
    np.testing.assert_array_equal(~np.ma.getmaskarray(pixels)[sure], expected.valid[sure])
    # Rounding alone takes half of an integer; what coordinates add that are a millionth off grows with the steepest step.
    steepest = max(np.nanmax(np.abs(np.diff(expected.values, axis=axis))) for axis in (1, 2))
    rounding = 0.5 if pixels.dtype.kind in "iu" else np.spacing(np.nanmax(np.abs(expected.values)).astype(pixels.dtype))
    difference = np.abs(pixels.data.astype(float) - expected.values)[valid]
    assert difference.max() <= rounding + 2e-5 * steepest


def test_dra_is_the_published_rule(job):
    path, what = job
    result = warped(path, what, "bilinear")
    pixels, shown = result.to_numpy(masked=True), result.dra().to_numpy(masked=True)
    assert shown.dtype == np.uint8
    np.testing.assert_array_equal(np.ma.getmaskarray(shown), np.ma.getmaskarray(pixels))
    valid = ~np.ma.getmaskarray(pixels)
    np.testing.assert_array_equal(shown.data[valid], displayed(pixels)[valid])
    assert shown.data[valid].std() > 15


def test_the_store_is_the_picture_with_its_place(job, judged, counted, tmp_path):
    path, what = job
    view = warped(path, what, "nearest").dra()
    with counted() as tasks:
        url = view.to_zarr(tmp_path / "view.zarr", chunks=(256, 256))
    rows, cols = view.shape[1:]
    writes = -(-rows // 1024) * -(-cols // 1024)
    assert writes <= len(tasks) <= writes + 6, "what is more than a task per 4 x 4 chunks counts for DRA"

    with xr.open_zarr(url, mask_and_scale=False, decode_coords="all") as dataset:
        stored = dataset["data"].load()
        mask = dataset["mask"].load().values != 1 if "mask" in dataset else np.zeros(stored.shape, bool)
    assert stored.dtype == np.uint8
    assert stored.rio.crs == rasterio.crs.CRS.from_epsg(3857)
    assert stored.rio.transform() == view.transform
    assert tuple(stored.band.values) == view.bands
    np.testing.assert_array_equal(stored.x, view.transform.c + view.transform.a * (np.arange(cols) + 0.5))
    np.testing.assert_array_equal(stored.y, view.transform.f + view.transform.e * (np.arange(rows) + 0.5))

    expected = judged(path, in_file_order(what), what.window, view.grid, "nearest")
    with rasterio.open(path) as file:
        values = expected.values.astype(file.dtypes[0])
    sure = np.broadcast_to(expected.settled, mask.shape)
    np.testing.assert_array_equal(mask[sure], ~expected.valid[sure])
    valid = sure & expected.valid
    shown = displayed(np.ma.MaskedArray(values, ~expected.valid))
    # Pixels in the tie band may move the range a little; they are a few in ten thousand.
    assert np.abs(stored.values[valid].astype(int) - shown[valid]).max() <= 1

    again = weft.open(url)
    assert (again.grid, again.bands) == (view.grid, view.bands)
    picture = again.select([0]).to_png(tmp_path / "view.png", max_size=None)
    with Image.open(picture) as image:
        grey = np.asarray(image)
    if grey.ndim == 3:
        np.testing.assert_array_equal(grey[..., 1] == 0, mask[0])
        grey = np.where(mask[0], stored.values[0], grey[..., 0])
    else:
        assert not mask[0].any()
    np.testing.assert_array_equal(grey, stored.values[0])


def test_a_task_per_chunk_and_none_before(job, counted):
    path, what = job
    with counted() as tasks:
        plain, shown = warped(path, what, "bilinear"), warped(path, what, "bilinear").dra()
        array, labelled = plain.to_dask(chunks=(200, 200)), shown.to_xarray(chunks=(200, 200)).data
        assert tasks == []
        array.compute()
    # dask joins the chunks of a computed array in one task of its own.
    assert array.npartitions <= len(tasks) <= array.npartitions + 1
    with counted() as tasks:
        labelled.compute()
    assert labelled.npartitions <= len(tasks) <= labelled.npartitions + 7
