"""Zarr stores by path or URL, and their arrays: one open array per process, opened by URI, never pickled."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import zarr
from zarr.abc.store import Store

from ..graph.errors import SourceError, WeftError
from .failing import raise_alone

Options = tuple[tuple[str, Any], ...]

_ARRAYS_KEPT = 64
_arrays: OrderedDict[Any, zarr.Array] = OrderedDict()
_lock = Lock()


# Rust's worker threads do not survive a fork, so a forked child decodes with zarr's own pipeline.
_forked = False


def _forget_after_fork() -> None:
    # A zip store's file position would be shared with the parent, and the lock may be held.
    global _forked, _lock
    _forked = True
    _lock = Lock()
    _arrays.clear()


os.register_at_fork(after_in_child=_forget_after_fork)


def is_url(uri: str) -> bool:
    return "://" in uri


def open_store(uri: str, options: Options, *, write: bool = False) -> Store:
    """The zarr store at ``uri``: a folder, a zip file (to read), or a URL that fsspec knows."""
    from zarr.storage import FsspecStore, LocalStore, ZipStore

    if is_url(uri):
        return FsspecStore.from_url(uri, storage_options=dict(options), read_only=not write)
    if uri.endswith(".zip"):
        return ZipStore(uri, mode="r")
    return LocalStore(uri, read_only=not write)


def open_array(uri: str, path: str, options: Options, version: Any) -> zarr.Array:
    """This process's open array; ``version`` tells states of a store apart."""
    key = (uri, path, options, version)
    with _lock:
        found = _arrays.get(key)
        if found is not None:
            _arrays.move_to_end(key)
            return found
    array = quickened(zarr.open_array(store=open_store(uri, options), path=path, mode="r"))
    with _lock:
        _arrays[key] = array
        while len(_arrays) > _ARRAYS_KEPT:
            _arrays.popitem(last=False)
    return array


def quickened(array: zarr.Array) -> zarr.Array:
    """The array with zarrs' codecs, about twice as fast, where they are installed and know its store, format and codecs.

    Only this array is changed; zarr's configuration belongs to the user.
    """
    from zarr.storage import LocalStore

    if _forked or not isinstance(array.store, LocalStore) or array.metadata.zarr_format != 3:
        return array
    try:
        from zarr.core.codec_pipeline import BatchedCodecPipeline
        from zarrs.pipeline import UnsupportedMetadataError, ZarrsCodecPipeline, get_codec_pipeline_impl
    except ImportError:
        return array
    try:
        quick = get_codec_pipeline_impl(array.metadata, array.store, strict=True)
    except (UnsupportedMetadataError, TypeError, ValueError, RuntimeError):
        return array
    plain = BatchedCodecPipeline.from_codecs(array.metadata.codecs)
    pipeline = ZarrsCodecPipeline(metadata=array.metadata, store=array.store, impl=quick, python_impl=plain)
    object.__setattr__(array.async_array, "codec_pipeline", pipeline)
    return array


@contextmanager
def naming_zarr_errors(uri: str, doing: str) -> Iterator[None]:
    """Turn whatever zarr, a codec or a file system raises into a SourceError that names the store.

    Codecs raise errors of any kind about damaged bytes, so nothing narrower than Exception would do. They are quoted and
    not chained, so that the error can come back from a worker.
    """
    try:
        yield
    except WeftError:
        raise
    except Exception as error:
        text = f"{type(error).__name__}: {error}".strip(": ")
        raise_alone(SourceError(f"{uri}: cannot {doing}: {text[:400]}"))
