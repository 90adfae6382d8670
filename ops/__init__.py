"""Every operation, found by looking: each module of this folder is one, and its ``__all__`` is what it offers.

A function here takes whatever holds a node first (a ``Raster``, a ``Node``) and gives back the same kind of thing;
``weft.ops.warp(r, "EPSG:3857")`` and ``r.warp("EPSG:3857")`` are one.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

__all__: list[str] = []
for _found in iter_modules(__path__):
    _module = import_module(f"{__name__}.{_found.name}")
    for _name in getattr(_module, "__all__", ()):
        globals()[_name] = getattr(_module, _name)
        __all__.append(_name)  # noqa: PYI056
