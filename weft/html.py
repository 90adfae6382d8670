"""How a raster shows itself: as text, and as HTML in a notebook. Neither reads a pixel; ``preview`` does, a few."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
from PIL import Image

from .graph.chunks import choose_chunks
from .graph.explain import size
from .graph.flat import topological
from .graph.grid import short_crs
from .graph.node import Meta, Node
from .io.numpy_sink import to_numpy
from .ops.arithmetic import apply_ufunc
from .ops.display import shown_bands
from .ops.scale import scale
from .ops.select import select
from .ops.stretch import stretch

_DRAWING = 120  # pixels along the longer side
_MOST_LINES = 24

_STYLE = (
    ".weft{font:13px/1.5 system-ui,sans-serif;display:flex;gap:1.5em;align-items:flex-start;flex-wrap:wrap;color:inherit}"
    ".weft table{border-collapse:collapse;margin:0}"
    ".weft th{text-align:left;font-weight:600;padding:0 1em 0 0;vertical-align:top;opacity:.7}"
    ".weft td{text-align:left;padding:0;font-variant-numeric:tabular-nums}"
    ".weft svg{stroke:currentColor;fill:currentColor}"
)


def raster_text(node: Node) -> str:
    """Several lines: shape and dtype, then whatever else is known."""
    meta = node.meta
    shape = (len(meta.bands), *meta.grid.shape)
    known = facts(node)
    width = max(len(name) for name, _ in known)
    rows = "\n".join(f"  {name:<{width}} {value}" for name, value in known)
    return f"<weft.Raster {shape} {meta.dtype}>\n{rows}"


def raster_html(node: Node) -> str:
    """A table beside a drawing of footprint and chunks; takes the colours of the page around it, dark or light."""
    meta = node.meta
    first = [
        ("shape", f"{len(meta.bands)} x {meta.grid.shape[0]} x {meta.grid.shape[1]} (band, y, x)"),
        ("dtype", str(meta.dtype)),
    ]
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in [*first, *facts(node)])
    return f'<style>{_STYLE}</style><div class="weft"><table>{rows}</table>{_drawing(meta)}</div>'


def facts(node: Node) -> list[tuple[str, str]]:
    """(name, value) of what is worth showing beyond shape and dtype, as text."""
    meta, grid = node.meta, node.meta.grid
    x, y = grid.resolution
    left, bottom, right, top = grid.bounds
    heights, widths = choose_chunks(meta)
    count = len(heights) * len(widths)
    stored = size(len(meta.bands) * grid.region.size * meta.dtype.itemsize)
    georeference = _georeference(meta.attrs)
    return [
        ("bands", _shortened(meta.bands)),
        ("CRS", short_crs(grid.crs) if grid.crs else "none"),
        *([("georeference", georeference)] if georeference else []),
        ("resolution", f"{x:.10g} x {y:.10g}"),
        ("bounds", f"{left:.10g}, {bottom:.10g}, {right:.10g}, {top:.10g}"),
        ("nodata", ("none" if meta.nodata is None else str(meta.nodata)) + (", may be masked" if meta.masked else "")),
        ("chunks", f"{count} of {len(meta.bands)} x {heights[0]} x {widths[0]}, {stored} in all"),
        ("graph", f"{len(topological(node))} nodes, last {node.name}"),
    ]


def _shortened(names: tuple[str, ...], most: int = 12) -> str:
    return ", ".join(names[:most]) + (f", ... ({len(names)})" if len(names) > most else "")


def _georeference(attrs: Mapping[str, Any]) -> str:
    """What else than a transform places the image, so that one without a CRS is not taken for one that lies nowhere."""
    points = attrs.get("gcps")
    known = [f"{len(points)} GCPs"] if isinstance(points, (list, tuple)) and points else []
    return ", ".join(known + ["RPCs"] * bool(attrs.get("rpcs")))


def _drawing(meta: Meta) -> str:
    """The footprint as it lies on the ground, north up, with its chunks; an SVG."""
    grid = meta.grid
    left, bottom, right, top = grid.bounds
    north_up = grid.crs is not None or grid.transform.e < 0
    scale = _DRAWING / max(right - left, top - bottom)

    def place(col: float, row: float) -> str:
        x, y = grid.transform @ (col, row)
        return f"{(x - left) * scale + 2:.1f},{((top - y) if north_up else (y - bottom)) * scale + 2:.1f}"

    rows, cols = grid.shape
    outline = " ".join(place(col, row) for col, row in ((0, 0), (cols, 0), (cols, rows), (0, rows)))
    heights, widths = choose_chunks(meta)
    lines = [f"M{place(0, row)} L{place(cols, row)}" for row in _edges(heights)]
    lines += [f"M{place(col, 0)} L{place(col, rows)}" for col in _edges(widths)]
    width, height = (right - left) * scale + 4, (top - bottom) * scale + 4
    return (
        f'<svg width="{width:.0f}" height="{height:.0f}" role="img" aria-label="footprint and chunks">'
        f'<polygon points="{outline}" fill-opacity="0.08" stroke-width="1.5"/>'
        f'<path d="{" ".join(lines)}" fill="none" stroke-width="0.5" stroke-opacity="0.5"/></svg>'
    )


def _edges(lengths: tuple[int, ...]) -> list[int]:
    """Inner chunk borders, thinned out where they would run together."""
    edges: list[int] = []
    position = 0
    for length in lengths[:-1]:
        position += length
        edges.append(position)
    return edges[:: max(1, -(-len(edges) // _MOST_LINES))]


def preview(node: Node, size: int) -> Image.Image:
    """The image as a small stretched picture; reads the cheapest overview that serves."""
    meta = node.meta
    factor = size / max(meta.grid.shape)
    small = scale(node, factor) if factor < 1 else node
    small = select(small, shown_bands(meta))
    if meta.dtype.kind == "c":
        small = apply_ufunc("absolute", small)
    pixels = to_numpy(small if meta.dtype == np.uint8 else stretch(small), masked=True)
    alpha = np.where(np.ma.getmaskarray(pixels).any(axis=0), 0, 255).astype(np.uint8)
    colours = np.broadcast_to(np.ma.getdata(pixels), (3, *alpha.shape))
    return Image.fromarray(np.ascontiguousarray(np.moveaxis(np.concatenate([colours, alpha[None]]), 0, -1)), "RGBA")
