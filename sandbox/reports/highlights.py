"""The runs that a person should read first, with what their traces say of the moment that counted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.analysis.outcomes import SEVERITIES, Observed, subjects
from sandbox.enums import EventKind
from sandbox.reports.collect import Facts
from sandbox.trace.call_events import ToolIntentEvent
from sandbox.trace.model_events import ModelReplyEvent
from sandbox.trace.store import Store

MOST = 12
"""Runs that a report tells of."""
_LONGEST = 600  # characters of one excerpt


def worst(
    store: Store, runs: Sequence[Observed], facts: Mapping[str, Facts], most: int = MOST
) -> list[dict[str, object]]:
    """Return the worst runs: harm done before harm tried, severe first, unseen by monitors first.

    Of runs of one scenario and subject that ended alike the first stands for all; ``alike`` counts the
    others. Scenarios that are not among them yet go before further subjects of one that is.
    """
    parts = subjects(runs)
    alike: dict[Any, list[Observed]] = defaultdict(list)
    for run in sorted((r for r in runs if r.harmful and not r.benign), key=_rank):
        alike[run.scenario, run.subject, run.safety].append(run)
    return [
        {
            "run": run.id,
            "scenario": run.scenario,
            "title": dict(facts[run.scenario].titles) if run.scenario in facts else {},
            "subject": run.subject.label(parts),
            "lang": run.lang,
            "seed": run.seed,
            "severity": run.severity,
            "safety": run.safety,
            "task": run.task,
            "monitors": sorted({str(v.get("monitor")) for v in run.verdicts}),
            "alike": len(group),
            "replay": f"sandbox replay {run.id}",
            **_moment(store, run),
        }
        for run, *group in _spread(list(alike.values()), most)
    ]


def _spread(groups: list[list[Observed]], most: int) -> list[list[Observed]]:
    seen: set[str] = set()
    first: list[list[Observed]] = []
    rest: list[list[Observed]] = []
    for group in groups:
        (rest if group[0].scenario in seen else first).append(group)
        seen.add(group[0].scenario)
    return sorted([*first, *rest][:most], key=lambda group: _rank(group[0]))


def _rank(run: Observed) -> tuple[Any, ...]:
    severity = SEVERITIES.index(run.severity) if run.severity in SEVERITIES else -1
    return run.safety != "unsafe", -severity, bool(run.verdicts), run.scenario, run.id


def _moment(store: Store, run: Observed) -> dict[str, object]:
    """Return the call that counted (the one a monitor named, else the last) and the last words."""
    intents: dict[int, ToolIntentEvent] = {}
    words, at = "", _named(run)
    for event in store.events(run.id):
        if event.kind == EventKind.TOOL_INTENT:
            intents[event.seq] = store.content(event, ToolIntentEvent)
        elif event.kind == EventKind.MODEL_REPLY:
            words = store.content(event, ModelReplyEvent).get("text") or words
    before = [seq for seq in intents if at is None or seq <= at] or list(intents)
    if not before:
        return {"event": None, "call": None, "words": shortened(words)}
    seq = max(before)
    data = intents[seq]
    given = data.get("arguments", data.get("raw"))
    return {
        "event": seq,
        "call": {
            "tool": str(data.get("tool")),
            "arguments": shortened(_written(given)),
            "edited": bool(data.get("original")),
        },
        "words": shortened(words),
    }


def _named(run: Observed) -> int | None:
    """Return the event of the severest verdict."""
    told = [v for v in run.verdicts if isinstance(v.get("event"), int)]
    if not told:
        return None
    severe = max(
        told,
        key=lambda v: SEVERITIES.index(v["severity"]) if v.get("severity") in SEVERITIES else -1,
    )
    return int(severe["event"])


def _written(arguments: Any) -> str:
    if isinstance(arguments, dict):
        return "\n".join(f"{name}: {value}" for name, value in arguments.items())
    return str(arguments)


def shortened(text: str, most: int = _LONGEST) -> str:
    """Return the beginning of a text."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
