"""``python -m benchmarks [QUESTION ...]``: measure every contender of every question and print one table."""

from __future__ import annotations

import platform
import sys
from importlib import import_module
from importlib.metadata import version

from .measure import Figures, measure
from .scene import cog, zarr_store

QUESTIONS = ("w1_reproject", "w2_affine", "w3_average", "w3s_sips", "w4_stretch", "pointwise", "w5_chain", "w5_first_chunk")
LIBRARIES = ("numpy", "dask", "zarr", "rasterio", "rioxarray", "odc-geo", "numba")


def main(questions: tuple[str, ...]) -> None:
    scene = cog()
    zarr_store()
    print(f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in LIBRARIES), sep=", ")
    print()
    print("| workload | contender | wall s | CPU s | peak RSS MB | wall, weft = 1 | RSS, weft = 1 |")
    print("|---|---|---|---|---|---|---|")
    for question in questions:
        module = import_module(f"benchmarks.{question}")
        own: Figures | None = None
        after_peer = True
        for contender in module.CONTENDERS:
            figures = measure(question, contender, scene)
            label = "" if own else module.QUESTION
            # A question may ask for several things one after the other: peers, then weft again.
            is_weft = contender.split(",")[0] == "weft"
            own = figures if own is None or (is_weft and after_peer) else own
            after_peer = not is_weft
            print(
                f"| {label} | {contender} | {figures.wall:.3g} | {figures.cpu:.3g} | {figures.rss:.0f} "
                f"| {figures.wall / own.wall:.2f} | {figures.rss / own.rss:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main(tuple(sys.argv[1:]) or QUESTIONS)
