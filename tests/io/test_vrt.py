"""VRTs that name what they must not, and those that are fine."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from weft.graph.errors import SourceError
from weft.io.registry import open_source
from weft.io.vrt import check_remote_vrt


def vrt(name: str, relative: int = 1, tag: str = "SourceFilename", head: str = "") -> str:
    return (
        f'{head}<VRTDataset rasterXSize="4" rasterYSize="4"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        f'<{tag} relativeToVRT="{relative}">{name}</{tag}><SourceBand>1</SourceBand>'
        "</SimpleSource></VRTRasterBand></VRTDataset>"
    )


@pytest.fixture
def picture(write_tif):
    return write_tif(np.full((1, 4, 4), 9, np.uint8), "inner/a.tif")


def test_file_beside_the_vrt(picture, read):
    path = picture.parent / "ok.vrt"
    path.write_text(vrt("a.tif"))
    assert (read(open_source(path)).data == 9).all()
    path.write_text(vrt(str(picture), relative=0))
    assert (read(open_source(path)).data == 9).all()


@pytest.mark.parametrize(
    "name",
    [
        "../secret.tif",
        "/etc/passwd",
        "/vsicurl/http://localhost/x.tif",
        "http://localhost/x.tif",
        "NETCDF:x.nc:v",
        "&lt;VRTDataset/&gt;",
        "",
    ],
)
def test_names_outside_are_refused(picture, name):
    path = picture.parent / "bad.vrt"
    path.write_text(vrt(name))
    with pytest.raises(SourceError, match=r"bad\.vrt: names"):
        open_source(path)


def test_suffix_does_not_matter(picture):
    path = picture.parent / "looks_like.tif"
    path.write_text(vrt("../secret.tif"))
    with pytest.raises(SourceError, match="outside its folder"):
        open_source(path)


def test_caller_may_allow_it(write_tif, picture, read):
    write_tif(np.full((1, 4, 4), 5, np.uint8), "secret.tif")
    path = picture.parent / "trusted.vrt"
    path.write_text(vrt("../secret.tif"))
    assert (read(open_source(path, storage_options={"allow_outside": True})).data == 5).all()


def test_vrt_within_a_vrt_is_looked_into(picture):
    (picture.parent / "deep.vrt").write_text(vrt("../../secret.tif"))
    path = picture.parent / "outer.vrt"
    path.write_text(vrt("deep.vrt"))
    with pytest.raises(SourceError, match=r"deep\.vrt: names"):
        open_source(path)


def test_vrts_that_name_each_other_end(picture):
    (picture.parent / "b.vrt").write_text(vrt("a.vrt"))
    path = picture.parent / "a.vrt"
    path.write_text(vrt("b.vrt"))
    with pytest.raises(SourceError, match="deep"):
        open_source(path)


def test_link_that_leaves_the_folder(write_tif, picture):
    write_tif(np.zeros((1, 4, 4), np.uint8), "secret.tif")
    (picture.parent / "link.tif").symlink_to("../secret.tif")
    path = picture.parent / "link.vrt"
    path.write_text(vrt("link.tif"))
    with pytest.raises(SourceError, match="outside its folder"):
        open_source(path)


@pytest.mark.parametrize("head", ['<!DOCTYPE a [<!ENTITY x "y">]>', '<!DOCTYPE a SYSTEM "http://localhost/a.dtd">'])
def test_document_types_and_entities_are_refused(picture, head):
    path = picture.parent / "entity.vrt"
    path.write_text(vrt("a.tif", head=head))
    with pytest.raises(SourceError, match="document type"):
        open_source(path)


def test_broken_xml(picture):
    path = picture.parent / "broken.vrt"
    path.write_text("<VRTDataset><unclosed>")
    with pytest.raises(SourceError, match="malformed XML"):
        open_source(path)


@pytest.mark.parametrize("tag", ["SourceDataset", "sourcefilename"])
def test_other_elements_that_name_files(picture, tag):
    path = picture.parent / "warped.vrt"
    path.write_text(vrt("/etc/passwd", relative=0, tag=tag))
    with pytest.raises(SourceError, match="outside its folder"):
        open_source(path)


@pytest.mark.parametrize("tag", ["GDAL_WMS", "GDALTileIndexDataset"])
def test_files_that_only_point_elsewhere(tmp_path, tag):
    path = tmp_path / "service.xml"
    path.write_text(f"<{tag}><ServerUrl>http://localhost:9/x</ServerUrl></{tag}>")
    with pytest.raises(SourceError, match="elsewhere"):
        open_source(path)


def test_vrt_in_an_archive(write_tif, picture, tmp_path, read):
    write_tif(np.zeros((1, 4, 4), np.uint8), "secret.tif")
    (picture.parent / "ok.vrt").write_text(vrt("a.tif"))
    (picture.parent / "bad.vrt").write_text(vrt(str(tmp_path / "secret.tif"), relative=0))
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", picture.parent)
    assert (read(open_source(f"/vsizip/{archive}/ok.vrt")).data == 9).all()
    with pytest.raises(SourceError, match="outside its folder"):
        open_source(f"/vsizip/{archive}/bad.vrt")


def test_text_that_is_no_local_file():
    check_remote_vrt(vrt("tiles/a.tif").encode(), "http://localhost/a.vrt")
    for name, relative in [("../a.tif", 1), ("a.tif", 0), ("/etc/passwd", 1)]:
        with pytest.raises(SourceError, match="outside its folder"):
            check_remote_vrt(vrt(name, relative).encode(), "http://localhost/a.vrt")
    with pytest.raises(SourceError, match="inline VRT"):
        open_source(vrt("/etc/passwd", relative=0))
