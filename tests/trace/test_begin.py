"""A run and its first event enter the store together."""

from __future__ import annotations

from pathlib import Path

from sandbox.trace.recorder import Recorder
from sandbox.trace.run_events import RunStartEvent
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow
from tests.support.sample_events import START


def test_no_run_is_without_its_start(tmp_path: Path) -> None:
    """Until the first events are stored there is no run: a process killed before leaves none."""
    row = RunRow(
        id="a" * 12,
        scenario="x/y",
        family="x",
        model="m",
        isolation="i",
        mode="observe",
        lang="en",
        seed=0,
        status="running",
        owner="o",
        started=1.0,
    )
    with Store(str(tmp_path / "s.db")) as store:
        recorder = Recorder(store, row.id)
        recorder.record(RunStartEvent, **START)
        assert store.runs() == []
        recorder.begin(row)
        assert [item.id for item in store.runs()] == [row.id]
        assert [event.kind for event in store.events(row.id)] == ["run.start"]
