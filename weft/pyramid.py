"""``Pyramid``: one image at several resolutions, each level a ``Raster``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from .graph.errors import ArgumentError
from .graph.optimize import Mode
from .io.array import from_array
from .io.numpy_pyramid import levels_to_numpy
from .io.zarr_pyramid import to_zarr_pyramid
from .ops.pyramid import cascades
from .ops.statistics import MIN_PIXELS, BandStatistics

if TYPE_CHECKING:
    from .graph.run import Progress
    from .raster import Raster


class Pyramid(Sequence["Raster"]):
    """Levels of one image, level 0 the finest, each half as large as the one before. Nothing is read until pixels are wanted.

    Made by ``Raster.pyramid``. ``pyramid[k]`` and ``pyramid.level(k)`` are Rasters, ``pyramid[1:]`` is a Pyramid without its
    base, ``len(pyramid)`` the number of levels.

    Parameters
    ----------
    levels : Rasters, finest first, of the same bands and dtype
    method : how the levels were made, for those who read them

    Raises
    ------
    ArgumentError
        There is no level, or one is larger than the one before it, or has other bands or another dtype.
    """

    def __init__(self, levels: Sequence[Raster], method: str = "unknown") -> None:
        self._levels = tuple(levels)
        self.method = method
        if not self._levels:
            raise ArgumentError("a pyramid has at least one level")
        first = self._levels[0]
        for finer, level in pairwise(self._levels):
            if level.bands != first.bands or level.dtype != first.dtype:
                raise ArgumentError(
                    f"levels of a pyramid are alike: {level.bands}, {level.dtype}; {first.bands}, {first.dtype}"
                )
            if any(n > m for n, m in zip(level.shape[1:], finer.shape[1:], strict=True)):
                raise ArgumentError(f"a level of {level.shape[1:]} pixels comes after one of {finer.shape[1:]}; finest first")

    @property
    def levels(self) -> tuple[Raster, ...]:
        """All levels, the finest first."""
        return self._levels

    @property
    def num_levels(self) -> int:
        """How many levels there are, the finest among them."""
        return len(self._levels)

    def level(self, level: int) -> Raster:
        """One level as a raster on its own grid.

        Raises
        ------
        IndexError
            There is no such level.
        """
        if not 0 <= level < len(self._levels):
            raise IndexError(f"no level {level}; the pyramid has levels 0 to {len(self._levels) - 1}")
        return self._levels[level]

    @overload
    def __getitem__(self, key: int) -> Raster: ...
    @overload
    def __getitem__(self, key: slice) -> Pyramid: ...
    def __getitem__(self, key: int | slice) -> Raster | Pyramid:
        return Pyramid(self._levels[key], self.method) if isinstance(key, slice) else self._levels[key]

    def __len__(self) -> int:
        return len(self._levels)

    def image_shape_at_level(self, level: int) -> tuple[int, int, int]:
        """(bands, rows, cols) of a level."""
        return self.level(level).shape

    def tile_grid_at_level(self, level: int) -> tuple[int, int]:
        """(rows, cols) of tiles in a level, as it is read or computed."""
        meta = self.level(level).node.meta
        rows, cols = (-(-n // tile) for n, tile in zip(meta.grid.shape, meta.tile, strict=True))
        return rows, cols

    def best_level_for(self, src_size: tuple[float, float], output_size: tuple[float, float]) -> int:
        """The coarsest level from which a picture can be made without enlarging it.

        Parameters
        ----------
        src_size : (width, height) of the part of level 0 that is to be shown, in its pixels
        output_size : (width, height) of the picture

        Returns
        -------
        The last level on which that part has at least as many pixels as the picture along both axes; 0 where none has.

        Raises
        ------
        ArgumentError
            A size is not above 0.
        """
        sizes = (*src_size, *output_size)
        if len(sizes) != 4 or not all(n > 0 for n in sizes):
            raise ArgumentError(f"sizes are (width, height), above 0; got {src_size!r} and {output_size!r}")
        best = 0
        for number, level in enumerate(self._levels):
            scale = self._scale(level)
            if all(n / s >= wanted * (1 - 1e-9) for n, s, wanted in zip(src_size, scale, output_size, strict=True)):
                best = number
        return best

    def statistics(
        self, level: int | None = None, *, max_pixels: int = MIN_PIXELS, optimize: Mode = "default"
    ) -> dict[str, BandStatistics]:
        """Count, minimum, maximum, mean and standard deviation of every band, from the cheapest good level.

        Parameters
        ----------
        level : int, optional
            Measure this one. Left out, the coarsest that is stored (the base, an overview of its file) with at least
            ``max_pixels`` pixels: computing a coarser one would read all of a finer one. Extremes of a coarse level are
            those of averaged pixels; measure level 0 for the true ones.
        max_pixels : int
            How many pixels are enough.

        Returns
        -------
        band name -> BandStatistics
        """
        chosen = self.level_for_statistics(max_pixels) if level is None else level
        return self.level(chosen).statistics(approximate=False, optimize=optimize)

    def level_for_statistics(self, max_pixels: int = MIN_PIXELS) -> int:
        """The coarsest level with at least ``max_pixels`` pixels that is not computed from a finer one; 0 where none has."""
        stored = {level.token for level in self._stored()}
        sizes = ((k, level.shape[1] * level.shape[2]) for k, level in enumerate(self._levels) if level.token in stored)
        return max((k for k, pixels in sizes if pixels >= max_pixels), default=0)

    def to_numpy(
        self, *, optimize: Mode = "default", memory_limit: int | None = None, progress: Progress | None = None
    ) -> list[np.ndarray]:
        """Compute all levels in one pass over the base.

        Returns
        -------
        one (bands, rows, cols) array per level, finest first; invalid pixels hold what the operations wrote (nodata, else NaN
        for floats, else 0)
        """
        return [pixels for pixels, _ in self._computed(optimize, memory_limit, progress)]

    def persist(
        self, *, optimize: Mode = "default", memory_limit: int | None = None, progress: Progress | None = None
    ) -> Pyramid:
        """Compute all levels now, in one pass over the base, and keep them in memory.

        Returns
        -------
        Pyramid of the same levels over the kept pixels
        """
        kept = []
        for level, (pixels, invalid) in zip(self._levels, self._computed(optimize, memory_limit, progress), strict=True):
            grid, valid = level.grid, None if invalid is None or not invalid.any() else ~invalid
            node = from_array(
                pixels, transform=grid.transform, crs=grid.crs, bands=level.bands, nodata=level.nodata, valid=valid
            )
            kept.append(level.with_node(node))
        return Pyramid(kept, self.method)

    def to_zarr(
        self,
        url: str | Path,
        *,
        chunks: Any = None,
        shards: Any = None,
        compressor: Any = "auto",
        zarr_format: int = 3,
        overwrite: bool = False,
        storage_options: Mapping[str, Any] | None = None,
        optimize: Mode = "default",
        memory_limit: int | None = None,
        progress: Progress | None = None,
    ) -> str:
        """Compute all levels in one pass over the base into a zarr group with a group "0", "1", "2", ... per level.

        Each source tile is read once. ``pyramid[1:].to_zarr(...)`` writes the reduced levels alone, in one pass too.

        Parameters
        ----------
        url, chunks, shards, compressor, zarr_format, overwrite, storage_options, optimize, memory_limit, progress
            As in ``Raster.to_zarr``; chunks and shards are those of every level, cut to its size.

        Returns
        -------
        the store's path or URL; ``weft.open`` opens it at full resolution and reads the levels as overviews,
        ``xarray.open_datatree`` opens all of them

        Raises
        ------
        SinkError
            The target exists, or cannot be written.
        ArgumentError
            Chunks, shards or format do not go together.
        """
        return to_zarr_pyramid(
            [level.node for level in self._levels],
            url,
            method=self.method,
            chunks=chunks,
            shards=shards,
            compressor=compressor,
            zarr_format=zarr_format,
            overwrite=overwrite,
            storage_options=storage_options,
            optimize=optimize,
            memory_limit=memory_limit,
            progress=progress,
        )

    def __repr__(self) -> str:
        lines = [f"<weft.{type(self).__name__} {self.method}, {len(self)} levels of {self._levels[0].dtype}>"]
        lines += [f"  {number:>2}  {text}" for number, text in self._rows()]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><th>{number}</th><td>{escape(text)}</td></tr>" for number, text in self._rows())
        return f"<table><caption>{escape(self.method)} pyramid, {self._levels[0].dtype}</caption>{rows}</table>"

    def _rows(self) -> list[tuple[int, str]]:
        stored = {level.token for level in self._stored()}
        rows = []
        for number, level in enumerate(self._levels):
            x, y = level.resolution
            made = "" if level.token in stored else f"   from level {number - 1}" if number else "   computed"
            rows.append((number, f"{level.shape[1]} x {level.shape[2]} px of {x:g} x {y:g}{made}"))
        return rows

    def _computed(
        self, optimize: Mode, memory_limit: int | None, progress: Progress | None
    ) -> list[tuple[np.ndarray, np.ndarray | None]]:
        nodes = [level.node for level in self._levels]
        return levels_to_numpy(nodes, optimize=optimize, memory_limit=memory_limit, progress=progress)

    def _stored(self) -> list[Raster]:
        """The levels that are not made of the one before them."""
        firsts = {part[0].token for part in cascades([level.node for level in self._levels])}
        return [level for level in self._levels if level.token in firsts]

    def _scale(self, level: Raster) -> tuple[float, float]:
        """(x, y) pixels of level 0 per pixel of ``level``."""
        (x, y), (base_x, base_y) = level.resolution, self._levels[0].resolution
        return x / base_x, y / base_y
