"""Databases that tests may fill: a SQLite file, or a schema of their own on a PostgreSQL server.

The server's URL is in ``SANDBOX_TEST_POSTGRES``; without it, tests on PostgreSQL are skipped
visibly, and fail in CI.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

VARIABLE = "SANDBOX_TEST_POSTGRES"
KINDS = ("sqlite", "postgresql")


@contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """Give the URL of an empty database.

    Args:
        kind: One of :data:`KINDS`.
        folder: Where a file may be made: ``runs.db``.
    """
    if kind == "sqlite":
        yield str(folder / "runs.db")
        return
    server = os.environ.get(VARIABLE)
    if not server:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must name a PostgreSQL server in {VARIABLE}")
        pytest.skip(f"no PostgreSQL server: {VARIABLE} is not set")
    url = make_url(server).set(drivername="postgresql+psycopg")
    schema = f"test_{secrets.token_hex(6)}"
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            connection.execute(text(f"CREATE SCHEMA {schema}"))
        own = url.update_query_dict({"options": f"-c search_path={schema}"})
        yield own.render_as_string(hide_password=False)
    finally:
        with engine.begin() as connection:
            connection.execute(text(f"DROP SCHEMA IF EXISTS {schema} CASCADE"))
        engine.dispose()
