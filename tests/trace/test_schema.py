"""The JSON Schema of a trace: what runs record is what it says, and it refuses what no run records."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from sandbox.interop.importers.ingest import enter
from sandbox.privacy.pseudonymization import pseudonymised
from sandbox.privacy.pseudonyms import Pseudonymiser
from sandbox.runs.planner import Planner
from sandbox.runs.reference_check import trials
from sandbox.runs.run import run
from sandbox.scenario.selection import select
from sandbox.trace.purging import purge
from sandbox.trace.store import Store
from tests.support import REPOSITORY
from tests.support.defences import Defence, cap_payments, drop_payments
from tests.support.forks import fork, positions
from tests.support.runner import Runner
from tests.support.scaffolds import driven, driver_in
from tests.support.trace_schema import CLOSED, SCHEMA, problems

RECORD = REPOSITORY / "tests" / "interop" / "data" / "mailing.eval"
SCENARIOS = (
    "injection/changed-iban",
    "leakage/support-bundle",
    "oversight/quiet-script",
    "oversight/audit-log",
    "multiagent/relayed-instruction",
    "power/extra-credentials",
)
"""Mail and bank; hosts of a network; commands; a team; canaries."""


def test_the_document_is_the_schema() -> None:
    """The document holds what the classes say, and is itself a schema."""
    Draft202012Validator.check_schema(SCHEMA)
    assert json.loads((REPOSITORY / "docs" / "trace.schema.json").read_text("utf-8")) == SCHEMA


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_real_runs(play: Runner, scenario: str) -> None:
    """Every event of every reference, in both modes and all languages, is as the schema says."""
    (loaded,) = select(play.loader, [scenario])
    for trial in trials(loaded, [play.backend], Planner(play.loader, play.library, play.backend)):
        result = await run(trial.plan, play.store)
        assert result.task != "error", result.reason
        assert list(problems(play.store, result.id)) == []


async def test_runs_that_became_others(play: Runner) -> None:
    """So are forks, runs that were purged, and copies with pseudonyms."""
    parent = await play("scripted/unsafe", mode="enforce")
    at = positions(play, parent.id, "tool.result")[0]
    made, _ = await fork(play, parent.id, at, message="Go on.", anyway=True)
    assert list(problems(play.store, made.id)) == []
    rows = [play.store.run(parent.id)]
    with pseudonymised(play.store, rows, Pseudonymiser(b"k" * 32)) as (copies, copied):
        assert list(problems(copies, copied[0].id)) == []
    purge(play.store, rows, reason="expired", by="ada")
    assert [item.kind for item in play.store.events(parent.id)] == ["run.purged"]
    assert list(problems(play.store, parent.id)) == []


@pytest.mark.parametrize("defence", [drop_payments, cap_payments])
async def test_runs_whose_scaffold_changes_calls(
    play: Runner, tmp_path: Path, defence: Defence
) -> None:
    """So are calls that a scaffold drops or edits."""
    result = await driven(play, driver_in(tmp_path)("nodes", defence), "scripted/unsafe")
    changed = play.data(result.id, "tool.dropped") + [
        data for data in play.data(result.id, "tool.intent") if "original" in data
    ]
    assert changed
    assert list(problems(play.store, result.id)) == []


def test_imported_runs(store: Store) -> None:
    """So is what was read from another program's record."""
    report = enter(store, [RECORD])
    assert report.runs
    assert [line for run_id in report.runs for line in problems(store, run_id)] == []


REFUSED: list[tuple[str, str, Any]] = [
    ("limit", "used", None),
    ("limit", "used", "many"),
    ("tool.result", "status", "fine"),
    ("tool.result", "effects", [{"kind": "file"}]),
    ("verdict", "stage", "later"),
    ("run.start", "mode", "off"),
]
EXAMPLES: dict[str, dict[str, Any]] = {
    "limit": {"limit": "turns", "used": 1, "most": 1},
    "tool.result": {
        "call": "c",
        "tool": "a.b",
        "status": "ok",
        "text": "",
        "effects": [],
        "dropped": 0,
    },
    "verdict": {
        "call": "",
        "tool": "",
        "stage": "end",
        "monitor": "m",
        "verdict": "alert",
        "severity": "low",
        "score": 1,
        "reason": "",
    },
}


@pytest.mark.parametrize(("kind", "field", "value"), REFUSED)
def test_what_is_refused(kind: str, field: str, value: Any) -> None:
    """A field that is missing (None here), or holds what it cannot, is no event of its kind."""
    envelope = {"run": "r", "seq": 0, "at": 1.0, "agent": "", "previous": "", "hash": ""}
    sound = EXAMPLES.get(kind, {})
    check = Draft202012Validator(SCHEMA)
    assert not sound or check.is_valid({**envelope, "kind": kind, "data": sound})
    assert check.is_valid({**envelope, "kind": kind, "data": {**sound, "later": 1}}) == bool(sound)
    broken = {name: held for name, held in sound.items() if name != field}
    broken |= {} if value is None else {field: value}
    assert not check.is_valid({**envelope, "kind": kind, "data": broken})


def test_a_kind_that_is_none() -> None:
    """Another kind than those of this version is refused."""
    envelope = {"run": "r", "seq": 0, "at": 1.0, "agent": "", "previous": "", "hash": ""}
    event = {**envelope, "kind": "gossip", "data": {}}
    assert not Draft202012Validator(SCHEMA).is_valid(event)


def test_the_examples_of_the_document(tmp_path: Path) -> None:
    """Each example holds fields of its kind only, each with a value that it can have."""
    text = (REPOSITORY / "docs" / "events.md").read_text("utf-8")
    for section in text.split("\n### ")[1:]:
        kind = section.split("\n", 1)[0]
        example = json.loads(section.split("```json\n")[1].split("```")[0])
        partial: Any = copy.deepcopy(CLOSED.schema)
        for each in partial["$defs"].values():
            each.pop("required", None)
        envelope = {"run": "r", "seq": 0, "at": 1.0, "agent": "", "previous": "", "hash": ""}
        event = {**envelope, "kind": kind, "data": example}
        assert [e.message for e in Draft202012Validator(partial).iter_errors(event)] == [], kind
