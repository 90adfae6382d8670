"""The engine's own limits, one table: ``python -m benchmarks.engine``; leaves with an error where a limit is missed.

Graph building, pickling and rewriting on synthetic graphs; decodes per tile and peak memory of W5 on scenes of 5k to 20k.
"""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .measure import peak_rss
from .scene import cog

REPEATS = 3
MEMORY_SIZES = (5000, 10980, 20480)


def graph_of_a_million_chunks() -> list[tuple[str, float, float, str]]:
    import numpy as np

    import weft

    tile = weft.from_array(np.zeros((1, 1), "uint8"))
    wide = tile.resize((1024_000, 1024_000), resampling="nearest") + 1

    def build() -> float:
        start = time.perf_counter()
        array = wide.to_dask(chunks=(1024, 1024))
        assert array.npartitions == 1_000_000
        return time.perf_counter() - start

    build()
    seconds = min(build() for _ in range(REPEATS))
    size = len(pickle.dumps(wide.to_dask(chunks=(1024, 1024))))
    return [
        ("build a graph of 1,000,000 chunks", seconds, 1.0, "s"),
        ("pickle it", size / 1e6, 1.0, "MB"),
    ]


def crop_through_a_thousand_nodes() -> list[tuple[str, float, float, str]]:
    import numpy as np

    import weft

    chain = weft.from_array(np.ones((4096, 4096), "float32"))
    for number in range(1000):
        chain = chain + float(number % 7)

    def crop() -> float:
        start = time.perf_counter()
        value = chain[100:108, 200:208].to_numpy()
        assert value.shape == (1, 8, 8)
        return time.perf_counter() - start

    crop()
    return [("a crop through 1000 nodes, optimized and computed", min(crop() for _ in range(REPEATS)), 0.5, "s")]


def whole_chain(size: int) -> dict[str, float]:
    """W5 on a scene of ``size`` px a side, in this process: decodes per source tile, tasks beyond chunks, peak RSS."""
    import weft
    from weft.graph.cache import tile_cache
    from weft.graph.plan import make_plan

    scene = cog(size)
    raster = weft.open(scene)
    rows, cols = raster.shape[1:]
    cropped = raster.crop(window=(500, rows - 500, 500, cols - 500))
    result = cropped.warp("EPSG:3857", resolution=20).stretch((2, 98))
    explained = make_plan(result.node, chunks=(1024, 1024)).explain()
    with tempfile.TemporaryDirectory() as folder:
        result.to_zarr(Path(folder) / "out.zarr", chunks=(1, 1024, 1024))
    tiles = sum(read.tiles for read in explained.reads)
    return {
        "decodes": tile_cache().counts.loads / tiles,
        "extra tasks": float(explained.statistic_tasks),
        "tasks": float(explained.tasks),
        "rss": peak_rss(),
    }


def scenes() -> list[tuple[str, float, float, str]]:
    rows: list[tuple[str, float, float, str]] = []
    smallest = None
    for size in MEMORY_SIZES:
        cog(size)  # making it takes more memory than what is measured
        command = [sys.executable, "-m", "benchmarks.engine", str(size)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        figures = json.loads(done.stdout.strip().splitlines()[-1])
        smallest = smallest or figures["rss"]
        rows.append((f"W5 on {size} px: decodes per source tile", figures["decodes"], 1.2, ""))
        rows.append((f"W5 on {size} px: peak RSS, {figures['tasks']:.0f} tasks", figures["rss"], smallest * 1.1, "MB"))
        rows.append((f"W5 on {size} px: tasks beyond one per chunk", figures["extra tasks"], 40, ""))
    return rows


def main() -> None:
    print("| what | measured | limit |")
    print("|---|---|---|")
    missed = 0
    for question in (graph_of_a_million_chunks, crop_through_a_thousand_nodes, scenes):
        for what, value, limit, unit in question():
            missed += value > limit
            print(f"| {what} | {value:.3g} {unit} | {limit:.3g} {unit}{'' if value <= limit else ' MISSED'} |", flush=True)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(whole_chain(int(sys.argv[1]))))
    else:
        main()
