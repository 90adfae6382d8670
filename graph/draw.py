"""``Plan.visualize()``: the optimized graph as a picture (SVG) or as Graphviz dot, without Graphviz being installed."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from .errors import ArgumentError
from .explain import describe
from .flat import topological
from .node import Node
from .plan import Plan

_WIDTH, _HEIGHT, _GAP_X, _GAP_Y, _MARGIN = 300, 46, 24, 34, 16
_MAX_NODES = 2000


def draw(plan: Plan, path: Any) -> str:
    """Write the picture; sources stand at the top, the result at the bottom, barriers are double-edged.

    Raises
    ------
    ArgumentError
        The suffix is neither .svg nor .dot, or the graph has more than 2000 nodes.
    """
    target = Path(path)
    nodes = topological(plan.root)
    if len(nodes) > _MAX_NODES:
        raise ArgumentError(f"a picture of {len(nodes)} nodes cannot be read; explain() lists them")
    writers = {".svg": _svg, ".dot": _dot}
    if target.suffix.lower() not in writers:
        raise ArgumentError(f"visualize() writes .svg or .dot, not {target.suffix or 'a file without suffix'!r}")
    target.write_text(writers[target.suffix.lower()](nodes, plan.given), encoding="utf-8")
    return str(target)


def _svg(nodes: list[Node], barriers: frozenset[str]) -> str:
    places = _places(nodes)
    width = max(x for x, _ in places.values()) + _WIDTH + _MARGIN
    height = max(y for _, y in places.values()) + _HEIGHT + _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for node in nodes:
        x, y = places[node.token]
        for child in node.inputs:
            u, v = places[child.token]
            x1, y1, x2, y2 = u + _WIDTH / 2, v + _HEIGHT, x + _WIDTH / 2, y
            middle = (y1 + y2) / 2
            parts.append(
                f'<path d="M{x1},{y1} C{x1},{middle} {x2},{middle} {x2},{y2}" fill="none" stroke="#8899aa" stroke-width="1.5"/>'
            )
    for node in nodes:
        parts += _box(node, *places[node.token], barrier=node.token in barriers)
    return "\n".join([*parts, "</svg>\n"])


def _box(node: Node, x: int, y: int, *, barrier: bool) -> list[str]:
    fill = "#e3f1e6" if not node.inputs else "#fdeed9" if barrier else "#e8eff7"
    text = describe(node)
    shown = text if len(text) <= 46 else text[:45] + "…"
    box = f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="6" fill="{fill}" stroke="#556677"/>'
    inner = f'<rect x="{x + 3}" y="{y + 3}" width="{_WIDTH - 6}" height="{_HEIGHT - 6}" rx="4" fill="none" stroke="#556677"/>'
    return [
        f"<g><title>{escape(text)}</title>",
        box,
        *([inner] if barrier else []),
        f'<text x="{x + 10}" y="{y + 19}" font-size="13" font-weight="bold" fill="#223344">{escape(node.name)}</text>',
        f'<text x="{x + 10}" y="{y + 36}" font-size="11" fill="#223344">{escape(shown)}</text></g>',
    ]


def _places(nodes: list[Node]) -> dict[str, tuple[int, int]]:
    """Upper left corners: a row per longest way from a source, nodes of a row side by side."""
    level: dict[str, int] = {}
    filled: dict[int, int] = {}
    places: dict[str, tuple[int, int]] = {}
    for node in nodes:
        row = level[node.token] = 1 + max((level[child.token] for child in node.inputs), default=-1)
        col = filled.get(row, 0)
        filled[row] = col + 1
        places[node.token] = (_MARGIN + col * (_WIDTH + _GAP_X), _MARGIN + row * (_HEIGHT + _GAP_Y))
    return places


def _dot(nodes: list[Node], barriers: frozenset[str]) -> str:
    lines = ["digraph weft {", "  node [shape=box, fontname=sans];"]
    for node in nodes:
        label = f"{node.name}\n{describe(node)}".replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        edges = ", peripheries=2" if node.token in barriers else ""
        lines.append(f'  "{node.token}" [label="{label}"{edges}];')
        lines += [f'  "{child.token}" -> "{node.token}";' for child in node.inputs]
    return "\n".join([*lines, "}\n"])
