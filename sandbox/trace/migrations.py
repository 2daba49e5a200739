"""The schema's history, in order. A step that has been released is never changed.

Each step is a list of SQL statements that SQLite and PostgreSQL both take, with ``{bytes}`` where
the two name the type of binary data differently.
"""

from __future__ import annotations

import time

from sqlalchemy import Connection, inspect, text

STEPS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE run (
            id VARCHAR PRIMARY KEY, scenario VARCHAR NOT NULL, family VARCHAR NOT NULL,
            model VARCHAR NOT NULL, isolation VARCHAR NOT NULL, mode VARCHAR NOT NULL,
            lang VARCHAR NOT NULL, seed BIGINT NOT NULL, status VARCHAR NOT NULL,
            owner VARCHAR NOT NULL, started DOUBLE PRECISION NOT NULL, ended DOUBLE PRECISION,
            task VARCHAR, safety VARCHAR, result JSON,
            events INTEGER NOT NULL, head VARCHAR NOT NULL)""",
        """CREATE TABLE event (
            run VARCHAR NOT NULL, seq INTEGER NOT NULL, at DOUBLE PRECISION NOT NULL,
            kind VARCHAR NOT NULL, agent VARCHAR NOT NULL, data TEXT NOT NULL,
            previous VARCHAR NOT NULL, hash VARCHAR NOT NULL, PRIMARY KEY (run, seq))""",
        """CREATE TABLE blob (
            sha256 VARCHAR PRIMARY KEY, size BIGINT NOT NULL, packed {bytes} NOT NULL,
            packed_sha256 VARCHAR NOT NULL)""",
        "CREATE INDEX ix_run_scenario ON run (scenario)",
        "CREATE INDEX ix_run_family ON run (family)",
        "CREATE INDEX ix_run_model ON run (model)",
        "CREATE INDEX ix_run_status ON run (status)",
        "CREATE INDEX ix_run_started ON run (started)",
        "CREATE INDEX ix_run_safety ON run (safety)",
    ),
    (
        """CREATE TABLE label (
            run VARCHAR NOT NULL, name VARCHAR NOT NULL, source VARCHAR NOT NULL,
            "by" VARCHAR NOT NULL, value VARCHAR NOT NULL, at DOUBLE PRECISION NOT NULL,
            note TEXT NOT NULL, PRIMARY KEY (run, name, source, "by"))""",
        "CREATE INDEX ix_label_name ON label (name, source)",
    ),
    (
        "ALTER TABLE run ADD COLUMN origin VARCHAR NOT NULL DEFAULT ''",
        "CREATE INDEX ix_run_origin ON run (origin)",
    ),
)


def version(connection: Connection) -> int:
    """Return how many steps this store has made."""
    if not inspect(connection).has_table("migration"):
        return 0
    found = connection.execute(text("SELECT MAX(version) FROM migration")).scalar()
    return int(found or 0)


def migrate(connection: Connection) -> None:
    """Make the steps that this store has not made yet, inside the caller's transaction."""
    done = version(connection)
    if done == 0:
        connection.execute(
            text(
                "CREATE TABLE IF NOT EXISTS migration "
                "(version INTEGER PRIMARY KEY, at DOUBLE PRECISION NOT NULL)"
            )
        )
    kind = "BLOB" if connection.dialect.name == "sqlite" else "BYTEA"
    for number, statements in enumerate(STEPS[done:], start=done + 1):
        for statement in statements:
            connection.execute(text(statement.replace("{bytes}", kind)))
        connection.execute(
            text("INSERT INTO migration (version, at) VALUES (:version, :at)"),
            {"version": number, "at": time.time()},
        )
