"""The zarr conventions of GeoZarr: which they are, and the attributes by which a group of levels names its parts.

Conventions are known by their uuid, which is permanent; the addresses name the version, v1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..graph.grid import Grid

_RAW = "https://raw.githubusercontent.com/{repository}/refs/tags/v1/schema.json"
_SPEC = "https://github.com/{repository}/blob/v1/README.md"
# name: (uuid, repository, description)
_CONVENTIONS = {
    "multiscales": ("d35379db-88df-4056-af3a-620245f8e347", "zarr-conventions/multiscales", "Levels of resolution"),
    "spatial:": ("689b58e2-cf7b-45e0-9fff-9cfc0883d6b4", "zarr-conventions/spatial", "Where pixels lie"),
    "proj:": ("f17cb550-5864-4468-aeb7-f3180cfb622f", "zarr-experimental/geo-proj", "The coordinate reference system"),
}


def multiscales(grids: Sequence[Grid], method: str) -> dict[str, Any]:
    """The attributes of a group whose children "0", "1", "2", ... are levels of one image.

    Parameters
    ----------
    grids : of the levels, finest first
    method : how a level is made, "average", ...
    """
    base = grids[0]
    layout: list[dict[str, Any]] = []
    for number, grid in enumerate(grids):
        ratio = ~base.transform @ grid.transform
        entry: dict[str, Any] = {"asset": str(number)}
        if number:
            entry["derived_from"] = "0"
            entry["resampling_method"] = method
        entry["transform"] = {"scale": [ratio.e, ratio.a], "translation": [ratio.f, ratio.c]}
        layout.append(entry | {"spatial:shape": list(grid.shape), "spatial:transform": list(grid.transform[:6])})
    attrs: dict[str, Any] = {
        "multiscales": {"layout": layout, "resampling_method": method},
        "spatial:dimensions": ["y", "x"],
        "spatial:bbox": list(base.bounds),
        "spatial:registration": "pixel",
    }
    if base.crs is not None:
        attrs["proj:code" if base.crs.count(":") == 1 else "proj:wkt2"] = base.crs
    used = [name for name in _CONVENTIONS if name != "proj:" or base.crs is not None]
    return {"zarr_conventions": [_convention(name) for name in used]} | attrs


def _convention(name: str) -> dict[str, str]:
    uuid, repository, description = _CONVENTIONS[name]
    return {
        "uuid": uuid,
        "name": name,
        "schema_url": _RAW.format(repository=repository),
        "spec_url": _SPEC.format(repository=repository),
        "description": description,
    }
