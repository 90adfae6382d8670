from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import rasterio
from PIL import Image
from typer.testing import CliRunner

import weft
from weft.cli import app, main


@pytest.fixture
def run(capsys):
    """Run the command line as a user does: exit code, stdout, stderr."""

    def call(*arguments):
        with pytest.raises(SystemExit) as exit_:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return exit_.value.code or 0, captured.out, captured.err

    return call


def test_info(run, scene):
    code, out, err = run("info", scene)
    assert (code, err) == (0, "")
    for part in ("4 x 256 x 256", "uint16", "red, green, blue, nir", "EPSG:32633"):
        assert part in out


def test_info_as_json(run, scene):
    code, out, _ = run("info", scene, "--json")
    described = json.loads(out)
    assert code == 0
    assert described["shape"] == [4, 256, 256]
    assert described["bands"] == ["red", "green", "blue", "nir"]
    assert described["crs"] == "EPSG:32633"
    assert described["nodata"] == 0


def test_info_as_json_has_a_word_for_nan(run, tmp_path):
    path = tmp_path / "nan.tif"
    profile = {"driver": "GTiff", "width": 4, "height": 3, "count": 1, "dtype": "float32", "nodata": np.nan}
    with rasterio.open(path, "w", crs="EPSG:3857", transform=rasterio.Affine(1, 0, 5, 0, -1, 5), **profile) as target:
        target.write(np.ones((1, 3, 4), np.float32))
    _, out, _ = run("info", path, "--json")
    assert json.loads(out, parse_constant=pytest.fail)["nodata"] == "nan"


def test_explain_reads_nothing_and_writes_nothing(run, scene, tmp_path):
    code, out, _ = run("explain", scene, "--bands", "red,1", "--crs", "EPSG:3857", "--resolution", "20", "--dra")
    assert code == 0
    assert "EPSG:3857" in out
    assert "histogram" in out
    assert not list(tmp_path.iterdir())


def test_explain_takes_a_graph(run, scene, tmp_path):
    path = tmp_path / "graph.json"
    path.write_text(weft.open(scene).crop(window=(0, 50, 0, 60)).to_json())
    code, out, _ = run("explain", path, "--chunks", "25,30")
    assert code == 0
    assert "25 x 30" in out


def test_convert_to_zarr(run, scene, tmp_path):
    store = tmp_path / "out.zarr"
    options = ["--bands", "blue,red", "--window", "64,192,64,200", "--crs", "EPSG:3857", "--resolution", "12,15"]
    code, out, err = run("convert", scene, store, *options, "--resampling", "nearest", "--dtype", "float32", "--chunks", "64")
    assert (code, out.strip()) == (0, str(store))
    assert "/" in err.splitlines()[-1]
    expected = weft.open(scene).select(["blue", "red"]).crop(window=(64, 192, 64, 200))
    expected = expected.warp("EPSG:3857", resolution=(12, 15), resampling="nearest").astype("float32")
    read = weft.open(store)
    assert read.grid.same_pixels(expected.grid)
    np.testing.assert_array_equal(read.to_numpy(fill=-1), expected.to_numpy(fill=-1))


def test_convert_to_png(run, scene, tmp_path):
    picture = tmp_path / "out.png"
    bounds = weft.open(scene).grid.crop(weft.Region(60, 160, 60, 180)).bounds
    options = ["--bands", "red,green,blue", "--bounds", ",".join(map(str, bounds)), "--bounds-crs", "EPSG:32633"]
    code, _, err = run("convert", scene, picture, *options, "--stretch", "1,99", "--quiet")
    assert (code, err) == (0, "")
    with Image.open(picture) as image:
        assert image.size == (120, 100)


