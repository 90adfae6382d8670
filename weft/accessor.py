"""``da.weft``: every verb of ``Raster`` on an xarray DataArray.

The verbs are made from Raster's own, docstrings and signatures included. One that gives a Raster there gives a lazy
DataArray here; all others (``to_zarr``, ``explain``, ``bounds``, ...) give what they give there. Where several verbs
follow each other, chain them on ``da.weft.raster``: one graph is optimized as a whole, several DataArrays are not.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import xarray as xr

from .io.xarray_source import from_xarray
from .raster import Raster


@xr.register_dataarray_accessor("weft")
class WeftAccessor:
    """The verbs of ``weft.Raster`` on a DataArray (band, y, x) or (y, x)."""

    def __init__(self, dataarray: xr.DataArray) -> None:
        self._dataarray = dataarray

    @functools.cached_property
    def raster(self) -> Raster:
        """The DataArray as a Raster, to chain verbs on."""
        return _as_raster(self._dataarray)

    def __repr__(self) -> str:
        return repr(self.raster)

    def _repr_html_(self) -> str:
        return self.raster._repr_html_()

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


def _as_raster(value: Any) -> Any:
    return Raster(from_xarray(value)) if isinstance(value, xr.DataArray) else value


def _shown(value: Any, name: Any) -> Any:
    return value.to_xarray().rename(name) if isinstance(value, Raster) else value


def _method(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(self: WeftAccessor, *args: Any, **kwargs: Any) -> Any:
        given = {name: _as_raster(value) for name, value in kwargs.items()}
        return _shown(method(self.raster, *map(_as_raster, args), **given), self._dataarray.name)

    return call


def _property(name: str, documentation: str | None) -> property:
    return property(lambda self: getattr(self.raster, name), doc=documentation)


for _name in dir(Raster):
    _found = getattr(Raster, _name)
    if _name.startswith("_") or hasattr(WeftAccessor, _name):
        continue
    if isinstance(_found, property):
        setattr(WeftAccessor, _name, _property(_name, _found.__doc__))
    elif _name != "with_node":
        setattr(WeftAccessor, _name, _method(_found))
setattr(WeftAccessor, "__getitem__", _method(Raster.__getitem__))  # noqa: B010  as for the others
