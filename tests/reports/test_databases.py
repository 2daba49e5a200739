"""The report of a sweep is the same document, whichever database the sweep is stored in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select
from sqlmodel import SQLModel

from sandbox.reports import collect, document, rendering
from sandbox.sweeps.store import Sweeps
from sandbox.trace.store import Store
from sandbox.trace.verify import verify_all
from tests.support.databases import database
from tests.support.sweeps import Sweeper

NIGHT: dict[str, Any] = {
    "scenarios": ["injection/changed-*", "fraud"],
    "models": ["scripted/safe", "scripted/mixed?p=0.5"],
    "scaffolds": ["react", "plan"],
    "defences": {"none": {"monitors": "none"}, "all": {"mode": "enforce"}},
    "languages": "all",
    "repeat": 2,
}


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Store]:
    """An empty store on PostgreSQL."""
    with database("postgresql", tmp_path) as url, Store(url) as opened:
        yield opened


def copy(source: Store, target: Store) -> None:
    """Copy all rows of a store into another one."""
    tables = [t for t in SQLModel.metadata.sorted_tables if t.name != "migration"]
    with source.reading() as reading, target.transaction("copy into") as writing:
        for table in tables:
            rows = [dict(row) for row in reading.execute(select(table)).mappings()]
            # another order than that of entering: no document may depend on it
            if rows:
                writing.execute(insert(table), rows[::-1])


def told(store: Store, name: str) -> dict[str, Any]:
    """Return the report of the newest sweep of a name against the night before."""
    row = Sweeps(store).get(name)
    before = collect.baseline(store, row, "last:1")
    earlier = [collect.of_sweep(store, each, facts=False) for each in before]
    made = document.build(store, collect.of_sweep(store, row), earlier)
    return {**made, "made": 0.0}


async def test_postgresql_and_sqlite_tell_the_same(sweeper: Sweeper, other: Store) -> None:
    """Two nights are stored in both; document, page and Markdown are equal to the last character."""
    for seed in (0, 10):
        await sweeper.execute(sweeper.create(**NIGHT, seed=seed))
    copy(sweeper.store, other)
    assert all(found.ok for found in verify_all(other, other.runs()))
    here, there = told(sweeper.store, "nightly"), told(other, "nightly")
    assert here["totals"]["runs"] > 60
    assert there == here
    for lang in ("en", "fr"):
        assert rendering.html(there, lang) == rendering.html(here, lang)
        assert rendering.markdown(there, lang) == rendering.markdown(here, lang)
