"""What of a trace must come out the same when the same is done again."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from sandbox.trace.store import Store

_VOLATILE = frozenset(
    {
        "seconds",
        "started",
        "owner",
        "isolation",
        "versions",
        "result_sha256",
        "wait_seconds",
        "headers",  # of requests: they name the versions of programs
    }
)
_VOLATILE_IN_EFFECTS = _VOLATILE | {"pid", "parent", "arguments"}
"""Ids of processes, and what stood in registers at refused system calls: pointers."""
_DURATION = re.compile(r"\b\d+(\.\d+)? ?m?s\b|\b\d+\.\d+ seconds\b")


def essence(store: Store, run: str) -> list[Any]:
    """Return a run's events without times, ids and what belongs to the back end.

    Two runs of the same reference on different back ends must agree in it.
    """
    found = []
    for item in store.events(run):
        if item.kind == "container.open":
            continue
        found.append([item.kind, item.agent, stable(store.content(item))])
    return found


def stable(value: Any, volatile: frozenset[str] = _VOLATILE) -> Any:
    """Return an event's data without what differs from one time to the next."""
    if isinstance(value, dict):
        return {
            key: stable_effects(item) if key == "effects" else stable(item, volatile)
            for key, item in value.items()
            if key not in volatile
        }
    if isinstance(value, list):
        return [stable(item, volatile) for item in value]
    return _DURATION.sub("‹time›", value) if isinstance(value, str) else value


def stable_effects(effects: Sequence[Any]) -> list[Any]:
    """Return effects in an order of their own: processes of one call run side by side.

    A file that comes and goes within a call may have a name made up by the program that made it.
    """
    gone = {
        e["target"]
        for e in effects
        if e["source"] == "trace" and e["action"] in ("rename", "delete")
    }
    passing = {
        e["target"] for e in effects if e["source"] == "trace" and e["action"] == "write"
    } & gone
    told = [
        stable(
            effect | ({"target": "‹temporary›"} if effect["target"] in passing else {}),
            _VOLATILE_IN_EFFECTS,
        )
        for effect in effects
    ]
    return sorted(told, key=lambda effect: json.dumps(effect, sort_keys=True))
