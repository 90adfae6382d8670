"""Operations and formats are found by looking: a package offers what the ``__all__`` of its modules lists."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pkgutil import iter_modules
from typing import Any


def offered(package: str, path: Iterable[str]) -> dict[str, Any]:
    """Import every module of a package: what their ``__all__`` list, by name.

    Parameters
    ----------
    package : its name, ``__name__``
    path : its folders, ``__path__``
    """
    modules = [import_module(f"{package}.{found.name}") for found in iter_modules(path)]
    return {name: getattr(module, name) for module in modules for name in getattr(module, "__all__", ())}
