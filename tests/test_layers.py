"""Imports run one way: graph <- ops <- io <- weft, wherever in a file they stand."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ALLOWED = {"graph": {"graph"}, "ops": {"graph", "ops"}, "io": {"graph", "ops", "io"}}


def imported_layers(source: str, layer: str) -> set[str]:
    """The folders of weft that ``source``, a module of the folder ``layer``, imports from; "weft" for the package itself."""
    layers = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level:
            path = (["weft", layer][: 3 - node.level] if node.level <= 2 else ["outside"]) + (node.module or "").split(".")
            layers |= {".".join([*path, alias.name]) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            layers |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            layers |= {alias.name for alias in node.names}
    parts = [[part for part in name.split(".") if part] for name in layers]
    return {p[1] if len(p) > 1 and p[1] in ALLOWED else "weft" for p in parts if p[0] == "weft"} | {
        "outside" for p in parts if p[0] == "outside"
    }


@pytest.mark.parametrize("layer", ALLOWED)
def test_imports_run_one_way(layer):
    files = sorted((ROOT / layer).rglob("*.py"))
    assert files
    wrong = {str(f.relative_to(ROOT)): imported_layers(f.read_text(), layer) - ALLOWED[layer] for f in files}
    assert {name: layers for name, layers in wrong.items() if layers} == {}


@pytest.mark.parametrize(
    ("statement", "layers"),
    [
        ("from ..io.array import from_array", {"io"}),
        ("from .node import Node", {"graph"}),
        ("from .. import ops", {"ops"}),
        ("from ..raster import Raster", {"weft"}),
        ("import weft", {"weft"}),
        ("from weft import Raster", {"weft"}),
        ("import weft.io.array", {"io"}),
        ("def f():\n    from ..ops.crop import crop", {"ops"}),
        ("if TYPE_CHECKING:\n    from ..io import registry", {"io"}),
        ("from ... import anything", {"outside"}),
        ("import numpy", set()),
    ],
)
def test_every_form_of_import_is_seen(statement, layers):
    assert imported_layers(statement, "graph") == layers
