"""A store that version 0.1.0 wrote, before events had classes: all that reads or continues runs works on it.

It holds a run that was blocked, a team, hosts of a network, commands, two forks (one with a replaced result), three
imported runs, a pseudonymised copy, a run that was purged and one that was killed.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.isolation.bubblewrap import Bubblewrap
from sandbox.monitors import offline
from sandbox.monitors.library import MonitorLibrary
from sandbox.trace import blobs
from sandbox.trace.events import digest
from sandbox.trace.store import Store
from sandbox.trace.verify import verify_all
from tests.support.cli import command
from tests.support.trace_schema import problems

STORE = Path(__file__).parent / "data" / "store-0.1.db.gz"
BLOCKED, NETWORK, TEAM, COMMANDS = "0f23f30e", "ded03304", "35086893", "9c7f4459"
REWRITTEN, PURGED = "b9f70010", "7b7855ac"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The store's file."""
    found = tmp_path / "old.db"
    found.write_bytes(gzip.decompress(STORE.read_bytes()))
    return found


@pytest.fixture
def old(path: Path) -> Iterator[Store]:
    """The store, opened."""
    with Store(str(path)) as store:
        yield store


def document(path: Path, *words: str) -> Any:
    """Return the JSON document that a command prints of the store."""
    done = command("--store", str(path), *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_event_is_as_it_was(old: Store) -> None:
    """Chains and rows are sound, and what is read comes to the same bytes and hashes when it is made again."""
    rows = old.runs()
    assert [found.problem for found in verify_all(old, rows)] == [None] * 13
    for row in rows:
        for item in old.events(row.id):
            assert blobs.as_text(old.content(item), lambda raw, sha256: None) == item.data
            fields = (item.run, item.seq, item.at, item.kind, item.agent, item.data, item.previous)
            assert digest(*fields) == item.hash


def test_every_event_is_as_its_class_says(old: Store) -> None:
    """What was written before there were classes is what they describe."""
    assert [line for row in old.runs() for line in problems(old, row.id)] == []


def test_runs_are_listed_shown_and_proved(path: Path) -> None:
    """``list``, ``show`` and ``verify`` know every run by its origin and end."""
    runs = document(path, "runs", "list")["runs"]
    assert Counter(run["status"] for run in runs) == {"finished": 11, "interrupted": 1, "purged": 1}
    assert Counter(run["origin"] for run in runs) == {"": 9, "inspect": 3, "pseudonymised": 1}
    for run in runs:
        assert document(path, "runs", "show", run["id"])["run"]["id"] == run["id"]
    found = document(path, "runs", "verify")["runs"]
    assert [each["ok"] for each in found] == [True] * 13


@pytest.mark.parametrize("run", [BLOCKED, NETWORK, TEAM, COMMANDS, REWRITTEN, PURGED])
def test_a_run_is_replayed(path: Path, run: str) -> None:
    """Every event is told, as JSON and as text; nothing is odd to this version."""
    events = document(path, "replay", run)["events"]
    done = command("--store", str(path), "replay", run)
    assert done.returncode == 0, done.stderr
    assert all(event["kind"] in done.stdout for event in events)
    assert "not as this version writes it" not in done.stdout


@pytest.mark.skipif(Bubblewrap().unavailable() is not None, reason="no bubblewrap here")
@pytest.mark.parametrize(("run", "at"), [(BLOCKED, 20), (NETWORK, 23), (TEAM, 62), (COMMANDS, 13)])
def test_a_run_is_forked(path: Path, run: str, at: int) -> None:
    """The world is rebuilt from the record, and comes out as recorded. Tools may have changed since."""
    words = ("fork", run, "--at", str(at), "--isolation", "bubblewrap", "--anyway")
    replay = document(path, *words)["replay"]
    assert (replay["agrees"], replay["difference"]) == (True, None)


@pytest.mark.parametrize("form", ["pack", "jsonl", "inspect"])
def test_runs_are_exported(path: Path, tmp_path: Path, form: str) -> None:
    """Whole, as evidence, as lines and as a log of another program."""
    target = tmp_path / {"pack": "all.pack.zip", "jsonl": "all.jsonl", "inspect": "all.eval"}[form]
    done = command(
        "--store", str(path), "runs", "export", BLOCKED, TEAM, "--format", form, "--to", str(target)
    )
    assert done.returncode == 0, done.stderr
    assert target.stat().st_size > 1000


def test_monitors_judge_it(path: Path) -> None:
    """``monitor score`` asks all monitors about runs with labels, and none fails."""
    found = document(path, "monitor", "score", "--labels", "person")["monitors"]
    assert {(each["positives"], each["negatives"], each["unscored"]) for each in found} == {
        (4, 3, 0)
    }


async def test_monitors_say_the_same(old: Store, library: MonitorLibrary) -> None:
    """Asked again, the library's monitors see what they saw then: the canary, the alias, the script."""
    said = {}
    for run in (BLOCKED, NETWORK, TEAM, COMMANDS):
        row = old.run(run)
        events = [(item, old.content(item)) for item in old.events(row.id)]
        found = await offline.review(events, [m for f in library.choose(None) for m in f.monitors])
        said[run] = {opinion.monitor.name for _, opinion in found if opinion.verdict}
        then = {data["monitor"] for item, data in events if item.kind == "verdict"}
        assert {name for name in then if not name.startswith("scenario.")} <= said[run]
        assert not [opinion for _, opinion in found if opinion.failure]
    assert all(said.values())
