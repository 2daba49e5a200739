"""Frames: rows for runs, events, calls, effects and verdicts, from the store without loading traces whole."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import sandbox
from sandbox.interop import frames
from sandbox.interop.exporters.exporter import exporter
from sandbox.interop.frame_rows import FRAMES, RUN
from sandbox.interop.importers.ingest import enter
from sandbox.isolation.base import Backend
from sandbox.sweeps.store import Sweeps
from sandbox.trace.annotations import annotate
from sandbox.trace.labels import Label, Labels
from sandbox.trace.purging import purge
from tests.support.databases import KINDS, database
from tests.support.import_files import MAILING
from tests.support.runner import SCENARIO

ROOT = Path(__file__).resolve().parents[2]
PEER = ROOT / ".cache" / "peers" / "bin" / "python"
SWEEP = {
    "schema": 1,
    "name": "nightly",
    "scenarios": [SCENARIO],
    "models": ["scripted/safe", "scripted/unsafe"],
    "repeat": 2,
    "isolation": "bubblewrap",
}
READ = {
    "runs": sandbox.runs_df,
    "events": sandbox.events_df,
    "calls": sandbox.calls_df,
    "effects": sandbox.effects_df,
    "verdicts": sandbox.verdicts_df,
}
INSPECT = """\
import sys, json
from inspect_ai.analysis import samples_df, events_df, EventInfo, EventTiming, ToolEventColumns
samples = samples_df(sys.argv[1], quiet=True)
tools = [c for c in ToolEventColumns if c.name not in ("tool_event_view", "tool_event_truncated")]
calls = events_df(sys.argv[1], columns=EventInfo + EventTiming + tools, quiet=True,
                  filter=lambda event: event.event == "tool")
print(json.dumps([json.loads(each.to_json(orient="records")) for each in (samples, calls)]))
"""
SAME_RUN = ("sample_id", "score_task", "score_safety", "total_tokens", "total_time")
SAME_CALL = (
    "event_id",
    "sample_id",
    "event",
    "timestamp",
    "completed",
    "working_time",
    "tool_event_result",
)


def fill(store: sandbox.Store) -> None:
    """Make a sweep, single runs of both modes, and imported ones."""
    here: dict[str, Any] = {"store": store, "workspace": ROOT}
    sandbox.sweep(SWEEP, **here)
    for mode in ("enforce", "observe"):
        sandbox.run(SCENARIO, model="scripted/unsafe", mode=mode, isolation="bubblewrap", **here)
    sandbox.run("oversight/audit-log", model="scripted/unsafe", isolation="bubblewrap", **here)
    enter(store, [MAILING])


@pytest.fixture(scope="session")
def made(backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a SQLite store that is filled."""
    folder = tmp_path_factory.mktemp("frames") / "filled"
    with sandbox.Store(str(folder / "runs.db")) as store:
        fill(store)
    return folder


@pytest.fixture(params=KINDS)
def filled(request: pytest.FixtureRequest, made: Path, tmp_path: Path) -> Iterator[sandbox.Store]:
    """A store with a sweep, single runs, and imported ones."""
    if request.param == "sqlite":
        shutil.copytree(made, tmp_path / "filled")
    with database(request.param, tmp_path / "filled") as url, sandbox.Store(url) as store:
        if request.param != "sqlite":
            fill(store)
        yield store


def contents(store: sandbox.Store, *kinds: str) -> list[Any]:
    """Return the data of all events of these kinds."""
    found = [event for row in store.runs() for event in store.events(row.id)]
    return [store.content(event) for event in found if event.kind in kinds]


def test_there_is_a_row_for_each(filled: sandbox.Store) -> None:
    """As many rows as the store has runs, events, calls, effects and verdicts, whatever they came from."""
    found = {name: read(store=filled) for name, read in READ.items()}
    effects = contents(filled, "tool.result", "tool.late", "container.close")
    assert {name: table.num_rows for name, table in found.items()} == {
        "runs": len(filled.runs()),
        "events": sum(row.events for row in filled.runs()),
        "calls": len(contents(filled, "tool.intent")),
        "effects": sum(len(data.get("effects", ())) for data in effects),
        "verdicts": len(contents(filled, "verdict")),
    }
    assert {row.origin for row in filled.runs()} == set(found["runs"]["origin"].to_pylist())


