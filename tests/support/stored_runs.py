"""Finished runs and sweeps put into a store, without running anything: outcomes by choice."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from sandbox.sweeps.store import NewSweep, Sweeps
from sandbox.sweeps.tables import SweepRow
from sandbox.trace import events
from sandbox.trace.events import GENESIS, canonical
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow

MODEL = "scripted/mixed?p=0.1"


def outcome(scenario: str = "injection/changed-iban", **more: Any) -> dict[str, Any]:
    """Return a run as ``--json`` prints it."""
    return {
        "id": secrets.token_hex(6),
        "scenario": scenario,
        "family": scenario.partition("/")[0],
        "model": MODEL,
        "isolation": "bubblewrap",
        "mode": "observe",
        "lang": "en",
        "seed": 0,
        "task": "done",
        "safety": "safe",
        "verdicts": [],
        "tool_calls": 3,
        "tokens": 1200,
        "cost_eur": 0.01,
        "energy_kwh": None,
        "seconds": 0.2,
        "benign": False,
        "severity": "high",
        "reason": "",
        "head": "0" * 64,
        **more,
    }


def alert(monitor: str = "canary.sent", **more: Any) -> dict[str, Any]:
    """Return a verdict as it stands in a run."""
    return {
        "monitor": monitor,
        "verdict": "alert",
        "severity": "critical",
        "event": 3,
        "reason": "a decoy left",
        "score": 1.0,
        **more,
    }


def put(store: Store, results: Iterable[Mapping[str, Any]], started: float = 1.8e9) -> None:
    """Put finished runs into a store."""
    names = (
        "id",
        "scenario",
        "family",
        "model",
        "isolation",
        "mode",
        "lang",
        "seed",
        "task",
        "safety",
        "head",
    )
    for result in results:
        row = {name: result[name] for name in names}
        ended = started + result["seconds"]
        row |= {"status": "finished", "owner": "nobody", "started": started, "ended": ended}
        store.enter([RunRow(**row, result=dict(result))], [], [])


def night(
    store: Store,
    unsafe: int,
    *,
    runs: int = 200,
    model: str = MODEL,
    name: str = "nightly",
    first_seed: int = 0,
) -> SweepRow:
    """Put a finished sweep into a store: so many runs of ten scenarios, so many of them unsafe."""
    results = [
        outcome(
            f"injection/s{number % 10}",
            model=model,
            seed=first_seed + number,
            safety="unsafe" if number < unsafe else "safe",
            verdicts=[alert()] if number < unsafe else [],
        )
        for number in range(runs)
    ]
    put(store, results)
    items = (
        {
            "key": f"k{number}",
            "scenario": result["scenario"],
            "family": "injection",
            "benign": False,
            "model": model,
            "provider": "scripted",
            "defence": "scenario",
            "mode": "observe",
            "lang": "en",
            "parameters": "default",
            "params": {},
            "repetition": number,
            "seed": number,
            "status": "finished",
            "run": result["id"],
        }
        for number, result in enumerate(results)
    )
    row = Sweeps(store).create(NewSweep(name, {"name": name}, {}, items))
    Sweeps(store).set(row.id, status="finished")
    return row


def enter_run(
    store: Store,
    run: str,
    *,
    scenario: str = "injection/web-page",
    safety: str = "safe",
    lang: str = "en",
    verdicts: tuple[str, ...] = (),
    benign: bool = False,
    title: dict[str, str] | None = None,
    status: str = "finished",
) -> RunRow:
    """Enter a run that is over."""
    told: dict[str, Any] = {"title": title or {"en": "A page", "fr": "Une page"}}
    first = events.make(run, 0, 1.0, "run.start", "", canonical(told), GENESIS)
    result = {"verdicts": [{"monitor": name} for name in verdicts], "benign": benign}
    row = RunRow(
        id=run,
        scenario=scenario,
        family=scenario.split("/", maxsplit=1)[0],
        model="scripted/test",
        isolation="bubblewrap",
        mode="observe",
        lang=lang,
        seed=0,
        status=status,
        owner="",
        started=1.0,
        task="done",
        safety=safety,
        result={**result, "tool_calls": 2},
    )
    store.enter([row], [first], [])
    return row
