"""A chain of pointwise operations on a whole scene in memory: NDVI of two bands of integers, stretched to bytes.

``python -m benchmarks.pointwise`` prints what single chains cost per block in one thread: compiled, strip by strip, and node
by node with numpy.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

QUESTION = "NDVI of uint16 to bytes, in memory"
CHUNK = 1024
SIDE = 1024
REPEATS = 20


def prepare(scene: Path, contender: str) -> Any:
    """Two bands of the scene, (rows, cols) each, as the contender takes them."""
    import rasterio

    with rasterio.open(scene) as source:
        bands = [source.read(number) for number in (3, 1)]
    if contender.startswith("weft"):
        import weft

        return [weft.from_array(band) for band in bands]
    return bands


def weft(rasters: Any, folder: Path) -> None:
    nir, red = (raster.astype("float32") for raster in rasters)
    ((nir - red) / (nir + red)).rescale((-1, 1), (0, 255), "uint8").to_numpy()


def numpy(bands: Any, folder: Path) -> None:
    _bytes(*bands)


def dask(bands: Any, folder: Path) -> None:
    import dask.array as da

    nir, red = (da.from_array(band, chunks=CHUNK, name=False) for band in bands)
    _bytes(nir, red).compute()


def dask_blocks(bands: Any, folder: Path) -> None:
    import dask.array as da

    nir, red = (da.from_array(band, chunks=CHUNK, name=False) for band in bands)
    da.map_blocks(_bytes, nir, red, dtype="uint8").compute()


def _bytes(nir: Any, red: Any) -> Any:
    import numpy as np

    nir, red = nir.astype(np.float32), red.astype(np.float32)
    with np.errstate(all="ignore"):
        index = (nir - red) / (nir + red)
        scaled = np.clip((index + np.float32(1)) * np.float32(127.5), 0, 255)
        return np.rint(scaled).astype(np.uint8)


CONTENDERS = {"weft": weft, "numpy": numpy, "dask": dask, "dask, map_blocks": dask_blocks}


def chains() -> dict[str, Any]:
    """Chains over blocks of (3, SIDE, SIDE)."""
    import numpy as np

    import weft

    random = np.random.default_rng(0)
    pixels = random.integers(0, 10000, (3, SIDE, SIDE), np.uint16)
    a, b = weft.from_array(pixels), weft.from_array(pixels[::-1].copy())
    masked = weft.from_array(pixels, valid=random.random(pixels.shape) < 0.8)
    nir, red, part = (raster.astype("float32") for raster in (a, b, masked))
    return {
        "NDVI": (nir - red) / (nir + red),
        "NDVI, masked": (part - red) / (part + red),
        "rescale, clip, astype": a.rescale((100, 9000), (-10, 300)).clip(0, 255).astype("uint8"),
        "lut, where": a.lut(np.arange(65536, dtype="float32")[::-1]).where(a > 500, 0),
        "six operations": ((nir * 0.0001 + 0.5).clip(0, 1).where(b > 300) * 255).fillna(0).astype("uint8"),
        "EVI": 2.5 * (nir - red) / (nir + 6 * red - 7.5 * nir + 1),
    }


def _milliseconds(run: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(REPEATS):
        start = time.thread_time()
        run()
        best = min(best, time.thread_time() - start)
    return best * 1e3


def main() -> None:
    from weft.graph import compiled
    from weft.graph.sweep import Program, evaluate

    print("| chain | node by node ms | strips ms | compiled ms | strips / compiled | first call s |")
    print("|---|---|---|---|---|---|")
    for name, raster in chains().items():
        region = raster.node.grid.region
        fused, plain = Program(raster.node), Program(raster.node, fuse=False)
        compiled.COMPILE_AFTER = compiled.LOAD_AFTER = 2**62
        node_by_node = _milliseconds(lambda plain=plain, region=region: evaluate(plain, region))
        strips = _milliseconds(lambda fused=fused, region=region: evaluate(fused, region))
        compiled.COMPILE_AFTER = 0
        start = time.perf_counter()
        evaluate(fused, region)
        first = time.perf_counter() - start
        own = _milliseconds(lambda fused=fused, region=region: evaluate(fused, region))
        print(f"| {name} | {node_by_node:.1f} | {strips:.1f} | {own:.1f} | {strips / own:.1f} | {first:.2f} |", flush=True)


if __name__ == "__main__":
    main()
