"""A source's own layout: its blocks joined into the tiles that are read and cached, and which of its levels can serve."""

from __future__ import annotations

from collections.abc import Iterable

TILE_SIDE = 512
TILE_BYTES = 16 * 2**20


def tile_shape(shape: tuple[int, int], block: tuple[int, int], pixel_bytes: int) -> tuple[int, int]:
    """Whole blocks joined to about 512 x 512 pixels: strips downwards, small tiles both ways, never over 16 MiB.

    Parameters
    ----------
    shape : (rows, cols) of the image
    block : (rows, cols) of what is decoded together
    pixel_bytes : of all bands
    """
    rows, cols = shape
    height, width = (max(1, min(part, side)) for part, side in zip(block, shape, strict=True))
    budget = min(TILE_SIDE * TILE_SIDE, TILE_BYTES // pixel_bytes)
    if width >= cols:
        return min(rows, height * max(1, budget // (height * width))), cols
    across = max(1, TILE_SIDE // width)
    while across > 1 and height * width * across > budget:
        across //= 2
    down = max(1, min(TILE_SIDE // height, budget // (height * width * across)))
    return min(rows, height * down), min(cols, width * across)


def cheaper_levels(shape: tuple[int, int], levels: Iterable[tuple[int, int]], factor: float) -> list[int]:
    """Positions of the ``levels`` with fewer pixels than ``shape`` and at most ``factor`` times coarser, smallest first.

    Shapes are (rows, cols), and neither axis may be coarser than that.
    """
    rows, cols = shape
    sizes = {
        k: height * width
        for k, (height, width) in enumerate(levels)
        if max(rows / height, cols / width) <= factor * (1 + 1e-9) and height * width < rows * cols
    }
    return sorted(sizes, key=sizes.__getitem__)
