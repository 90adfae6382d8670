"""VRT files from strangers: read as XML without entities, and kept to their own folder.

A VRT names other files, and GDAL opens whatever it names: any file of the machine, any URL. Before GDAL sees one, every
name in it is checked here; only plain files inside the VRT's folder pass, unless the caller allows more.
"""

from __future__ import annotations

import os
from pathlib import Path

from ..graph.errors import SourceError
from ..ops.strict_xml import read_strictly

_MAX_BYTES = 64 * 2**20
_MAX_DEPTH = 16
_HEAD_BYTES = 65536
# How files of GDAL formats begin that hold nothing but the places of others.
_LINKS = (b"<GDAL_WMS", b"<WMS_", b"<WCS_GDAL", b"<GDAL_WMTS", b"<GDALTileIndexDataset")
_LINK_HEAD_BYTES = 1024
# Elements whose text GDAL opens as a dataset or a file.
_NAMING = {"sourcefilename", "sourcedataset", "filename", "cutlinedsname", "dem", "demfilename", "gridfilename"}
# Key-value elements whose value GDAL opens, by their key.
_NAMING_KEYS = {"rpc_dem", "dem", "x_dataset", "y_dataset"}
_HINT = 'pass storage_options={"allow_outside": True} if you trust the file'


def check_vrt(path: str, *, folder: str | None = None, depth: int = 0) -> None:
    """Refuse a local VRT, or one that it names, that names a file outside its folder. Files of other formats pass.

    Raises
    ------
    SourceError
        The XML is malformed, holds a DTD or an entity, or a name in it leaves the folder.
    """
    file = Path(path)
    try:
        with file.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
        if any(mark in head[:_LINK_HEAD_BYTES] for mark in _LINKS):
            raise SourceError(f"{path}: describes a web service or an index of files elsewhere; {_HINT}")
        if b"<VRTDataset" not in head:
            return
        if file.stat().st_size > _MAX_BYTES:
            raise SourceError(f"{path}: a VRT of more than {_MAX_BYTES >> 20} MiB is not read")
        text = file.read_bytes()
    except OSError as error:
        if isinstance(error, SourceError):
            raise
        return
    if depth > _MAX_DEPTH:
        raise SourceError(f"{path}: VRTs name each other more than {_MAX_DEPTH} deep")
    home = os.path.realpath(folder or file.parent)
    for name, relative in named_files(text, path):
        target = os.path.realpath(os.path.join(file.parent, name) if relative else name)
        if not _is_plain(name) or not _is_inside(target, home):
            raise SourceError(f"{path}: names {name!r}, which lies outside its folder; {_HINT}")
        check_vrt(target, folder=home, depth=depth + 1)


def check_remote_vrt(text: bytes, uri: str) -> None:
    """The same for the text of a VRT that is not a local file: every name must be relative and stay beneath it.

    Raises
    ------
    SourceError
        As ``check_vrt``.
    """
    for name, relative in named_files(text, uri):
        if not relative or not _is_plain(name) or os.path.isabs(name) or os.path.normpath(name).split(os.sep)[0] == "..":
            raise SourceError(f"{uri}: names {name!r}, which lies outside its folder; {_HINT}")


def named_files(text: bytes, where: str) -> list[tuple[str, bool]]:
    """(name, relative to the VRT) of every file that the VRT's XML names.

    Raises
    ------
    SourceError
        The XML is malformed, or holds a DTD or an entity.
    """
    names: list[tuple[str, bool]] = []
    inside: list[tuple[str, bool, list[str]]] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        relative = attributes.get("relativeToVRT", attributes.get("relativetoVRT", "0")).strip() == "1"
        key = attributes.get("name", attributes.get("key", "")).lower()
        inside.append(("filename" if key in _NAMING_KEYS else tag.lower(), relative, []))

    def end(_: str) -> None:
        tag, relative, parts = inside.pop()
        if tag in _NAMING:
            names.append(("".join(parts).strip(), relative))

    def characters(part: str) -> None:
        if inside:
            inside[-1][2].append(part)

    read_strictly(text, lambda why: SourceError(f"{where}: {why}"), start=start, end=end, characters=characters)
    return names


def _is_plain(name: str) -> bool:
    """Whether GDAL takes ``name`` as the path of a file: no URL, /vsi path, connection string or inline XML."""
    return bool(name) and not name.startswith(("/vsi", "<", "{")) and ":" not in name


def _is_inside(target: str, home: str) -> bool:
    return os.path.commonpath([target, home]) == home
