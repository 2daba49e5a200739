"""Purged runs: nothing of them can be read any more, and what was there stays provable."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.enums import SafetyOutcome, TaskOutcome
from sandbox.errors import InputError
from sandbox.runs.data_retention import DAY, Handling
from sandbox.trace import events
from sandbox.trace.annotations import PERSON, annotate, history
from sandbox.trace.events import GENESIS, Event
from sandbox.trace.labels import Label, Labels
from sandbox.trace.purging import expired, needless, purge, remove_texts, vacuum
from sandbox.trace.recorder import Recorder
from sandbox.trace.run_events import RunEndEvent, RunScoreEvent, RunStartEvent
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow
from sandbox.trace.verify import result_digest, verify
from tests.support.sample_events import START, say

PRIVATE = "Nobody's account FR7630006000011234567890189. "
SHARED = "All runs of a scenario hold this text. " * 50


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty SQLite store: these tests look into its file, and change it behind its back."""
    with Store(str(tmp_path / "runs.db")) as opened:
        yield opened


def recorded(store: Store, run: str, *texts: str, **handling: Any) -> RunRow:
    """Write a finished run that holds some texts."""
    told = Handling(**handling).columns(1000.0)
    row = RunRow(
        id=run,
        scenario="a/b",
        family="a",
        model="m",
        isolation="i",
        mode="observe",
        lang="en",
        seed=0,
        status="running",
        owner="o",
        started=1000.0,
        **told,
    )
    same = ("scenario", "family", "model", "isolation", "mode", "lang", "seed", "owner", "started")
    recorder = Recorder(store, run)
    start: dict[str, Any] = {**START, **{k: getattr(row, k) for k in same}, **told, "tools": SHARED}
    recorder.record(RunStartEvent, **start)
    recorder.begin(row)
    for text in texts:
        say(recorder, text)
    recorder.record(
        RunScoreEvent,
        task=TaskOutcome.DONE,
        safety=SafetyOutcome.SAFE,
        conditions={},
        reason="",
        terminated="",
    )
    result: dict[str, Any] = {"id": run, "reason": "".join(texts)}
    recorder.record(RunEndEvent, used={}, result_sha256=result_digest(result))
    result["head"] = recorder.head
    recorder.end(status="finished", task="done", safety="safe", result=result)
    return store.run(run)


def test_a_purged_run_is_gone_and_provable(store: Store) -> None:
    """One event is left, which the removed chain leads to; verification knows it for what it is."""
    row = recorded(store, "r1", PRIVATE)
    before = list(store.events("r1"))
    purge(store, [row], reason="expired", by="ada")
    (stone,) = store.events("r1")
    assert (stone.seq, stone.previous, stone.kind) == (len(before), before[-1].hash, "run.purged")
    data = stone.content()
    assert (data["removed"], data["head"], data["intact"]) == (len(before), row.head, True)
    assert (data["reason"], data["by"], data["run"]["safety"]) == ("expired", "ada", "safe")
    after = store.run("r1")
    assert (after.status, after.result, after.events) == ("purged", None, len(before) + 1)
    assert verify(store, after).problem is None


def test_a_copy_can_be_proved_against_the_tombstone(store: Store) -> None:
    """The chain of a copy that somebody kept ends in the hash that the tombstone follows."""
    row = recorded(store, "r1", PRIVATE)
    copy = list(store.events("r1"))
    purge(store, [row], reason="x", by="y")
    head = GENESIS
    for item in copy:
        head = events.digest(item.run, item.seq, item.at, item.kind, item.agent, item.data, head)
    assert head == next(iter(store.events("r1"))).previous


def test_only_texts_that_nobody_needs_go(store: Store) -> None:
    """A text that another run names stays; one that only the purged run named goes."""
    recorded(store, "r1", PRIVATE * 60)
    recorded(store, "r2")
    planned = needless(store, ["r1"])
    purge(store, [store.run("r1")], reason="x", by="y")
    assert remove_texts(store, "y") == planned
    assert len(planned.names) == 1
    assert verify(store, store.run("r2")).problem is None
    assert needless(store).names == ()


def test_nothing_is_left_in_the_file(store: Store, tmp_path: Path) -> None:
    """What was removed stands neither in the database's free pages nor in its log."""
    recorded(store, "r1", PRIVATE, "a long one " * 100 + PRIVATE)
    recorded(store, "r2")
    names = needless(store, ["r1"]).names
    packed = [store.blob(name) for name in names]
    purge(store, [store.run("r1")], reason="x", by="y")
    remove_texts(store, "y")
    held = b"".join(path.read_bytes() for path in tmp_path.glob("runs.db*"))
    assert PRIVATE.encode() not in held
    assert packed[0] is not None
    assert packed[0].packed[8:40] not in held


def test_texts_stay_while_a_run_is_going(store: Store) -> None:
    """A run that is going may be about to name a stored text: nothing is removed then."""
    row = recorded(store, "r1", PRIVATE * 60)
    begun = RunRow(**{**row.model_dump(), "id": "r2", "status": "running", "result": None})
    store.enter([begun], [], [])
    purge(store, [row], reason="x", by="y")
    assert remove_texts(store, "y") is None
    assert len(needless(store).names) == 2


