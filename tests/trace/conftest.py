"""The store of these tests: SQLite, and PostgreSQL where there is a server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.trace.store import Store
from tests.support.databases import KINDS, database


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store; SQLite's file is ``runs.db`` in ``tmp_path``."""
    with database(request.param, tmp_path) as url, Store(url) as opened:
        yield opened