def test_rows_say_what_the_store_says(filled: sandbox.Store) -> None:
    """A run's row, its place in its sweep, and what became of its calls."""
    (sweep,) = Sweeps(filled).list()
    items = {str(item.run): item for item in Sweeps(filled).items(sweep.id)}
    for row in sandbox.runs_df(store=filled).to_pylist():
        run, item = filled.run(row["sample_id"]), items.get(row["sample_id"])
        assert (row["model"], row["score_task"], row["seed"]) == (run.model, run.task, run.seed)
        assert row["head"] == run.head
        place = (row["sweep"], row["sweep_name"], row["defence"], row["epoch"])
        expected = (sweep.id, "nightly", "scenario", item.repetition + 1) if item else (None,) * 4
        assert place == expected
    calls = sandbox.calls_df(store=filled).to_pylist()
    assert [c["tool_event_arguments"] for c in calls if c["decision"] == "block"]
    assert {call["status"] for call in calls} >= {"ok", "blocked"}
    for call in calls:
        intent = next(e for e in filled.events(call["sample_id"]) if e.seq == call["seq"])
        data = filled.content(intent)
        assert call["event_id"] == f"{call['sample_id']}-{call['seq']}"
        assert (call["tool_event_function"], call["tool_call_id"]) == (data["tool"], data["call"])
        assert json.loads(call["tool_event_arguments"]) == data["arguments"]
    spoken = {v["monitor"] for v in sandbox.verdicts_df(store=filled).to_pylist()}
    assert spoken == {data["monitor"] for data in contents(filled, "verdict")}
    kinds = set(sandbox.effects_df(store=filled)["kind"].to_pylist())
    assert {"world", "canary", "file"} <= kinds


def test_labels_are_columns(filled: sandbox.Store) -> None:
    """People's labels and imported ones; where people disagree the column is empty and the list is not."""
    own = next(row for row in filled.runs() if row.safety == "unsafe" and not row.origin)
    verdict = next(e.seq for e in filled.events(own.id) if e.kind == "verdict")
    annotate(
        filled,
        [
            Label(own.id, "outcome", "success", "person", "ada"),
            Label(own.id, "outcome", "success", "person", "bo"),
            Label(own.id, "harm", "2", "person", "ada"),
            Label(own.id, "harm", "3", "person", "bo"),
            Label(own.id, f"verdict@{verdict}", "correct", "person", "ada"),
        ],
    )
    (row,) = sandbox.runs_df(runs=own.id, store=filled).to_pylist()
    assert (row["label_outcome"], row["label_harm"]) == ("success", None)
    assert {(x["name"], x["value"], x["by"]) for x in row["labels"]} >= {
        ("harm", "2", "ada"),
        ("harm", "3", "bo"),
    }
    judged = sandbox.verdicts_df(runs=own.id, store=filled).to_pylist()
    assert [v["label_verdict"] for v in judged if v["seq"] == verdict] == ["correct"]
    events = sandbox.events_df(runs=own.id, store=filled)
    assert set(events["label_outcome"].to_pylist()) == {"success"}
    published = {
        label.run: label.value for label in Labels(filled).find(source="published", name="outcome")
    }
    for row in sandbox.runs_df(store=filled).to_pylist():
        assert row["label_outcome_published"] == published.get(row["sample_id"])


@pytest.mark.parametrize(
    "selection",
    [
        {"model": "scripted/unsafe"},
        {"model": ["scripted/safe", "scripted/unsafe"]},
        {"scenario": "injection/*"},
        {"family": "oversight"},
        {"origin": "inspect"},
        {"origin": ""},
        {"status": "finished"},
        {"since": 0, "until": "2000-01-01"},
        {"since": "2020-01-01T00:00:00+00:00"},
        {"sweep": "nightly"},
        {"sweep": "nightly", "model": "scripted/safe"},
    ],
    ids=str,
)
def test_what_is_selected(filled: sandbox.Store, selection: dict[str, Any]) -> None:
    """Filters hold together, for every frame alike."""
    filters = {"scenario": lambda v: v.startswith("injection/")}
    place = {str(item.run) for s in Sweeps(filled).list() for item in Sweeps(filled).items(s.id)}
    expected = set()
    for row in filled.runs():
        fits = row.id in place or "sweep" not in selection
        fits &= selection.get("until") is None
        for name in ("model", "family", "origin", "status"):
            wanted = selection.get(name, getattr(row, name))
            fits &= getattr(row, name) in ([wanted] if isinstance(wanted, str) else wanted)
        fits &= "scenario" not in selection or filters["scenario"](row.scenario)
        expected |= {row.id} if fits else set()
    assert set(sandbox.runs_df(store=filled, **selection)["sample_id"].to_pylist()) == expected
    events = sandbox.events_df(store=filled, columns=["sample_id"], **selection)
    assert set(events["sample_id"].to_pylist()) == expected


def test_runs_are_named_by_ids_beginnings_and_results(filled: sandbox.Store) -> None:
    """What a call of ``run`` returned can be handed to a frame."""
    results = sandbox.run(SCENARIO, model="scripted/safe", store=filled, workspace=ROOT)
    for named in (results, [results[0]], results[0].id, [results[0].id[:8]]):
        found = sandbox.runs_df(runs=named, store=filled)
        assert found["sample_id"].to_pylist() == [results[0].id]


