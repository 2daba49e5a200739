"""What of a trace must come out the same when the same is done again."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from sandbox.enums import EffectAction, EffectSource
from sandbox.trace.effects import Effect
from sandbox.trace.event_types import KINDS
from sandbox.trace.fields import VOLATILE, hints, pruner
from sandbox.trace.store import Store

_VOLATILE = frozenset({VOLATILE})
_ENDS_A_NAME = frozenset({EffectAction.RENAME, EffectAction.DELETE})
_DURATION = re.compile(r"\b\d+(\.\d+)? ?m?s\b|\b\d+\.\d+ seconds\b")


def essence(store: Store, run: str) -> list[tuple[str, str, Any]]:
    """Return kind, agent and data of a run's events, without times, ids and what belongs to the back end.

    Two runs of the same reference on different back ends must agree in it.
    """
    return [
        (item.kind, item.agent, stable(item.kind, store.content(item)))
        for item in store.events(run)
        if not KINDS[item.kind].of_back_end
    ]


def stable(kind: str, data: Any) -> Any:
    """Return an event's data without what differs from one execution to the next."""
    described = KINDS[kind].data
    take_out = pruner(described, _VOLATILE)
    shown = _without_durations(take_out(data) if take_out else data)
    if "effects" in shown and "effects" in hints(described):
        shown["effects"] = _stable_effects(shown["effects"])
    return shown


def _stable_effects(effects: Sequence[Effect]) -> list[Effect]:
    """Put effects, which are changed, in an order of their own: processes of one call run side by side.

    A file that comes and goes within a call may have a name made up by the program that made it.
    """
    traced = [e for e in effects if e["source"] == EffectSource.TRACE]
    gone = {e["target"] for e in traced if e["action"] in _ENDS_A_NAME}
    temporary = {e["target"] for e in traced if e["action"] == EffectAction.WRITE} & gone
    for effect in effects:
        if effect["target"] in temporary:
            effect["target"] = "‹temporary›"
    return sorted(effects, key=lambda effect: json.dumps(effect, sort_keys=True))


def _without_durations(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_durations(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_durations(item) for item in value]
    return _DURATION.sub("‹time›", value) if isinstance(value, str) else value
