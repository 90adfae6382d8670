"""What a package offers, on one made for the test."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from weft.graph.discovery import offered


def test_what_modules_list_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "offering_package"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "one.py").write_text("__all__ = ['one', 'two']\none, two, three = 1, 2, 3\n")
    (folder / "silent.py").write_text("four = 4\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert offered("offering_package", [str(folder)]) == {"one": 1, "two": 2}
    assert "offering_package.silent" in sys.modules
