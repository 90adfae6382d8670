from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from affine import Affine

import weft
from weft.graph.node import Node


def parsed(raster):
    html = raster._repr_html_()
    return ElementTree.fromstring(f"<html>{html}</html>"), html


def test_text(raster):
    text = repr(raster)
    for part in ("(3, 40, 50) uint16", "red, green, blue", "EPSG:32633", "10 x 10", "nodata     0", "1 of 3 x 40 x 50"):
        assert part in text


def test_html_is_well_formed_and_says_the_same(raster):
    root, html = parsed(raster)
    cells = [cell.text for cell in root.iter("td")]
    for part in ("3 x 40 x 50 (band, y, x)", "uint16", "red, green, blue", "EPSG:32633"):
        assert part in cells
    assert "currentColor" in html  # takes the page's colours, dark or light
    assert len(list(root.iter("svg"))) == 1


def test_names_from_files_are_escaped():
    raster = weft.from_array(np.zeros((1, 4, 4)), bands=["<script>alert(1)</script>"])
    root, html = parsed(raster)
    assert "<script>" not in html
    assert any("<script>" in (cell.text or "") for cell in root.iter("td"))


@pytest.mark.parametrize(
    "transform",
    [
        Affine.identity(),
        Affine(1, 0, 5, 0, 1, 5),
        Affine.rotation(30),
        Affine(2, 0, 0, 0, -1, 0),
        Affine(-1, 0.2, 0, 0.1, 1, 9),
    ],
)
def test_the_footprint_lies_inside_its_drawing(transform):
    root, _ = parsed(weft.from_array(np.zeros((1, 30, 70)), transform=transform, crs="EPSG:3857"))
    (svg,) = root.iter("svg")
    (polygon,) = root.iter("polygon")
    points = [tuple(map(float, point.split(","))) for point in polygon.get("points").split()]
    assert len(points) == 4
    assert all(0 <= x <= float(svg.get("width")) + 1 and 0 <= y <= float(svg.get("height")) + 1 for x, y in points)


def test_many_chunks_are_thinned_out(raster):
    wide = raster.pad((0, 60_000))
    assert len(parsed(wide)[1]) < 5000


def test_nothing_is_read(scene, monkeypatch):
    raster = weft.open(scene).warp("EPSG:3857")

    def refuse(*args):
        raise AssertionError("a repr must not read")

    for cls in Node.__subclasses__():
        monkeypatch.setattr(cls, "kernel", refuse)
    assert repr(raster)
    assert raster._repr_html_()


def test_preview(scene, raster):
    picture = weft.open(scene).preview(100)
    assert picture.mode == "RGBA"
    assert picture.size == (100, 100)
    pixels = np.asarray(picture)
    assert (pixels[0, -1, 3], pixels[50, 50, 3]) == (0, 255)  # outside the footprint, and inside
    assert pixels[..., :3].std() > 10


def test_preview_of_one_complex_band():
    data = (np.arange(600).reshape(1, 20, 30) * (1 + 1j)).astype(np.complex64)
    picture = np.asarray(weft.from_array(data).preview())
    assert picture.shape == (20, 30, 4)
    np.testing.assert_array_equal(picture[..., 0], picture[..., 2])
    assert picture[0, 0, 0] < picture[-1, -1, 0]


@pytest.mark.parametrize(("path", "said"), [("odc-geo/au-gcp.tif", "24 GCPs"), ("rioxarray/test_rpcs.tif", "RPCs")])
def test_what_places_an_image_without_a_transform(shared_data, path, said):
    raster = weft.open(shared_data / "geotiff" / path)
    assert re.search(rf"^  georeference +{said}$", repr(raster), re.MULTILINE)


def test_a_plain_image_has_no_georeference_row(raster):
    assert "georeference" not in repr(raster)