def test_convert_does_not_overwrite_unasked(run, scene, tmp_path):
    for target in (tmp_path / "out.zarr", tmp_path / "out.png"):
        options = ["--bands", "red", "--dra", "--quiet"]
        assert run("convert", scene, target, *options)[0] == 0
        code, _, err = run("convert", scene, target, *options)
        assert code == 2
        assert str(target) in err
        assert run("convert", scene, target, *options, "--overwrite")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["info", "missing.tif"], "missing.tif"),
        (["convert", "SCENE", "out.tif"], ".zarr"),
        (["convert", "SCENE", "out.zarr", "--bands", "purple"], "purple"),
        (["convert", "SCENE", "out.zarr", "--bounds", "1,2,3"], "4 numbers"),
        (["convert", "SCENE", "out.zarr", "--bounds", "1,2,3,nan"], "4 numbers"),
        (["convert", "SCENE", "out.zarr", "--bounds", "0,0,1,1"], "bounds"),
        (["convert", "SCENE", "out.zarr", "--window", "0,9,0,9", "--bounds", "0,0,1,1"], "exclude"),
        (["convert", "SCENE", "out.zarr", "--dra", "--stretch", "2,98"], "exclude"),
        (["convert", "SCENE", "out.zarr", "--crs", "EPSG:999999"], "EPSG:999999"),
        (["convert", "SCENE", "out.zarr", "--dtype", "colour"], "colour"),
        (["convert", "SCENE", "out.zarr", "--chunks", "0"], "chunk"),
        (["convert", "SCENE", "out.zarr", "--resampling", "magic"], "--resampling"),
        (["convert", "SCENE", "out.png", "--chunks", "64"], "PNG"),
        (["explain", "missing.json"], "missing.json"),
        (["demo", "--size", "5", "--out", "OUT"], "64"),
        (["demo", "--scene", "missing.tif", "--out", "OUT"], "missing.tif"),
        (["convert", "SCENE"], "DST"),
        (["explode"], "explode"),
        (["demo", "--size", "huge"], "--size"),
    ],
)
def test_an_error_is_one_line_and_exit_code_2(run, scene, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*[{"SCENE": scene, "OUT": tmp_path / "out"}.get(argument, argument) for argument in arguments])
    assert code == 2
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert words in err
    assert not (tmp_path / "out.zarr").exists()
    assert not (tmp_path / "out.png").exists()


def test_debug_shows_the_traceback(scene):
    with pytest.raises(weft.BandError):
        main(["convert", str(scene), "out.zarr", "--bands", "purple", "--debug"])


def test_an_unexpected_error_is_named(run, scene, monkeypatch):
    def broken(*args, **kwargs):
        raise RuntimeError("two\nlines")

    monkeypatch.setattr("weft.cli.open_raster", broken)
    assert run("info", scene) == (2, "", "error: RuntimeError: two lines (--debug shows where)\n")


def test_interrupted(run, scene, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("weft.cli.open_raster", interrupt)
    assert run("info", scene) == (130, "", "")


def test_help_names_every_command():
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    for command in ("info", "explain", "convert", "demo"):
        assert command in result.output


def test_version(run):
    assert run("--version") == (0, f"weft {weft.__version__}\n", "")


def test_as_a_process():
    result = subprocess.run([sys.executable, "-m", "weft", "info", "missing.tif"], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1


def test_demo(run, tmp_path):
    code, out, err = run("demo", "--size", "256", "--out", tmp_path)
    assert code == 0
    for part in ("plan", "EPSG:3857", str(tmp_path / "demo.zarr"), str(tmp_path / "demo.png")):
        assert part in out
    assert err
    store = weft.open(tmp_path / "demo.zarr")
    assert store.bands == ("red", "green", "blue")
    assert store.dtype == np.uint8
    assert store.crs.to_epsg() == 3857
    with Image.open(tmp_path / "demo.png") as picture:
        assert np.asarray(picture)[..., :3].std() > 20
    again = run("demo", "--scene", tmp_path / "scene-256.tif", "--out", tmp_path, "--quiet")
    assert again == (0, "", "")


def test_pyramid(run, scene, tmp_path):
    store = tmp_path / "p.zarr"
    code, out, err = run("pyramid", scene, store, "--method", "sips", "--min-size", "100", "--bands", "red,nir")
    assert code == 0
    assert "sips, 3 levels" in out
    assert out.splitlines()[-1] == str(store)
    assert "writing levels 0 to 2" in err
    expected = weft.open(scene, bands=["red", "nir"]).pyramid("sips", 100)
    for k, level in enumerate(expected):
        np.testing.assert_array_equal(weft.open(store / str(k)).to_numpy(), level.to_numpy())


def test_pyramid_without_the_image_itself(run, scene, tmp_path):
    store = tmp_path / "p.zarr"
    assert run("pyramid", scene, store, "--min-size", "100", "--reduced-only", "-q") == (0, f"{store}\n", "")
    assert weft.open(store).shape == (4, 128, 128)
    code, _, err = run("pyramid", scene, tmp_path / "q.zarr", "--min-size", "1000", "--reduced-only")
    assert (code, "no reduced levels" in err) == (2, True)


def test_convert_with_reduced_levels(run, scene, tmp_path):
    store = tmp_path / "p.zarr"
    assert run("convert", scene, store, "--pyramid", "average", "-q")[0] == 0
    np.testing.assert_array_equal(weft.open(store / "1").to_numpy(), weft.open(scene).halve("average").to_numpy())
    code, _, err = run("convert", scene, tmp_path / "a.png", "--pyramid", "average")
    assert (code, "one level" in err) == (2, True)
