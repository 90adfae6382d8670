from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest

from weft.graph.errors import ArgumentError, SinkError
from weft.graph.grid import Grid
from weft.graph.node import Meta, Node, Source, operation
from weft.graph.plan import make_plan

SVG = "{http://www.w3.org/2000/svg}"


@operation("test-draw-label")
@dataclass(frozen=True, eq=False)
class Label(Source):
    text: str

    def _meta(self) -> Meta:
        return Meta(Grid((4, 5), None, "EPSG:4326"), ("a",), np.dtype("u1"))


def tree(ops: SimpleNamespace) -> Node:
    image = ops.Noise((60, 70))
    shared = ops.Stencil(image, 1)
    return ops.Add(ops.Centre(ops.Plus(shared, 1), ops.Half(ops.Total(image))), shared)


def boxes(root: ElementTree.Element) -> dict[str, tuple[float, float, float, float]]:
    """(left, top, right, bottom) of each node's box by its title."""
    found = {}
    for group in root.iter(f"{SVG}g"):
        rect = group.find(f"{SVG}rect")
        title = group.findtext(f"{SVG}title")
        name = group.findtext(f"{SVG}text")
        assert rect is not None
        x, y, w, h = (float(rect.get(key, "nan")) for key in ("x", "y", "width", "height"))
        found[f"{name} {title}"] = (x, y, x + w, y + h)
    return found


def test_the_picture_has_a_box_a_node_and_its_lines(ops: SimpleNamespace, tmp_path: Path) -> None:
    plan = make_plan(tree(ops))
    path = tmp_path / "graph.svg"
    assert plan.visualize(path) == str(path)
    root = ElementTree.parse(path).getroot()
    found = boxes(root)
    assert len(found) == plan.optimized.after == 7
    assert found["test-half -> 1 x 1 int64"][1] > found["test-total -> 1 x 1 int64"][1]
    doubled = [group for group in root.iter(f"{SVG}g") if len(group.findall(f"{SVG}rect")) == 2]
    assert [group.findtext(f"{SVG}text") for group in doubled] == ["test-total", "test-half"]


def test_nothing_overlaps_and_all_is_on_the_sheet(ops: SimpleNamespace, tmp_path: Path) -> None:
    nodes: list[Node] = [ops.Noise(), ops.Noise(seed=1)]
    for k in range(25):
        nodes.append(ops.Add(ops.Plus(nodes[k * 7 % len(nodes)], k), nodes[-1 - k * 5 % len(nodes)]))
    root = nodes[-1]
    for node in nodes[:-1]:
        root = ops.Add(root, node)
    path = tmp_path / "graph.svg"
    make_plan(root).visualize(path)
    svg = ElementTree.parse(path).getroot()
    width, height = float(svg.get("width", 0)), float(svg.get("height", 0))
    found = list(boxes(svg).values())
    for k, (left, top, right, bottom) in enumerate(found):
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        for other in found[k + 1 :]:
            assert right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top
    # Lines start and end at boxes or lanes; where one runs straight down past a row it runs past no box.
    for line in svg.iter(f"{SVG}path"):
        numbers = [float(number) for number in re.findall(r"-?[\d.]+", line.get("d", ""))]
        if len(numbers) == 9:
            x, top, bottom = numbers[6:9]
            assert not any(left < x < right and y0 < bottom and top < y1 for left, y0, right, y1 in found)


@pytest.mark.parametrize("text", ["<&>\"'", "\x00\x1b[31m", "\ud800", "line\nbreak", "é" * 30, "a\\b", "]]>"])
def test_any_text_makes_a_picture_that_parses(text: str, tmp_path: Path) -> None:
    plan = make_plan(Label(text))
    root = ElementTree.parse(plan.visualize(tmp_path / "graph.svg")).getroot()
    (title,) = (element.text for element in root.iter(f"{SVG}title"))
    assert title is not None
    assert title.endswith("-> 4 x 5 uint8 EPSG:4326")
    dot = Path(plan.visualize(tmp_path / "graph.dot")).read_text(encoding="utf-8")
    (label,) = re.findall(r'label="((?:[^"\\]|\\.)*)"', dot)
    assert "\n" not in label
    assert label.startswith("test-draw-label\\n")


def test_long_texts_are_cut_but_told_by_the_title(ops: SimpleNamespace, tmp_path: Path) -> None:
    path = make_plan(ops.Noise()).visualize(tmp_path / "graph.svg")
    texts = [element.text or "" for element in ElementTree.parse(path).getroot().iter(f"{SVG}text")]
    assert all(len(text) <= 46 for text in texts)
    assert "40 x 50 int64" in Path(path).read_text()


def test_dot_names_every_node_and_edge(ops: SimpleNamespace, tmp_path: Path) -> None:
    plan = make_plan(tree(ops))
    text = Path(plan.visualize(str(tmp_path / "graph.DOT"))).read_text()
    assert text.startswith("digraph weft {")
    assert text.count("label=") == 7
    assert text.count(' -> "') == 8
    assert text.count("peripheries=2") == 2


def test_what_cannot_be_drawn_is_refused(ops: SimpleNamespace, tmp_path: Path) -> None:
    plan = make_plan(ops.Noise())
    for name in ("graph.png", "graph", "graph.svg.txt"):
        with pytest.raises(ArgumentError, match=r"\.svg or \.dot"):
            plan.visualize(tmp_path / name)
    with pytest.raises(SinkError, match=r"cannot write .*nowhere"):
        plan.visualize(tmp_path / "nowhere" / "graph.svg")
    node = ops.Noise()
    for k in range(2000):
        node = ops.Plus(node, k)
    with pytest.raises(ArgumentError, match="2001 nodes cannot be read"):
        make_plan(node).visualize(tmp_path / "graph.svg")
    assert list(tmp_path.iterdir()) == []


def test_the_largest_graph_that_can_be_drawn(ops: SimpleNamespace, tmp_path: Path) -> None:
    node = source = ops.Noise()
    for _ in range(1999):
        node = ops.Add(node, source)
    root = ElementTree.parse(make_plan(node).visualize(tmp_path / "graph.svg")).getroot()
    assert len(list(root.iter(f"{SVG}g"))) == 2000
