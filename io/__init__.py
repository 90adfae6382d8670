"""Every source and sink, found by looking: each module of this folder is one format, its ``__all__`` what it offers."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

__all__: list[str] = []
for _found in iter_modules(__path__):
    _module = import_module(f"{__name__}.{_found.name}")
    for _name in getattr(_module, "__all__", ()):
        globals()[_name] = getattr(_module, _name)
        __all__.append(_name)  # noqa: PYI056
