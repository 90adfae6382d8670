"""PNG pictures: grey, grey with alpha, RGB or RGBA by the number of bands; invalid pixels are transparent.

A picture is for looking at: what is larger than ``max_size`` is shrunk, what is not uint8 is stretched.
"""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

import numpy as np
from PIL import Image

from ..graph.errors import ArgumentError, BandError, SinkError
from ..graph.node import Node
from ..graph.optimize import Mode
from ..graph.run import Progress
from ..ops.resize import resize
from ..ops.stretch import stretch
from .numpy_sink import to_numpy

__all__ = ["to_png"]

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def to_png(
    node: Node,
    path: str | os.PathLike[str],
    *,
    max_size: int | None = 2048,
    overwrite: bool = False,
    optimize: Mode = "default",
    progress: Progress | None = None,
) -> str:
    """Compute into a PNG file.

    Parameters
    ----------
    node : Node of 1 to 4 bands
        Grey, grey + alpha, RGB or RGBA. uint8 is written as it is; bool as black and white; other types are stretched
        between their 2nd and 98th percentile, per band.
    path : file to write
        Written under another name and renamed when complete.
    max_size : int, optional
        Shrink so that the longer side has at most so many pixels; None keeps the size.
    overwrite : bool
        Replace an existing file.
    optimize : "default", "exact" or "none"
    progress : see ``run``

    Returns
    -------
    the path

    Raises
    ------
    BandError
        More than 4 bands.
    ArgumentError
        ``max_size`` is not at least 1.
    SinkError
        The file exists or cannot be written.
    """
    target = Path(path)
    if target.exists() and not overwrite:
        raise SinkError(f"{target} exists; pass overwrite=True to replace it")
    count = len(node.meta.bands)
    if count not in _MODES:
        raise BandError(f"a picture has 1 to 4 bands, not {count}; select() some of {', '.join(node.meta.bands[:20])}")
    if max_size is not None and max_size < 1:
        raise ArgumentError(f"max_size is at least 1 pixel; got {max_size}")
    shown = _shrunk(node, max_size)
    if shown.meta.dtype not in (np.dtype("uint8"), np.dtype(bool)):
        shown = stretch(shown)
    pixels = to_numpy(shown, masked=True, optimize=optimize, progress=progress)
    picture = _picture(np.ma.getdata(pixels), np.ma.getmaskarray(pixels))
    staging = target.with_name(f".{target.name}.{uuid4().hex[:8]}.partial")
    try:
        try:
            picture.save(staging, format="PNG")
            os.replace(staging, target)
        finally:
            staging.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        raise SinkError(f"{target}: cannot write the picture: {error}") from error
    return str(target)


def _shrunk(node: Node, max_size: int | None) -> Node:
    rows, cols = node.meta.grid.shape
    longest = max(rows, cols)
    if max_size is None or longest <= max_size:
        return node
    scale = max_size / longest
    resampling = "nearest" if node.meta.dtype.kind in "b" else "bilinear"
    return resize(node, (max(1, round(rows * scale)), max(1, round(cols * scale))), resampling=resampling)


def _picture(data: np.ndarray, invalid: np.ndarray) -> Image.Image:
    """The image; a pixel that is invalid in every colour band is transparent."""
    if data.dtype == bool:
        data = data.astype(np.uint8) * np.uint8(255)
    count = data.shape[0]
    colours = count - 1 if count in (2, 4) else count
    gone = invalid[:colours].all(axis=0)
    alpha = data[-1] if colours < count else None
    if gone.any():
        alpha = np.where(gone, 0, 255 if alpha is None else alpha).astype(np.uint8)
    layers = [*data[:colours], *([] if alpha is None else [alpha])]
    stacked = np.ascontiguousarray(np.stack(layers, axis=-1))
    return Image.fromarray(stacked[..., 0] if len(layers) == 1 else stacked)