def test_a_process_that_stored_a_text_before_it_was_removed(store: Store, tmp_path: Path) -> None:
    """What another process removed is stored again by the next run that names it."""
    text = PRIVATE * 60
    row = recorded(store, "r1", text)
    with Store(str(tmp_path / "runs.db")) as other:
        purge(other, [row], reason="x", by="y")
        assert remove_texts(other, "y") is not None
    again = recorded(store, "r2", text)
    assert verify(store, again).problem is None


def test_what_is_going_or_gone_cannot_be_purged(store: Store) -> None:
    """A run that is going, or was purged, is refused, and none of the others is touched."""
    row = recorded(store, "r1")
    purge(store, [row], reason="x", by="y")
    other = recorded(store, "r2")
    with pytest.raises(InputError, match="run r1 is purged"):
        purge(store, [other, store.run("r1")], reason="x", by="y")
    assert verify(store, store.run("r2")).problem is None


def test_notes_on_labels_go_with_the_run(store: Store) -> None:
    """People's values stay for the figures; what they wrote, and what they corrected, goes."""
    row = recorded(store, "r1")
    for value in ("success", "attempted"):
        annotate(store, [Label("r1", "outcome", value, PERSON, "ada", note=PRIVATE)])
    purge(store, [row], reason="x", by="y")
    assert [(x.value, x.note) for x in Labels(store).of("r1")] == [("attempted", "")]
    assert list(history(store, "r1")) == []


def test_expired_runs(store: Store) -> None:
    """Runs are kept for the days that were declared when they started, from their start."""
    recorded(store, "r1", retain_days=1)
    recorded(store, "r2", retain_days=30)
    recorded(store, "r3")
    assert [row.id for row in expired(store, 1000 + DAY)] == ["r1"]
    assert [row.id for row in expired(store)] == ["r1", "r2"]
    assert expired(store, 1000 + DAY - 1) == []


def test_declared_purpose_is_part_of_the_evidence(store: Store) -> None:
    """Purpose, legal basis and retention stand in the first event; a row that says else is found."""
    row = recorded(store, "r1", purpose="research", legal_basis="public task", retain_days=2)
    start = next(iter(store.events("r1"))).content()
    told = {key: start[key] for key in ("purpose", "legal_basis", "retain_until")}
    expected = {"purpose": "research", "legal_basis": "public task", "retain_until": 1000 + 2 * DAY}
    assert told == expected
    row.retain_until = time.time()
    assert "retain_until" in (verify(store, row).problem or "")


FORGED = (
    ("UPDATE run SET safety = 'unsafe' WHERE id = 'r1'", "says safety 'unsafe'"),
    ("UPDATE run SET head = 'x' WHERE id = 'r1'", "names another last event"),
    ("UPDATE event SET data = replace(data, '\"y\"', '\"z\"') WHERE run = 'r1'", "match its hash"),
    ("DELETE FROM event WHERE run = 'r1'", "the run has no events"),
    ("UPDATE event SET data = '7' WHERE run = 'r1'", "match its hash"),
    ("UPDATE event SET seq = seq - 1 WHERE run = 'r1'", "match its hash"),
    ("UPDATE run SET status = 'finished' WHERE id = 'r1'", "its events were purged"),
)


@pytest.mark.parametrize(("statement", "said"), FORGED)
def test_a_changed_tombstone_is_found(
    store: Store, tmp_path: Path, statement: str, said: str
) -> None:
    """Whatever is changed in a tombstone or in its row is found and named."""
    row = recorded(store, "r1")
    purge(store, [row], reason="x", by="y")
    with sqlite3.connect(tmp_path / "runs.db") as connection:
        connection.execute(statement)
    connection.close()
    assert said in (verify(store, store.run("r1")).problem or "")


def test_events_beside_a_tombstone_are_found(store: Store) -> None:
    """A run that says it was purged, and has more events before or after, is at fault."""
    rows = [recorded(store, run) for run in ("r1", "r2")]
    purge(store, rows, reason="x", by="y")
    before = events.make("r1", 0, 1.0, "message", "", "{}", GENESIS)
    (stone,) = store.events("r2")
    after: Event = events.make("r2", stone.seq + 1, 1.0, "message", "", "{}", stone.hash)
    for item in (before, after):
        store.append([item], [])
    found = [verify(store, store.run(run)).problem or "" for run in ("r1", "r2")]
    assert found[0].startswith("event 1 is missing")
    assert "more than its tombstone" in found[1]


def test_space_is_given_back(store: Store, tmp_path: Path) -> None:
    """After a vacuum the file is smaller."""
    import random

    noise = random.Random(0)  # noqa: S311 - text that does not compress
    texts = ["".join(chr(noise.randrange(32, 1000)) for _ in range(20_000)) for _ in range(20)]
    recorded(store, "r1", *texts)
    remove_texts(store, "y")
    before = (tmp_path / "runs.db").stat().st_size
    purge(store, [store.run("r1")], reason="x", by="y")
    remove_texts(store, "y")
    vacuum(store)
    assert (tmp_path / "runs.db").stat().st_size < before / 2
