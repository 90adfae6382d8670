from __future__ import annotations

import io
import sys
import threading

import pytest

import weft
from weft.progress import progress, quiet


def test_plain_lines_where_there_is_no_terminal(capsys):
    with progress(50, "reading") as advance:
        for _ in range(50):
            advance()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert lines[0].startswith("reading: 5/50")
    assert lines[-1].startswith("reading: 50/50")


def test_several_steps_at_once_and_few_steps(capsys):
    with progress(3, "few") as advance:
        advance(2)
        advance()
    assert [line.split(",")[0] for line in capsys.readouterr().err.splitlines()] == ["few: 2/3", "few: 3/3"]


def test_no_step_is_lost_between_threads(capsys):
    with progress(4000, "threads") as advance:
        threads = [threading.Thread(target=lambda: [advance() for _ in range(1000)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert capsys.readouterr().err.splitlines()[-1].startswith("threads: 4000/4000")


def test_quiet(capsys):
    with quiet(5, "nothing") as advance:
        advance()
        advance(4)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_bar_in_a_terminal(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress(4, "weaving") as advance:
        for _ in range(4):
            advance()
    assert "weaving" in terminal.getvalue()
    assert "4/4" in terminal.getvalue()


@pytest.mark.parametrize("finalize", ["to_zarr", "to_png"])
def test_finalizers_advance_once_per_chunk(raster, tmp_path, capsys, finalize):
    target = tmp_path / ("out.zarr" if finalize == "to_zarr" else "out.png")
    getattr(raster, finalize)(target, progress=weft.progress)
    last = capsys.readouterr().err.splitlines()[-1]
    done, total = last.split(": ")[1].split(",")[0].split("/")
    assert done == total