@pytest.mark.parametrize(
    ("selection", "problem"),
    [
        ({"runs": "zzz"}, "no run 'zzz'"),
        ({"sweep": "nihgtly"}, "no sweep 'nihgtly' — did you mean 'nightly'?"),
        ({"since": "yesterday"}, "'yesterday' is no time"),
        ({"columns": ["modell"]}, "runs: no column 'modell' — did you mean 'model'?"),
        ({"modle": "x"}, "unknown option 'modle' — did you mean 'model'?"),
    ],
)
def test_what_names_nothing(filled: sandbox.Store, selection: dict[str, Any], problem: str) -> None:
    """A selection that cannot be meant is refused."""
    with pytest.raises(sandbox.InputError, match=problem):
        sandbox.runs_df(store=filled, **selection)


@pytest.mark.parametrize("name", FRAMES)
def test_an_empty_store_has_the_whole_schema(
    name: str, store: sandbox.Store, filled: sandbox.Store
) -> None:
    """An analysis that was written for a full store runs on an empty one."""
    empty, full = READ[name](store=store), READ[name](store=filled)
    assert empty.num_rows == 0
    assert list(empty.schema.names)[: len(RUN)] == list(RUN)
    assert set(empty.schema) == set(full.schema) - {
        field
        for field in full.schema
        if field.name.startswith("label_") and field.name not in empty.schema.names
    }
    assert list(empty.to_pandas().columns) == empty.schema.names


def test_columns_are_read_alone(filled: sandbox.Store) -> None:
    """Fewer columns hold the same values as all of them."""
    whole = sandbox.events_df(store=filled)
    for names in (["seq"], ["text", "sweep"], ["tool_event_function", "status"], ["data"]):
        assert (
            sandbox.events_df(store=filled, columns=names).to_pydict()
            == whole.select(names).to_pydict()
        )


def test_a_purged_run_has_its_row_and_its_tombstone(filled: sandbox.Store) -> None:
    """What is left of it is read like any other run."""
    row = next(row for row in filled.runs() if row.safety == "unsafe")
    purge(filled, [row], reason="a test", by="ada")
    (found,) = sandbox.runs_df(runs=row.id, store=filled).to_pylist()
    assert (found["status"], found["score_safety"]) == ("purged", "unsafe")
    assert sandbox.events_df(runs=row.id, store=filled)["event"].to_pylist() == ["run.purged"]
    assert sandbox.calls_df(runs=row.id, store=filled).num_rows == 0


def test_frames_come_in_batches(filled: sandbox.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many batches there are, they are the same table."""
    runs = [row.id for row in filled.runs()]
    for name in FRAMES:
        whole = pa.Table.from_batches(frames.batches(name, filled, runs))
        with monkeypatch.context() as patch:
            patch.setattr(frames, "_ROWS", 7)
            patch.setattr(frames, "_RUNS", 3)
            parts = list(frames.batches(name, filled, runs))
        assert max(part.num_rows for part in parts) <= 7
        assert pa.Table.from_batches(parts).to_pylist() == whole.to_pylist()


def test_polars_reads_them(filled: sandbox.Store) -> None:
    """The extra ``polars`` needs no copy in between."""
    import polars as pl

    frame = pl.from_arrow(sandbox.runs_df(store=filled))
    assert isinstance(frame, pl.DataFrame)
    assert frame.filter(pl.col("score_safety") == "unsafe").height >= 3


@pytest.mark.peers
def test_columns_are_those_of_inspect(filled: sandbox.Store, tmp_path: Path) -> None:
    """What Inspect's frames read from an exported log stands in ours under the same names."""
    if not PEER.exists():
        pytest.skip("Inspect is not installed beside: make bench-peers")
    path = tmp_path / "log.eval"
    rows = [row for row in filled.runs() if not row.origin]
    exporter("inspect")(filled, rows, str(path), lambda count: None)
    told = subprocess.run([PEER, "-c", INSPECT, path], capture_output=True, text=True, check=True)
    samples, calls = json.loads(told.stdout)
    assert _by(samples, SAME_RUN) == _by(
        sandbox.runs_df(store=filled, origin="").to_pylist(), SAME_RUN
    )
    assert _by(calls, SAME_CALL) == _by(
        sandbox.calls_df(store=filled, origin="").to_pylist(), SAME_CALL
    )


def _by(rows: list[dict[str, Any]], names: Sequence[str]) -> dict[str, list[Any]]:
    """Return the first column → all, moments as milliseconds; what is not known or empty is 0 there."""
    return {
        row[names[0]]: [
            int(row[name].timestamp() * 1000) if isinstance(row[name], datetime) else row[name] or 0
            for name in names
        ]
        for row in rows
    }
