"""The schema's history, in order. A step that has been released is never changed.

Each step is a list of SQL statements that SQLite and PostgreSQL both take, with ``{bytes}`` and
``{serial}`` where the two name the type of binary data and of counted keys differently.
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
    (
        """CREATE TABLE sweep (
            id VARCHAR PRIMARY KEY, name VARCHAR NOT NULL, created DOUBLE PRECISION NOT NULL,
            status VARCHAR NOT NULL, reason VARCHAR NOT NULL, spec JSON NOT NULL,
            scenarios JSON NOT NULL, planned BIGINT NOT NULL, seconds DOUBLE PRECISION NOT NULL,
            ended DOUBLE PRECISION)""",
        """CREATE TABLE sweep_item (
            sweep VARCHAR NOT NULL, key VARCHAR NOT NULL, number BIGINT NOT NULL,
            scenario VARCHAR NOT NULL, family VARCHAR NOT NULL, benign BOOLEAN NOT NULL,
            model VARCHAR NOT NULL, provider VARCHAR NOT NULL, defence VARCHAR NOT NULL,
            monitors JSON, mode VARCHAR NOT NULL, lang VARCHAR NOT NULL,
            parameters VARCHAR NOT NULL, params JSON NOT NULL, repetition INTEGER NOT NULL,
            seed BIGINT NOT NULL, status VARCHAR NOT NULL, run VARCHAR, attempts INTEGER NOT NULL,
            failures INTEGER NOT NULL, task VARCHAR, safety VARCHAR, tokens BIGINT NOT NULL,
            cost_eur DOUBLE PRECISION NOT NULL, energy_kwh DOUBLE PRECISION NOT NULL, seconds DOUBLE PRECISION NOT NULL,
            PRIMARY KEY (sweep, key))""",
        """CREATE TABLE sweep_claim (
            name VARCHAR PRIMARY KEY, sweep VARCHAR NOT NULL, owner VARCHAR NOT NULL,
            beat DOUBLE PRECISION NOT NULL)""",
        "CREATE INDEX ix_sweep_name ON sweep (name, created)",
        "CREATE INDEX ix_sweep_item_next ON sweep_item (sweep, status, provider, number)",
        "CREATE INDEX ix_sweep_item_number ON sweep_item (sweep, number)",
        "CREATE INDEX ix_sweep_item_run ON sweep_item (run)",
    ),
    (
        "ALTER TABLE run ADD COLUMN parent VARCHAR",
        "ALTER TABLE run ADD COLUMN fork_at INTEGER",
        "CREATE INDEX ix_run_parent ON run (parent)",
    ),
    (
        """CREATE TABLE label_past (
            id {serial}, run VARCHAR NOT NULL, name VARCHAR NOT NULL, source VARCHAR NOT NULL,
            "by" VARCHAR NOT NULL, value VARCHAR NOT NULL, at DOUBLE PRECISION NOT NULL,
            note TEXT NOT NULL, replaced DOUBLE PRECISION NOT NULL)""",
        "CREATE INDEX ix_label_past_run ON label_past (run)",
    ),
    (
        "ALTER TABLE run ADD COLUMN purpose VARCHAR",
        "ALTER TABLE run ADD COLUMN legal_basis VARCHAR",
        "ALTER TABLE run ADD COLUMN retain_until DOUBLE PRECISION",
        "CREATE INDEX ix_run_retain_until ON run (retain_until)",
        """CREATE TABLE removal (
            id {serial}, at DOUBLE PRECISION NOT NULL, "by" VARCHAR NOT NULL,
            texts INTEGER NOT NULL, bytes BIGINT NOT NULL)""",
    ),
    (
        "ALTER TABLE run ADD COLUMN scaffold VARCHAR NOT NULL DEFAULT 'react'",
        "UPDATE run SET scaffold = '' WHERE origin <> ''",
        "ALTER TABLE sweep_item ADD COLUMN scaffold VARCHAR NOT NULL DEFAULT 'react'",
    ),
    (
        "ALTER TABLE sweep_item ADD COLUMN judge_tokens INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE sweep_item ADD COLUMN judge_cost_eur DOUBLE PRECISION NOT NULL DEFAULT 0",
    ),
)

_LOCK = 0x5A4DB0C5
"""Number of the lock under which processes take turns to migrate; any, but always the same."""


def version(connection: Connection) -> int:
    """Return how many steps this store has made."""
    if not inspect(connection).has_table("migration"):
        return 0
    found = connection.execute(text("SELECT MAX(version) FROM migration")).scalar()
    return int(found or 0)


def migrate(connection: Connection) -> None:
    """Make the steps that this store has not made yet, inside the caller's transaction."""
    if connection.dialect.name == "postgresql":  # SQLite's caller has the write lock already
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
    done = version(connection)
    if done == 0:
        connection.execute(
            text(
                "CREATE TABLE IF NOT EXISTS migration "
                "(version INTEGER PRIMARY KEY, at DOUBLE PRECISION NOT NULL)"
            )
        )
    sqlite = connection.dialect.name == "sqlite"
    kind = "BLOB" if sqlite else "BYTEA"
    serial = "INTEGER PRIMARY KEY" if sqlite else "SERIAL PRIMARY KEY"
    for number, statements in enumerate(STEPS[done:], start=done + 1):
        for statement in statements:
            made = statement.replace("{bytes}", kind).replace("{serial}", serial)
            connection.execute(text(made))
        connection.execute(
            text("INSERT INTO migration (version, at) VALUES (:version, :at)"),
            {"version": number, "at": time.time()},
        )
