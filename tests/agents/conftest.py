"""Fixtures of the tests of scaffolds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.scaffolds import Drivers, driver_in


@pytest.fixture
def driver(tmp_path: Path) -> Drivers:
    """A way to get a scaffold by name whose calls go through a defence."""
    return driver_in(tmp_path)
