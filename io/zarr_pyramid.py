"""Pyramids as zarr: a group "0", "1", "2", ... per level, each a store as ``to_zarr`` writes it, written in one pass.

The parent names its levels by the conventions ``multiscales``, ``proj:`` and ``spatial:`` of GeoZarr; it has no arrays of its
own, which xarray's DataTree would want to align with those of its children.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from zarr.api import asynchronous
from zarr.core.sync import sync
from zarr.storage import MemoryStore

from ..graph.block import Block
from ..graph.cascade import check
from ..graph.chunks import choose_chunks
from ..graph.grid import Region
from ..graph.node import Node
from ..graph.optimize import Mode
from ..graph.run import Progress, run_cascade
from .geozarr import multiscales
from .passes import passes
from .registry import as_uri
from .zarr_layout import Layout, build_groups, checked_layout, consolidated
from .zarr_sink import ZarrWriter, assert_aligned, task_chunks, write_store
from .zarr_store import Options

__all__ = ["to_zarr_pyramid"]


def to_zarr_pyramid(
    levels: Sequence[Node],
    url: str | os.PathLike[str],
    *,
    method: str,
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
    """Compute the levels of a pyramid into a zarr group of groups; weft, xarray (``open_datatree``) and GDAL read it.

    Parameters
    ----------
    levels : nodes, finest first
        A level that is made of the one before it is computed in the same pass.
    url : path, or a URL that fsspec knows
    method : how levels are made, for the metadata
    chunks, shards, compressor, zarr_format, overwrite, storage_options, optimize, memory_limit, progress : see ``to_zarr``
        Chunks and shards are those of every level, cut to its size.

    Returns
    -------
    the store's path or URL

    Raises
    ------
    SinkError
        The target exists or cannot be written.
    ArgumentError
        Chunks, shards, compressor and format do not go together.
    MemoryLimitError
        A task would not fit; nothing has been read.
    """
    target = as_uri(url).rstrip("/")
    options: Options = tuple(sorted((storage_options or {}).items()))
    settings = (chunks, shards, compressor, zarr_format)
    layouts = [_layout(level, *settings) for level in levels]
    stores = build_groups([level.meta for level in levels], layouts)
    contents = pyramid_group(levels, stores, layouts[0], method)
    found = passes(levels, lambda k, node: task_chunks(node.meta, layouts[k]), optimize, memory_limit)
    for each in found:
        check(each.plan, each.layers(lambda number: _nothing))
        for number, chunks in enumerate(each.chunks, each.first):
            assert_aligned(chunks, layouts[number])

    def write(where: str) -> None:
        def writer(number: int) -> ZarrWriter:
            return ZarrWriter(f"{where}/{number}", options, levels[number].meta, stores[number])

        for each in found:
            run_cascade(each.plan, each.layers(writer), progress=progress, description=f"writing {each.description}")

    write_store(target, options, contents, write, overwrite=overwrite)
    return target


def _nothing(block: Block, region: Region) -> None:
    """The end of a task that is only looked at."""


def pyramid_group(levels: Sequence[Node], stores: Sequence[dict[str, Any]], layout: Layout, method: str) -> dict[str, Any]:
    """Everything of the store but its pixels, by key, the root's metadata last."""
    contents = {f"{number}/{key}": value for number, store in enumerate(stores) for key, value in store.items()}
    attrs = multiscales([level.meta.grid for level in levels], method)

    async def with_root() -> dict[str, Any]:
        store = MemoryStore(contents)
        await asynchronous.create_group(store=store, zarr_format=layout.zarr_format, attributes=attrs)
        return await consolidated(store, layout.zarr_format)

    return sync(with_root())


def _layout(level: Node, chunks: Any, shards: Any, compressor: Any, zarr_format: int) -> Layout:
    rows, cols = choose_chunks(level.meta)
    return checked_layout(level.meta, chunks, shards, compressor, zarr_format, (rows[0], cols[0]))
