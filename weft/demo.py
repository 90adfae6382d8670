"""The demonstration: the main job of weft, whole, on a real COG or on a scene that it writes itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from .compiling import telling_of_compilation
from .graph.run import Progress
from .raster import Raster
from .reading import open
from .scene import checked_size, write_scene

_COLOURS = ("red", "green", "blue")
_PREVIEW = 1024  # pixels along the longer side


def run_demo(scene: str | None, size: int, out: Path, say: Callable[[str], object], progress: Progress) -> tuple[Path, Path]:
    """COG -> select bands -> crop -> warp to EPSG:3857 -> DRA to uint8 -> zarr, then a picture of the store.

    Parameters
    ----------
    scene : path or URL of a raster with a CRS; None writes one of ``size`` pixels a side
    out : folder for the results, made where it is missing; results of an earlier demo are replaced
    say : takes lines of text
    progress : see ``weft.progress``

    Returns
    -------
    paths of the zarr store and the PNG

    Raises
    ------
    WeftError
        The scene cannot be read or has no CRS, or the folder cannot be written.
    """
    started = time.perf_counter()
    if scene is None:
        scene = str(own_scene(out, size, say))
    result = main_job(open(scene))
    say(str(result.explain()))
    store, picture = out / "demo.zarr", out / "demo.png"
    computing = time.perf_counter()
    with telling_of_compilation(say):
        result.to_zarr(store, overwrite=True, progress=progress)
    say(f"computed in {time.perf_counter() - computing:.1f} s")
    shown = open(store)
    shown.select(shown.bands[: 3 if len(shown.bands) >= 3 else 1]).to_png(picture, max_size=_PREVIEW, overwrite=True)
    say(f"store    {store.resolve()}")
    say(f"preview  {picture.resolve()}")
    say(f"done in {time.perf_counter() - started:.1f} s")
    return store, picture


def own_scene(out: Path, size: int, say: Callable[[str], object]) -> Path:
    """The scene that weft writes, written only if it is not there yet."""
    path = out / f"scene-{checked_size(size)}.tif"
    if not path.exists():
        say(f"writing a scene of {size} x {size} pixels to {path}")
        write_scene(path, size)
    return path


def main_job(raster: Raster) -> Raster:
    """Three bands, without a sixteenth on each side, in web mercator, stretched for the eye."""
    colours = _COLOURS if set(_COLOURS) <= set(raster.bands) else raster.bands[:3]
    _, rows, cols = raster.shape
    window = (rows // 16, rows - rows // 16, cols // 16, cols - cols // 16)
    return raster.select(colours).crop(window=window).warp("EPSG:3857").dra()
