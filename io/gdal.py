"""GDAL, kept in its place: one handle per thread, a small block cache, and errors that say file, what and where."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import rasterio
import rasterio.env
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.session import DummySession

from ..graph.errors import ArgumentError, SourceError, WeftError
from .failing import raise_alone

Options = tuple[tuple[str, str | int | float | bool], ...]
Stamps = tuple[tuple[str, int, int], ...]

# Decoded tiles are kept by the engine's own cache; GDAL's holds just enough to serve neighbouring blocks of one read.
BLOCK_CACHE_BYTES = 64 * 2**20
HANDLES_PER_THREAD = 16

# What storage_options may say that is not a GDAL configuration option.
_ALIASES = {"anon": "AWS_NO_SIGN_REQUEST", "key": "AWS_ACCESS_KEY_ID", "secret": "AWS_SECRET_ACCESS_KEY"}


class _Handles(threading.local):
    """Open datasets of one thread, least recently used first."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.datasets: OrderedDict[Any, DatasetReader] = OrderedDict()


_handles = _Handles()
# Handles that a fork copied from the parent. Closing them would touch the parent's locks, so they are kept and left alone.
_inherited: list[Any] = []
_cache_bounded_in: set[int] = set()


def gdal_options(storage_options: Mapping[str, Any]) -> Options:
    """storage_options as sorted GDAL configuration options.

    Raises
    ------
    ArgumentError
        A value is not plain.
    """
    options: dict[str, Any] = {}
    for name, value in storage_options.items():
        if not isinstance(name, str) or not isinstance(value, (str, int, float, bool)):
            raise ArgumentError(f"storage option {name!r} has to be text, a number or a bool; got {value!r}")
        options[name if name == "allow_outside" else _ALIASES.get(name, name).upper()] = value
    return tuple(sorted(options.items()))


@contextmanager
def gdal_environment(options: Options) -> Iterator[None]:
    """GDAL configured with ``options`` for this thread, its errors raised and not printed."""
    _bound_block_cache()
    wanted = {name: value for name, value in options if name != "allow_outside"}
    with ExitStack() as stack:
        stack.enter_context(rasterio.Env(session=DummySession()))
        if wanted:
            rasterio.env.setenv(**wanted)
        yield


@contextmanager
def naming_errors(uri: str, doing: str) -> Iterator[None]:
    """Turn whatever GDAL and rasterio raise into a SourceError that names the file and what was being done.

    It carries their messages, not them, so that it can come back from a worker.
    """
    try:
        yield
    except WeftError:
        raise
    except (RasterioError, OSError, ValueError, RuntimeError, KeyError, TypeError, MemoryError) as error:
        raise_alone(SourceError(f"{shown(uri)}: cannot {doing}: {_reason(error, uri)}"))
    except Exception as error:
        # GDAL's own errors have no public base class.
        if not type(error).__module__.startswith("rasterio"):
            raise
        raise_alone(SourceError(f"{shown(uri)}: cannot {doing}: {_reason(error, uri)}"))


def open_dataset(uri: str, level: int | None, options: Options, stamps: Stamps) -> DatasetReader:
    """This thread's open handle of ``uri``, at an overview ``level`` or at full resolution (None).

    ``stamps`` tells versions of a file apart: a handle of an older version is not given for a newer one.
    """
    if _handles.pid != os.getpid():
        _inherited.append(_handles.datasets)
        _handles.__init__()  # type: ignore[misc]
    key = (uri, level, options, stamps)
    found = _handles.datasets.get(key)
    if found is not None:
        _handles.datasets.move_to_end(key)
        return found
    extra = {} if level is None else {"OVERVIEW_LEVEL": level}
    dataset = rasterio.open(uri, sharing=False, **extra)
    _handles.datasets[key] = dataset
    if len(_handles.datasets) > HANDLES_PER_THREAD:
        _handles.datasets.popitem(last=False)[1].close()
    return dataset


def close_handles() -> None:
    """Close the handles of this thread."""
    while _handles.datasets:
        _handles.datasets.popitem()[1].close()


def shown(uri: str) -> str:
    """A URI for a message: without the query, which may hold a signature."""
    return uri.split("?", 1)[0] if "://" in uri or uri.startswith("/vsi") else uri


def _bound_block_cache() -> None:
    """Keep GDAL's block cache small, once per process, unless the user chose its size."""
    pid = os.getpid()
    if pid in _cache_bounded_in:
        return
    _cache_bounded_in.add(pid)
    chosen = rasterio.env.getenv() if rasterio.env.hasenv() else {}
    if "GDAL_CACHEMAX" not in os.environ and "GDAL_CACHEMAX" not in chosen:
        rasterio.env.set_gdal_config("GDAL_CACHEMAX", BLOCK_CACHE_BYTES)


def _reason(error: BaseException, uri: str) -> str:
    """What an error says, and what the first of its causes says where that adds to it, without the file's name again."""
    messages: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(messages) < 8:
        text = str(cause.args[-1] if isinstance(cause.args, tuple) and cause.args else cause).strip()
        if text and "See previous exception" not in text and text not in messages:
            messages.append(text)
        cause = cause.__cause__
    if not messages:
        return type(error).__name__
    if messages[-1] in messages[0]:
        del messages[1:]
    parts = [messages[0], messages[-1]] if len(messages) > 1 else messages
    for prefix in (f"'{uri}' ", f"{uri}: ", f"{os.path.basename(uri)}: ", f"{os.path.basename(uri)}, "):
        parts = [part.removeprefix(prefix) for part in parts]
    return "; ".join(part.rstrip(".") for part in parts)[:400]
