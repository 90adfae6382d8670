"""``Plan.visualize()``: the optimized graph as a picture (SVG) or as Graphviz dot, without Graphviz being installed."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from .errors import ArgumentError, SinkError
from .explain import describe
from .flat import topological
from .node import Node
from .plan import Plan

_WIDTH, _HEIGHT, _GAP_X, _GAP_Y, _MARGIN = 300, 46, 24, 34, 16
_MAX_NODES = 2000
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def draw(plan: Plan, path: Any) -> str:
    """Write the picture; sources stand at the top, the result at the bottom, barriers are double-edged.

    Raises
    ------
    ArgumentError
        The suffix is neither .svg nor .dot, or the graph has more than 2000 nodes.
    SinkError
        The file cannot be written.
    """
    target = Path(path)
    nodes = topological(plan.root)
    if len(nodes) > _MAX_NODES:
        raise ArgumentError(f"a picture of {len(nodes)} nodes cannot be read; explain() lists them")
    writers = {".svg": _svg, ".dot": _dot}
    if target.suffix.lower() not in writers:
        raise ArgumentError(f"visualize() writes .svg or .dot, not {target.suffix or 'a file without suffix'!r}")
    try:
        target.write_text(writers[target.suffix.lower()](nodes, plan.given), encoding="utf-8")
    except OSError as error:
        raise SinkError(f"cannot write {target}: {error.strerror or error}") from error
    return str(target)


class _Slot(NamedTuple):
    """A place in a row: the box of a node, or the lane of its edge past a row to where it is used further down."""

    token: str
    row: int
    is_box: bool

    @property
    def width(self) -> int:
        return _WIDTH if self.is_box else 0


def _svg(nodes: list[Node], barriers: frozenset[str]) -> str:
    above = _slots(nodes)
    left = _placed(above)
    width = max(x + slot.width for slot, x in left.items()) + _MARGIN
    height = max(map(_top, left)) + _HEIGHT + _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}" font-family="sans-serif">',
        f'<rect width="{width:.0f}" height="{height}" fill="white"/>',
    ]
    for slot, sources in above.items():
        x, y = left[slot] + slot.width / 2, _top(slot)
        lane = "" if slot.is_box else f" V{y + _HEIGHT}"
        for source in sources:
            u, v = left[source] + source.width / 2, _top(source) + _HEIGHT
            middle = (v + y) / 2
            way = f"M{u:.1f},{v} C{u:.1f},{middle} {x:.1f},{middle} {x:.1f},{y}{lane}"
            parts.append(f'<path d="{way}" fill="none" stroke="#8899aa" stroke-width="1.5"/>')
    by_token = {node.token: node for node in nodes}
    for slot, x in left.items():
        if slot.is_box:
            parts += _box(by_token[slot.token], x, _top(slot), barrier=slot.token in barriers)
    return "\n".join([*parts, "</svg>\n"])


def _box(node: Node, x: float, y: int, *, barrier: bool) -> list[str]:
    fill = "#e3f1e6" if not node.inputs else "#fdeed9" if barrier else "#e8eff7"
    text = _told(node)
    shown = text if len(text) <= 46 else text[:45] + "…"
    inner = (
        f'<rect x="{x + 3:.1f}" y="{y + 3}" width="{_WIDTH - 6}" height="{_HEIGHT - 6}" rx="4" fill="none" stroke="#556677"/>'
    )
    return [
        f"<g><title>{escape(text)}</title>",
        f'<rect x="{x:.1f}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="6" fill="{fill}" stroke="#556677"/>',
        *([inner] if barrier else []),
        f'<text x="{x + 10:.1f}" y="{y + 19}" font-size="13" font-weight="bold" fill="#223344">{escape(node.name)}</text>',
        f'<text x="{x + 10:.1f}" y="{y + 36}" font-size="11" fill="#223344">{escape(shown)}</text></g>',
    ]


def _told(node: Node) -> str:
    """The node in one line, without the characters that no file of text may hold."""
    return _NOT_XML.sub("\ufffd", describe(node))


def _slots(nodes: list[Node]) -> dict[_Slot, list[_Slot]]:
    """Every slot with those of the row above that lead to it; a node's row is its longest way from a source."""
    row: dict[str, int] = {}
    lowest: dict[str, int] = {}
    for node in nodes:
        row[node.token] = 1 + max((row[child.token] for child in node.inputs), default=-1)
        for child in node.inputs:
            lowest[child.token] = max(lowest.get(child.token, 0), row[node.token] - 1)

    def at(token: str, level: int) -> _Slot:
        return _Slot(token, level, level == row[token])

    above: dict[_Slot, list[_Slot]] = {}
    for node in nodes:
        level = row[node.token]
        above[at(node.token, level)] = [at(token, level - 1) for token in dict.fromkeys(child.token for child in node.inputs)]
        for passed in range(level + 1, lowest.get(node.token, level) + 1):
            above[at(node.token, passed)] = [at(node.token, passed - 1)]
    return above


def _placed(above: dict[_Slot, list[_Slot]]) -> dict[_Slot, float]:
    """Left edges: each slot as far as there is room beneath the middle of those that lead to it."""
    rows: list[list[_Slot]] = [[] for _ in range(1 + max(slot.row for slot in above))]
    for slot in above:
        rows[slot.row].append(slot)
    left: dict[_Slot, float] = {}
    for slots in rows:
        wanted = {}
        for slot in slots:
            centres = [left[source] + source.width / 2 for source in above[slot]]
            wanted[slot] = sum(centres) / len(centres) - slot.width / 2 if centres else 0.0
        free = float(_MARGIN)
        for slot in sorted(slots, key=lambda slot: wanted[slot] + slot.width / 2):
            left[slot] = max(free, wanted[slot])
            free = left[slot] + slot.width + _GAP_X
    return left


def _top(slot: _Slot) -> int:
    return _MARGIN + slot.row * (_HEIGHT + _GAP_Y)


def _dot(nodes: list[Node], barriers: frozenset[str]) -> str:
    lines = ["digraph weft {", "  node [shape=box, fontname=sans];"]
    for node in nodes:
        label = f"{node.name}\n{_told(node)}".replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        edges = ", peripheries=2" if node.token in barriers else ""
        lines.append(f'  "{node.token}" [label="{label}"{edges}];')
        lines += [f'  "{child.token}" -> "{node.token}";' for child in node.inputs]
    return "\n".join([*lines, "}\n"])
