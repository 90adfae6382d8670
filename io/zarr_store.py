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

Options = tuple[tuple[str, Any], ...]

_ARRAYS_KEPT = 64
_arrays: OrderedDict[Any, zarr.Array] = OrderedDict()
_lock = Lock()


def _forget_after_fork() -> None:
    # A zip store's file position would be shared with the parent, and the lock may be held.
    global _lock
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
    array = zarr.open_array(store=open_store(uri, options), path=path, mode="r")
    with _lock:
        _arrays[key] = array
        while len(_arrays) > _ARRAYS_KEPT:
            _arrays.popitem(last=False)
    return array


@contextmanager
def naming_zarr_errors(uri: str, doing: str) -> Iterator[None]:
    """Turn whatever zarr, a codec or a file system raises into a SourceError that names the store.

    Codecs raise errors of any kind about damaged bytes, so nothing narrower than Exception would do.
    """
    try:
        yield
    except WeftError:
        raise
    except Exception as error:
        text = str(error).strip() or type(error).__name__
        raise SourceError(f"{uri}: cannot {doing}: {text[:400]}") from error
