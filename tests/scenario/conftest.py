"""A workspace for one test, whose tools and monitors are the repository's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace of its own."""
    return Workspace(tmp_path)
