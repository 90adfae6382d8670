"""Fixtures for every test."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# What a test takes is the machine's business: kernels compile when they are first called.
settings.register_profile("weft", deadline=None)
settings.load_profile("weft")

SHARED = Path(__file__).resolve().parent.parent.parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real files that lies beside a developer's checkout; tests that use it skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("no real data beside this checkout")
    return SHARED
