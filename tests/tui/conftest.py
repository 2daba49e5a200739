"""Fixtures: a store with fixed runs, and a way to drive the TUI."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.trace.store import Store
from tests.support.traces import fixed


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Store]:
    """A store with fixed runs."""
    with fixed(tmp_path) as opened:
        yield opened
