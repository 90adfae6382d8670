"""The verbs of ``Raster`` that look at the graph or compute it: plans, arrays, files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import dask
import numpy as np

from .graph.block import Block
from .graph.jsonio import to_json
from .graph.lower import to_dask_pair
from .graph.optimize import Mode, optimize
from .graph.plan import make_plan
from .holder import NodeHolder
from .html import preview
from .io.array import from_array
from .io.numpy_sink import to_numpy
from .io.png import to_png
from .io.xarray_sink import to_dask, to_xarray
from .io.zarr_sink import to_zarr
from .ops.histogram import ImageHistogram, histogram, histogram_of
from .ops.image_statistics import ImageStatistics, SamplingStrategy, compute_image_statistics
from .ops.pyramid import pyramid_levels
from .ops.statistics import BandStatistics, statistics, statistics_of
from .pyramid import Pyramid

if TYPE_CHECKING:
    import dask.array as da
    import xarray as xr
    from PIL.Image import Image

    from .graph.explain import Explanation
    from .graph.run import Progress


class Outputs(NodeHolder):
    """Verbs that end a chain. What all of them share:

    optimize : "default" (exact rules, and the bounded lossy ones), "exact" (bit-identical to the graph as written) or
        "none"; ``explain()`` says what a mode does
    memory_limit : bytes that one task may hold; a share of the machine's or the worker's when left out
    progress : ``weft.progress``, or anything that is called with (total, description) and gives a context manager whose
        value is called once per step

    A plan that does not fit raises ``MemoryLimitError`` before anything is read, a file that cannot be read ``SourceError``.
    """

    __slots__ = ()

    def optimize(self, mode: Mode = "default") -> Self:
        """The same image with its graph rewritten, final: finalizers take it as it is.

        Parameters
        ----------
        mode : "default", "exact" or "none"

        Raises
        ------
        ArgumentError
            An unknown mode.
        """
        return type(self)(optimize(self.node, self._mode(mode)).node, final=True)

    def explain(self, chunks: Any = None, *, optimize: Mode = "default") -> Explanation:
        """What computing this would do, without doing it: nodes, rules fired, barriers, tasks, bytes, memory.

        Parameters
        ----------
        chunks : as in ``to_dask``

        Returns
        -------
        Explanation: text by ``str()``, HTML in a notebook
        """
        return make_plan(self.node, chunks, self._mode(optimize)).explain()

    def visualize(self, path: str | Path, *, optimize: Mode = "default") -> str:
        """Draw the graph that would be computed.

        Parameters
        ----------
        path : file to write; its suffix chooses the format: .svg, or .dot for Graphviz

        Returns
        -------
        the path
        """
        return make_plan(self.node, None, self._mode(optimize)).visualize(path)

    def to_json(self) -> str:
        """The graph as JSON text, to be read by ``weft.from_json``; pixels are not in it, sources are named.

        Raises
        ------
        GraphFormatError
            A node holds a Python function or pixels in memory.
        """
        return to_json(self.node)

    def to_numpy(
        self,
        *,
        masked: bool = False,
        fill: Any = None,
        optimize: Mode = "default",
        memory_limit: int | None = None,
        progress: Progress | None = None,
    ) -> np.ndarray:
        """Compute all pixels.

        Parameters
        ----------
        masked : bool
            Give a ``numpy.ma.MaskedArray``, masked where invalid.
        fill : number, optional
            Stands in every invalid pixel; left out, these hold what the source stored or the operation wrote (nodata,
            else NaN for floats, else 0).

        Returns
        -------
        (bands, rows, cols) array of the raster's dtype

        Raises
        ------
        ArgumentError
            ``fill`` does not fit the dtype.
        """
        mode = self._mode(optimize)
        return to_numpy(self.node, masked=masked, fill=fill, optimize=mode, memory_limit=memory_limit, progress=progress)

    finalize = to_numpy

    def to_dask(self, chunks: Any = None, *, optimize: Mode = "default", memory_limit: int | None = None) -> da.Array:
        """The pixels as a lazy dask array, one task per chunk.

        Parameters
        ----------
        chunks : int, (rows, cols), (bands, rows, cols) or dask's tuples of lengths, optional
            Left out, whole tiles of the source are joined to about 1024 pixels a side. A task computes all bands of its
            rows and columns; where fewer bands a chunk are asked for, its result is cut.

        Returns
        -------
        (bands, rows, cols) dask array of the raster's dtype; invalid pixels hold what the source stored or the operation wrote

        Raises
        ------
        ArgumentError
            The chunks do not describe the grid.
        """
        return to_dask(self.node, chunks, optimize=self._mode(optimize), memory_limit=memory_limit)

    @property
    def data(self) -> da.Array:
        """The pixels as a dask array in the raster's own chunks: ``to_dask()``."""
        return self.to_dask()

    def to_xarray(self, chunks: Any = None, *, optimize: Mode = "default", memory_limit: int | None = None) -> xr.DataArray:
        """The pixels as a lazy DataArray (band, y, x), with coordinates at pixel centres and CRS as rioxarray reads them.

        Parameters
        ----------
        chunks : as in ``to_dask``

        Returns
        -------
        DataArray whose invalid pixels hold nodata (NaN for floats without nodata), its attribute ``_FillValue``. Where no
        value marks them (integers without nodata), a coordinate ``mask`` (band, y, x) is True where valid.
        """
        return to_xarray(self.node, chunks, optimize=self._mode(optimize), memory_limit=memory_limit)

    def persist(self, chunks: Any = None, *, optimize: Mode = "default", memory_limit: int | None = None) -> Self:
        """Compute now and keep the pixels in memory (of the cluster's workers, with a distributed client).

        Parameters
        ----------
        chunks : as in ``to_dask``

        Returns
        -------
        Raster on the same grid over the kept pixels
        """
        meta = self.node.meta
        plan = make_plan(self.node, chunks, self._mode(optimize), memory_limit)
        plan.check()
        data, valid = dask.persist(*to_dask_pair(plan))
        node = from_array(
            data, transform=meta.grid.transform, crs=meta.grid.crs, bands=meta.bands, nodata=meta.nodata, valid=valid
        )
        return self.with_node(node)

    def to_zarr(
        self,
        url: str | Path,
        *,
        chunks: Any = None,
        shards: Any = None,
        compressor: Any = "auto",
        pyramid: str | None = None,
        zarr_format: int = 3,
        overwrite: bool = False,
        storage_options: Mapping[str, Any] | None = None,
        optimize: Mode = "default",
        memory_limit: int | None = None,
        progress: Progress | None = None,
    ) -> str:
        """Compute into a zarr store that xarray and rioxarray read back with CRS and transform.

        Parameters
        ----------
        url : path or URL of the store
        chunks : (rows, cols) or (bands, rows, cols), optional
            Of the store, one band and about 1024 pixels a side when left out. One task writes whole chunks, so no two
            tasks ever write the same.
        shards : (rows, cols) or (bands, rows, cols), optional
            Files of several chunks each; zarr format 3 only.
        compressor : "auto" (zstd, level 1), None, or a codec of numcodecs or zarr.codecs
        pyramid : "sips", "average", ..., optional
            Write reduced levels too, in the same pass: ``pyramid(method).to_zarr(...)``.
        zarr_format : 3 or 2
        overwrite : bool
            Replace the zarr store at ``url``; anything else there is left alone.
        storage_options : options of the URL's file system

        Returns
        -------
        the store's path or URL

        Raises
        ------
        SinkError
            The target exists, or cannot be written.
        ArgumentError
            Chunks, shards or format do not go together, or there is no such pyramid method.
        """
        if pyramid is not None:
            return self.pyramid(pyramid).to_zarr(
                url,
                chunks=chunks,
                shards=shards,
                compressor=compressor,
                zarr_format=zarr_format,
                overwrite=overwrite,
                storage_options=storage_options,
                optimize=self._mode(optimize),
                memory_limit=memory_limit,
                progress=progress,
            )
        return to_zarr(
            self.node,
            url,
            chunks=chunks,
            shards=shards,
            compressor=compressor,
            zarr_format=zarr_format,
            overwrite=overwrite,
            storage_options=storage_options,
            optimize=self._mode(optimize),
            memory_limit=memory_limit,
            progress=progress,
        )

    def pyramid(
        self, method: str = "sips", min_size: int = 256, *, use_native_levels: bool = False, bit_depth: int | None = None
    ) -> Pyramid:
        """This image and its reduced levels, each half as large as the one before, lazily.

        Parameters
        ----------
        method : "sips", "average", "bilinear", "cubic", "lanczos", "nearest", "mode", "min", "max" or "median"
            How a level is made of the one before: SIPS RRDS (NGA.STND.0014 section 2.2), or see ``weft.ops.halve``.
        min_size : int, pixels
            The first level with fewer rows or columns is the last one.
        use_native_levels : bool
            Take the overviews that the file holds where they are half, a quarter, ... of the image, and reduce only from the
            coarsest of them on.
        bit_depth : int, optional
            Of "sips": the values' number of bits; the dtype's when left out.

        Returns
        -------
        Pyramid; ``level(k)`` is a Raster, ``to_zarr`` writes all levels in one pass

        Raises
        ------
        ArgumentError
            An unknown method, or a ``min_size`` below 1.
        DtypeError
            The method does not work on the pixels' dtype.
        """
        levels = pyramid_levels(self.node, method, min_size, use_native_levels, bit_depth)
        return Pyramid([type(self)(level, final=self._final) for level in levels], method)  # type: ignore[misc]

    def to_png(
        self,
        path: str | Path,
        *,
        max_size: int | None = 2048,
        overwrite: bool = False,
        optimize: Mode = "default",
        progress: Progress | None = None,
    ) -> str:
        """Compute into a PNG picture: grey, grey + alpha, RGB or RGBA by the number of bands; invalid pixels transparent.

        uint8 is written as it is, bool as black and white; other types are stretched between their 2nd and 98th percentile.

        Parameters
        ----------
        path : file to write
        max_size : int, optional
            Shrink so that the longer side has at most so many pixels; None keeps the size.
        overwrite : bool
            Replace an existing file.

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
        mode = self._mode(optimize)
        return to_png(self.node, path, max_size=max_size, overwrite=overwrite, optimize=mode, progress=progress)

    def statistics(self, *, approximate: bool = True, optimize: Mode = "default") -> dict[str, BandStatistics]:
        """Count, minimum, maximum, mean and standard deviation of the valid pixels of every band.

        Parameters
        ----------
        approximate : bool
            Read the cheapest overview with at least ten million pixels where the image is larger and has one; the count is
            then the overview's. False reads every pixel.

        Returns
        -------
        band name -> BandStatistics, in the raster's units; the deviation is the population's

        Raises
        ------
        DtypeError
            The pixels are complex.
        """
        table = to_numpy(statistics(self.node, approximate=approximate), optimize=self._mode(optimize))
        return statistics_of(Block(table), self.node.meta.bands)

    def image_statistics(
        self,
        *,
        strategy: SamplingStrategy = SamplingStrategy.ALL,
        sample_rate: float | None = None,
        num_blocks: int | None = None,
        seed: int = 0,
        bins: int | None = None,
        range: tuple[float, float] | None = None,
        approximate: bool = False,
        optimize: Mode = "default",
    ) -> ImageStatistics:
        """Statistics and histogram of every band in one pass, of all pixels or of a sample; see ``merge_statistics``.

        Parameters
        ----------
        strategy : SamplingStrategy
            ALL pixels, RANDOM pixels (each with the probability ``sample_rate``), or whole BLOCKs (a share ``sample_rate`` of
            them or ``num_blocks``; the others are not read).
        seed : int, at least 0
            Equal seeds choose equal pixels, whatever the chunks and threads.
        bins, range : as in ``histogram``
        approximate : bool
            As in ``statistics``; with strategy ALL.

        Returns
        -------
        ImageStatistics: ``["red"]`` or ``[0]`` gives a band's count, min, max, mean, std, histogram and bin_edges

        Raises
        ------
        ArgumentError
            The arguments of sampling do not go together, or the bins are impossible.
        DtypeError
            The pixels are complex.
        """
        return compute_image_statistics(
            self,
            strategy=strategy,
            sample_rate=sample_rate,
            num_blocks=num_blocks,
            seed=seed,
            bins=bins,
            range=range,
            approximate=approximate,
            optimize=self._mode(optimize),
        )

    def histogram(
        self,
        *,
        bins: int | None = None,
        range: tuple[float, float] | None = None,
        approximate: bool = True,
        optimize: Mode = "default",
    ) -> ImageHistogram:
        """Counts per bin of the valid pixels of every band.

        Parameters
        ----------
        bins : int, optional
            Number of bins of equal width; 4096 if only ``range`` is given. Without both, integers of at most 16 bits get one
            bin per value of their type (256 or 65536), and other types 8193 bins as wide as a power of two, with edges at its
            multiples, less than a 4096th of the band's range; those above its maximum are empty.
        range : (low, high), optional
            First and last edge, in the raster's units. If only ``bins`` is given, each band's own minimum and maximum, which
            are measured by a pass of their own.
        approximate : bool
            As in ``statistics``.

        Returns
        -------
        ImageHistogram: ``counts`` (bands, bins) and ``edges`` (bands, bins + 1)

        Raises
        ------
        ArgumentError
            The number of bins is below 1 or absurd, or the range is not two finite numbers in order.
        DtypeError
            The pixels are complex.
        """
        node = histogram(self.node, bins=bins, range=range, approximate=approximate)
        return histogram_of(Block(to_numpy(node, optimize=self._mode(optimize))), self.node.meta.bands)

    def preview(self, size: int = 256) -> Image:
        """A small picture, stretched for the eye, that shows itself in a notebook; reads the cheapest overview that serves.

        Parameters
        ----------
        size : int
            Pixels along the longer side.

        Returns
        -------
        PIL image, RGBA: the bands that ``display`` shows
        """
        return preview(self.node, size)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("a Raster's pixels are computed, so they cannot be had without a copy")
        pixels = self.to_numpy()
        return pixels if dtype is None else pixels.astype(dtype, copy=False)
