"""Which engine opens what: a list of drivers, asked in order, and ``open_source`` that asks them.

A format is added by one file of this folder that calls ``register_driver``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlparse

from ..graph.errors import ArgumentError
from ..graph.node import Node

__all__ = ["Driver", "drivers", "open_source", "register_driver"]


class OpenFunction(Protocol):
    """How a driver opens a URI: everything that ``open_source`` was given but the engine."""

    def __call__(
        self, uri: str, *, bands: Any, overviews: str, nodata: float | None, storage_options: Mapping[str, Any]
    ) -> Node: ...


@dataclass(frozen=True)
class Driver:
    """One engine.

    Parameters
    ----------
    name : what ``engine=`` calls it
    accepts : callable (uri) -> bool
        Whether to try this engine for ``uri``; may look at names and at local files, not at the network.
    open : OpenFunction
    priority : lower is asked earlier; an engine that accepts everything stands at 100
    """

    name: str
    accepts: Callable[[str], bool]
    open: OpenFunction
    priority: int = 50


_drivers: dict[str, Driver] = {}


def register_driver(driver: Driver) -> None:
    """Add an engine, or replace the one of the same name."""
    _drivers[driver.name] = driver


def drivers() -> tuple[Driver, ...]:
    """All engines in the order in which they are asked."""
    return tuple(sorted(_drivers.values(), key=lambda driver: (driver.priority, driver.name)))


def open_source(
    uri: str | os.PathLike[str],
    *,
    bands: Any = None,
    overviews: str = "auto",
    engine: str | None = None,
    nodata: float | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> Node:
    """Open a raster lazily: its header is read now, its pixels when they are wanted.

    Parameters
    ----------
    uri : path or URL
    bands : one or several names or 0-based positions, or a slice, optional
        All bands when left out.
    overviews : "auto" or "none"
        Whether the file's reduced copies may serve where full resolution is not needed.
    engine : str, optional
        The name of a driver; found from the URI when left out.
    nodata : number, optional
        Use this value instead of the file's own.
    storage_options : mapping, optional
        What the storage needs: GDAL configuration options for the rasterio engine, fsspec's options for zarr.
        ``allow_outside=True`` lets a VRT name files outside its own folder.

    Raises
    ------
    SourceError
        The file is missing, damaged, or of a format no engine knows.
    ArgumentError
        An option has an impossible value, or the engine is unknown.
    BandError
        A band is not in the file.
    """
    location = as_uri(uri)
    return _driver(location, engine).open(
        location,
        bands=bands,
        overviews=checked_overviews(overviews),
        nodata=nodata,
        storage_options=dict(storage_options or {}),
    )


def as_uri(uri: str | os.PathLike[str]) -> str:
    """A location as text; local paths absolute, so that the same file has the same token from every folder.

    Raises
    ------
    ArgumentError
        It is neither text nor a path.
    """
    if isinstance(uri, os.PathLike):
        uri = os.fspath(uri)
    if not isinstance(uri, str) or not uri or "\0" in uri:
        raise ArgumentError(f"a source is a path or a URL; got {uri!r}")
    if uri.startswith("file://"):
        uri = unquote(urlparse(uri).path)
    return os.path.abspath(os.path.expanduser(uri)) if is_local(uri) else uri


def checked_overviews(overviews: str) -> str:
    """``overviews`` if it is one of the two words.

    Raises
    ------
    ArgumentError
        It is not.
    """
    if overviews not in ("auto", "none"):
        raise ArgumentError(f'overviews is "auto" or "none"; got {overviews!r}')
    return overviews


def is_local(uri: str) -> bool:
    """Whether ``uri`` is a plain path of this machine: no scheme, no GDAL prefix or connection string."""
    if os.path.exists(uri):
        return True
    prefix = uri.split(":", 1)[0] if ":" in uri else ""
    is_drive = len(prefix) == 1
    return not (uri.startswith(("/vsi", "<", "{")) or (prefix and not is_drive and "/" not in prefix))


def pick_bands(node: Node, bands: Any) -> Node:
    """The source with only ``bands``, read no more than needed."""
    if bands is None:
        return node
    positions = node.meta.band_indices(bands)
    if not positions:
        raise ArgumentError("no band is chosen; leave bands out for all of them")
    return node.select(positions) or node


def local_stamps(paths: list[str]) -> tuple[tuple[str, int, int], ...]:
    """(path, size, mtime in ns) of those of ``paths`` that are files of this machine."""
    stamps = []
    for path in paths:
        try:
            status = Path(path).stat()
        except (OSError, ValueError):
            continue
        stamps.append((path, status.st_size, status.st_mtime_ns))
    return tuple(stamps)


def _driver(uri: str, engine: str | None) -> Driver:
    if engine is not None:
        if engine not in _drivers:
            raise ArgumentError(f"unknown engine {engine!r}; known are {', '.join(d.name for d in drivers())}")
        return _drivers[engine]
    for driver in drivers():
        if driver.accepts(uri):
            return driver
    raise ArgumentError(f"no engine opens {uri!r}; known are {', '.join(d.name for d in drivers())}")
