"""Zarr stores: one task per group of whole chunks (or shards), so that no two tasks ever write the same object.

Nothing half-written reads as complete: a local store is written under another name and renamed at the end, a remote one
gets its metadata last.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from zarr.core.sync import sync

from ..graph.block import Block
from ..graph.chunks import TARGET_BYTES, TARGET_SIDE, Chunks, choose_chunks
from ..graph.errors import SinkError, WeftError
from ..graph.grid import Region
from ..graph.node import Meta, Node
from ..graph.optimize import Mode
from ..graph.plan import make_plan
from ..graph.run import Progress, run
from .failing import raise_alone
from .registry import as_uri
from .xarray_sink import marking_value
from .zarr_layout import Layout, build_group, checked_layout, has_mask, metadata_of, pixel_array
from .zarr_source import accepts
from .zarr_store import Options, is_url, open_store

__all__ = ["to_zarr"]

_REMOVALS, _BETWEEN_REMOVALS = 20, 0.1  # times, seconds


def to_zarr(
    node: Node,
    url: str | os.PathLike[str],
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
    """Compute into a zarr group that xarray, rioxarray and weft read back with CRS, transform, nodata and mask.

    Parameters
    ----------
    node : Node
    url : path, or a URL that fsspec knows
    chunks : (rows, cols) or (bands, rows, cols), optional
        One band and about 1024 pixels a side when left out.
    shards : (rows, cols) or (bands, rows, cols), optional
        Objects of several chunks each; zarr format 3 only.
    compressor : "auto" (zstd, level 1), None, or a codec of numcodecs or zarr.codecs
    zarr_format : 3 or 2
    overwrite : bool
        Replace the zarr store at ``url``; anything else there is left alone.
    storage_options : options of the URL's file system
    optimize : "default", "exact" or "none"
    memory_limit : bytes one task may hold, optional
    progress : see ``run``

    Returns
    -------
    the store's path or URL

    Raises
    ------
    SinkError
        The target exists or cannot be written.
    ArgumentError
        Chunks, shards, compressor and format do not go together.
    SourceError
        A source cannot be read; nothing is left at the target.
    """
    target = as_uri(url).rstrip("/")
    options: Options = tuple(sorted((storage_options or {}).items()))
    meta = node.meta
    rows, cols = choose_chunks(meta)
    layout = checked_layout(meta, chunks, shards, compressor, zarr_format, (rows[0], cols[0]))
    plan = make_plan(node, task_chunks(meta, layout), optimize, memory_limit)
    plan.check()
    assert_aligned(plan.chunks, layout)
    contents = build_group(plan.root.meta, layout)

    def write(where: str) -> None:
        writer = ZarrWriter(where, options, plan.root.meta, contents)
        run(plan, writer, progress=progress, description=f"writing {target.rpartition('/')[2]}")

    write_store(target, options, contents, write, overwrite=overwrite)
    return target


def write_store(
    target: str, options: Options, contents: dict[str, Any], write: Callable[[str], None], *, overwrite: bool
) -> None:
    """Let ``write`` put chunks into a store, then publish its metadata: a local one under another name until it is complete.

    Parameters
    ----------
    target : path or URL
    options : of the URL's file system
    contents : metadata and coordinates by key, the root's last
    write : called with the path or URL to write the chunks to
    overwrite : whether a zarr store at ``target`` may be replaced

    Raises
    ------
    SinkError
        The target exists or cannot be written.
    """
    if target.endswith(".zip"):
        raise SinkError(f"{target}: tasks cannot write one zip together; write a folder and zip that")
    if is_url(target):
        _write_remote(target, options, contents, write, overwrite)
    else:
        _write_local(Path(target), contents, write, overwrite)


class ZarrWriter:
    """The end of a task: put the chunk into ``data``, and its validity into ``mask`` where there is one."""

    def __init__(self, uri: str, options: Options, meta: Meta, contents: dict[str, Any]) -> None:
        self.uri = uri
        self.options = options
        self.masked = has_mask(meta)
        self.nodata = marking_value(meta)
        self.metadata = {name: metadata_of(contents, name) for name in (("data", "mask") if self.masked else ("data",))}
        self._arrays: dict[str, Any] = {}
        if not is_url(uri):
            Path(uri).mkdir(parents=True, exist_ok=True)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_arrays": {}}

    def __call__(self, block: Block, region: Region) -> None:
        if not is_url(self.uri) and not os.path.isdir(self.uri):
            raise SinkError(f"{self.uri}: is gone, so nothing more is written to it")
        data = block.data if self.nodata is None else block.filled(self.nodata)
        try:
            self._array("data")[:, region.rows, region.cols] = data
            if self.masked and not (block.valid is None and self.metadata["mask"].fill_value == 1):
                valid = np.ones((1, 1, 1), bool) if block.valid is None else block.valid
                flags = np.broadcast_to(valid.view(np.uint8), data.shape)
                self._array("mask")[:, region.rows, region.cols] = flags
        except Exception as error:
            # File systems and codecs raise errors of any kind.
            where = f"rows {region.row0}:{region.row1}, columns {region.col0}:{region.col1}"
            raise_alone(SinkError(f"{self.uri}: cannot write {where}: {error}"))

    def _array(self, name: str) -> Any:
        if name not in self._arrays:
            store = open_store(self.uri, self.options, write=True)
            self._arrays[name] = pixel_array(store, name, self.metadata[name])
        return self._arrays[name]


def task_chunks(meta: Meta, layout: Layout) -> tuple[int, int]:
    """(rows, cols) of a task: whole write units, joined to about 1024 pixels a side while 32 MiB hold them."""
    height, width = layout.unit
    pixel_bytes = len(meta.bands) * meta.dtype.itemsize
    side_rows, side_cols = max(1, TARGET_SIDE // height), max(1, TARGET_SIDE // width)
    while side_rows * side_cols > 1 and height * side_rows * width * side_cols * pixel_bytes > TARGET_BYTES:
        side_rows, side_cols = max(1, side_rows // 2), max(1, side_cols // 2)
    return height * side_rows, width * side_cols


def assert_aligned(chunks: Chunks, layout: Layout) -> None:
    """Refuse a plan two of whose tasks would write into the same chunk or shard.

    Raises
    ------
    SinkError
        Such a plan.
    """
    for lengths, unit in zip(chunks, layout.unit, strict=True):
        if any(length % unit for length in lengths[:-1]):
            raise SinkError(f"tasks of {lengths[0]} pixels do not hold whole write units of {unit}")


def _write_local(target: Path, contents: dict[str, Any], write: Callable[[str], None], overwrite: bool) -> None:
    if target.exists():
        if not overwrite:
            raise SinkError(f"{target} exists; pass overwrite=True to replace it")
        if not _may_replace(target):
            raise SinkError(f"{target} exists and is no zarr store, so it is not replaced")
    token = uuid4().hex[:8]
    staging = target.with_name(f".{target.name}.{token}.partial")
    old = target.with_name(f".{target.name}.{token}.old")
    try:
        staging.mkdir(parents=True)
        write(str(staging))
        for key, value in contents.items():
            path = staging / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(value.to_bytes())
        if target.exists():
            target.rename(old)
        staging.rename(target)
    except WeftError:
        raise
    except OSError as error:
        raise SinkError(f"{target}: cannot be written: {error}") from error
    finally:
        if staging.exists():
            _remove(staging)
        if old.exists() and not target.exists():
            old.rename(target)
        shutil.rmtree(old, ignore_errors=True)


def _remove(staging: Path) -> None:
    """Delete what an unfinished run has written. Tasks that were under way may write for a moment yet; none begins."""
    for _ in range(_REMOVALS):
        shutil.rmtree(staging, ignore_errors=True)
        time.sleep(_BETWEEN_REMOVALS)
        if not staging.exists():
            return


def _write_remote(
    target: str, options: Options, contents: dict[str, Any], write: Callable[[str], None], overwrite: bool
) -> None:
    try:
        store = open_store(target, options, write=True)
        present = any(sync(store.exists(name)) for name in ("zarr.json", ".zgroup", ".zarray"))
        if present and not overwrite:
            raise SinkError(f"{target} exists; pass overwrite=True to replace it")
        if present:
            sync(store.delete_dir(""))
        try:
            write(target)
            _publish(store, contents)
        except BaseException:
            sync(store.delete_dir(""))
            raise
    except WeftError:
        raise
    except (OSError, ValueError, ImportError) as error:
        raise SinkError(f"{target}: cannot be written: {error}") from error


def _publish(store: Any, contents: dict[str, Any]) -> None:
    async def copy() -> None:
        for key, value in contents.items():
            await store.set(key, value)

    sync(copy())


def _may_replace(target: Path) -> bool:
    return target.is_dir() and (accepts(str(target)) or not any(target.iterdir()))
