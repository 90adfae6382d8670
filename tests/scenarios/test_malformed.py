"""Damaged files through the command line: exit code 2 and one line, never a traceback, a crash or half a result."""

from __future__ import annotations

import pytest

import weft
from weft.cli import main

# What each file comes to: the exit codes of `info`, which reads the header alone, and of `convert`, which reads pixels.
FILES = {
    "empty.tif": (2, 2),
    "good_reference.tif": (0, 0),
    "header_only.tif": (2, 2),
    "huge_dimensions.tif": (2, 2),
    "ifd_loop.tif": (0, 0),  # its first image is whole
    "ifd_offset_past_eof.tif": (2, 2),
    "text.tif": (2, 2),
    "tile_offset_past_eof.tif": (0, 2),
    "tilewidth_zero.tif": (2, 2),
    "truncated_half.tif": (0, 2),
}


@pytest.fixture
def run(capfd):
    """Run the command line: exit code, and what came to stdout and stderr, from C libraries too."""

    def call(*arguments):
        with pytest.raises(SystemExit) as exit_:
            main([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return exit_.value.code or 0, captured.out, captured.err

    return call


def assert_told(result, code, path):
    """Code 0 and no word on stderr, or code 2 and one line that names the file."""
    assert result[0] == code
    if code == 0:
        assert result[2] == ""
        return
    assert result[1] == ""
    assert result[2].startswith("error: ")
    assert result[2].count("\n") == 1
    assert str(path) in result[2]
    assert "Traceback" not in result[2]


def test_the_list_is_complete(shared_data):
    assert {path.name for path in (shared_data / "geotiff" / "malformed").iterdir()} == set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_info(run, shared_data, name):
    path = shared_data / "geotiff" / "malformed" / name
    assert_told(run("info", path), FILES[name][0], path)


@pytest.mark.parametrize("suffix", [".zarr", ".png"])
@pytest.mark.parametrize("name", FILES)
def test_convert(run, shared_data, tmp_path, name, suffix):
    path = shared_data / "geotiff" / "malformed" / name
    target = tmp_path / f"out{suffix}"
    code = FILES[name][1]
    assert_told(run("convert", path, target, "--quiet"), code, path)
    assert [found.name for found in tmp_path.iterdir()] == ([target.name] if code == 0 else [])


@pytest.mark.parametrize("name", [name for name, (info, convert) in FILES.items() if (info, convert) == (0, 2)])
def test_what_is_whole_of_a_damaged_file_is_read(shared_data, name):
    """And the damaged part is an error each time it is asked for, not once."""
    folder = shared_data / "geotiff" / "malformed"
    damaged, good = weft.open(folder / name), weft.open(folder / "good_reference.tif")
    assert damaged.grid == good.grid
    for _ in range(2):
        with pytest.raises(weft.SourceError, match=name):
            damaged.to_numpy()
