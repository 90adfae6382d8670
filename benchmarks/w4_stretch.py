"""W4: the 2-98 % stretch of three bands to uint8, zarr to zarr, exact statistics."""

from __future__ import annotations

from pathlib import Path

QUESTION = "W4 2-98 % stretch to uint8, zarr to zarr"


def weft(scene: Path, folder: Path) -> None:
    import weft

    store = scene.with_suffix(".zarr")
    weft.open(store).stretch((2, 98), approximate=False).to_zarr(folder / "out.zarr", chunks=(1, 1024, 1024))


def dask_lut(scene: Path, folder: Path) -> None:
    import dask
    import numpy as np
    import xarray as xr

    from .sinks import write_zarr

    pixels = xr.open_zarr(scene.with_suffix(".zarr"), consolidated=False)["data"]
    counts = dask.compute(*[_total_counts(pixels.data[band]) for band in range(pixels.shape[0])])
    tables = [_table(np.asarray(count)) for count in counts]
    bands = [
        pixels[band].copy(data=pixels.data[band].map_blocks(table.take, dtype="uint8")) for band, table in enumerate(tables)
    ]
    write_zarr(xr.concat(bands, "band"), folder / "out.zarr")


def numpy_lut(scene: Path, folder: Path) -> None:
    import numpy as np
    import xarray as xr

    from .sinks import write_zarr

    pixels = xr.open_zarr(scene.with_suffix(".zarr"), consolidated=False, chunks=None)["data"].load()
    out = np.empty(pixels.shape, np.uint8)
    for band in range(pixels.shape[0]):
        values = pixels.values[band]
        _table(np.bincount(values.ravel(), minlength=65536)).take(values, out=out[band])
    write_zarr(pixels.copy(data=out), folder / "out.zarr")


def _total_counts(band):
    from functools import reduce

    import dask
    import numpy as np

    parts = [
        dask.delayed(lambda block: np.bincount(block.ravel(), minlength=65536))(block) for block in band.to_delayed().ravel()
    ]
    return dask.delayed(lambda counts: reduce(np.add, counts))(parts)


def _table(counts):
    import numpy as np

    total = np.cumsum(counts)
    low = np.searchsorted(total, 0.02 * total[-1])
    high = np.searchsorted(total, 0.98 * total[-1])
    values = (np.arange(65536) - low) / max(1, high - low)
    return (np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)


CONTENDERS = {"weft": weft, "dask bincount + LUT": dask_lut, "numpy bincount + LUT": numpy_lut}
