"""What the OSML imagery toolkit calls ``TiledImagePyramid``, ``PyramidBuilder`` and ``iter_blocks``, as thin forms of ours.

For those who come from there: images are Rasters, a level is a Raster, nothing is read before pixels are wanted.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .graph.chunks import choose_chunks, chunk_regions
from .graph.errors import ArgumentError
from .ops.image_statistics import ImageStatistics, compute_image_statistics
from .ops.overview import overview, overviews_of
from .ops.resample import (
    ResampleFunc,
    area_resample,
    bilinear_resample,
    cubic_resample,
    lanczos_resample,
    nearest_neighbor_resample,
)
from .ops.sips_reduce import sips_rrds_resample
from .ops.statistics import MIN_PIXELS
from .pyramid import Pyramid

if TYPE_CHECKING:
    from .graph.run import Progress
    from .raster import Raster

_METHODS: dict[Any, str] = {
    sips_rrds_resample: "sips",
    nearest_neighbor_resample: "nearest",
    bilinear_resample: "bilinear",
    area_resample: "average",
    lanczos_resample: "lanczos",
    cubic_resample: "cubic",
}


class TiledImagePyramid(Pyramid):
    """A ``Pyramid`` under the toolkit's name.

    Parameters
    ----------
    levels : Rasters, finest first
    scale_factor : int
        The nominal factor between levels.
    reader : any, optional
        Kept for the caller.

    Raises
    ------
    ArgumentError
        There is no level, or they are not alike.
    """

    def __init__(self, levels: Sequence[Raster], scale_factor: int = 2, reader: Any = None) -> None:
        super().__init__(levels)
        self.scale_factor = scale_factor
        self.reader = reader

    def get_level(self, level: int) -> Raster:
        """``level``; IndexError where there is no such level."""
        return self.level(level)

    def compute_statistics(self, level: int | None = None, max_pixels: int = MIN_PIXELS) -> ImageStatistics:
        """Statistics with histograms of one level; of the one that ``Pyramid.statistics`` would choose if none is named."""
        return compute_image_statistics(self.level(self.level_for_statistics(max_pixels) if level is None else level))

    @staticmethod
    def from_providers(providers: Sequence[Raster], scale_factor: int = 2) -> TiledImagePyramid:
        """A pyramid of levels that exist already."""
        return TiledImagePyramid(providers, scale_factor)

    @staticmethod
    def from_dataset(reader: Raster | str | os.PathLike[str]) -> TiledImagePyramid:
        """The image of a file and the overviews that the file holds; a single level where it has none.

        Parameters
        ----------
        reader : Raster that was opened, or path or URL to open
        """
        from .reading import open as open_raster

        base = open_raster(reader) if isinstance(reader, (str, os.PathLike)) else reader
        levels = [base, *(base.with_node(node) for node in overviews_of(base.node))]
        return TiledImagePyramid(levels, reader=reader)


class PyramidBuilder:
    """Computes every level of a pyramid in one pass over the image.

    Parameters
    ----------
    source : Raster
    min_size : int
        The first level with fewer rows or columns is the last one.
    scale_factor : int
        2.
    tile_width, tile_height : int, optional
        Of the levels as they are written.
    resample_func : name of a method of ``Raster.pyramid``, or one of weft's array functions of that meaning, optional
        How a level is made of the one before; SIPS RRDS when left out. The function stands for its method: "bilinear" and
        "lanczos" are widened to the factor, as ``weft.ops.halve`` says.
    num_workers : int
        Kept for the caller: dask's scheduler decides.
    use_native_levels : bool
        Take the overviews that the file holds before any is computed.
    progress : see ``weft.progress``, optional

    Raises
    ------
    ArgumentError
        Another factor than 2, an unknown method or function, a size or a number of workers that makes no sense.
    """

    def __init__(
        self,
        source: Raster,
        min_size: int = 256,
        scale_factor: int = 2,
        tile_width: int | None = None,
        tile_height: int | None = None,
        resample_func: str | ResampleFunc | None = None,
        num_workers: int = 2,
        use_native_levels: bool = True,
        progress: Progress | None = None,
    ) -> None:
        if scale_factor != 2:
            raise ArgumentError(f"the levels of a pyramid differ by a factor of 2; got scale_factor={scale_factor!r}")
        if num_workers < 0:
            raise ArgumentError(f"num_workers is not negative; got {num_workers!r}")
        self.method = _method(resample_func)
        self._tile = None if tile_width is None and tile_height is None else (tile_height, tile_width)
        self._progress = progress
        self._pyramid = source.pyramid(self.method, min_size, use_native_levels=use_native_levels)

    def build(self) -> list[Raster]:
        """Compute the levels and keep them in memory.

        Returns
        -------
        [source, level 1, level 2, ...]; the source stays as it is
        """
        levels = self._pyramid.levels
        return [levels[0], *(self._pyramid[1:].persist(progress=self._progress) if len(levels) > 1 else ())]

    def build_and_write(self, writer: str | Path, *, overwrite: bool = False) -> str:
        """Compute the reduced levels, without the image itself, into a zarr store in one pass; see ``Pyramid.to_zarr``.

        Parameters
        ----------
        writer : path or URL of the store
        overwrite : bool
            Replace the zarr store that is there.

        Returns
        -------
        the store's path or URL

        Raises
        ------
        ArgumentError
            The image is so small that it has no reduced levels.
        """
        if len(self._pyramid) == 1:
            raise ArgumentError("the image is smaller than min_size, so there are no reduced levels to write")
        meta = self._pyramid[1].node.meta
        chunks = None if self._tile is None else tuple(n or tile for n, tile in zip(self._tile, meta.tile, strict=True))
        return self._pyramid[1:].to_zarr(writer, chunks=chunks, overwrite=overwrite, progress=self._progress)


def iter_blocks(
    provider: Raster, order: Literal["raster"] = "raster", resolution_level: int = 0
) -> Iterator[tuple[int, int, np.ndarray]]:
    """The pixels of an image block by block, row by row, each computed when its turn comes.

    Parameters
    ----------
    provider : Raster
    order : "raster"
    resolution_level : int
        0 for the image, k for the k-th overview of its file.

    Yields
    ------
    (block row, block column, pixels (bands, rows, cols)), in blocks of the image's chunks

    Raises
    ------
    ArgumentError
        Another order, or a level that the file does not have.
    """
    if order != "raster":
        raise ArgumentError(f"blocks come in the order 'raster'; got {order!r}")
    level = overview(provider, resolution_level)
    return (
        (i, j, level[region.rows, region.cols].to_numpy())
        for (i, j), region in chunk_regions(choose_chunks(level.node.meta, level.node.meta.tile))
    )


def _method(function: Any) -> str:
    if function is None:
        return "sips"
    if isinstance(function, str):
        return function
    if function not in _METHODS:
        names = ", ".join(known.__name__ for known in _METHODS)
        raise ArgumentError(f"resample_func is the name of a method or one of {names}; got {function!r}")
    return _METHODS[function]
