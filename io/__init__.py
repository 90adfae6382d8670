"""Every source and sink, found by looking: each module of this folder is one format, its ``__all__`` what it offers."""

from __future__ import annotations

from ..graph.discovery import offered

_offered = offered(__name__, __path__)
globals().update(_offered)
__all__ = list(_offered)
