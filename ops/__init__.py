"""Every operation, found by looking: each module of this folder is one, and its ``__all__`` is what it offers.

A function here takes whatever holds a node first (a ``Raster``, a ``Node``) and gives back the same kind of thing;
``weft.ops.warp(r, "EPSG:3857")`` and ``r.warp("EPSG:3857")`` are one.
"""

from __future__ import annotations

from ..graph.discovery import offered

_offered = offered(__name__, __path__)
globals().update(_offered)
__all__ = list(_offered)
