"""The effects of one call, put together from all that saw it: world, manifest, tracer, filter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sandbox.enums import EffectAction, EffectKind, EffectStatus
from sandbox.trace.effects import Effect, FileEffect, NetworkEffect, ProcessEffect

EFFECT_LIMIT = 1000
"""Effects of one source that are kept of one call; the rest is counted as dropped."""
Traced = FileEffect | ProcessEffect | NetworkEffect
"""What a tracer or the filter sees."""
_EACH = frozenset({EffectAction.EXEC, EffectAction.EXIT})


def fold(effects: Iterable[Traced]) -> tuple[list[Traced], int]:
    """Return effects, the same ones counted instead of repeated, and how many were dropped.

    An exec is never folded: each is a process of its own. Targets become text that can be stored as UTF-8.
    """
    first: dict[tuple[str | int, ...], Traced] = {}
    dropped = 0
    for number, each in enumerate(effects):
        each["target"] = each["target"].encode("utf-8", "backslashreplace").decode()
        same = (each["kind"], each["action"], each["target"], each["status"])
        key = (*same, number) if each["action"] in _EACH else same
        if key in first:
            detail = first[key]["detail"]
            detail["count"] = detail.get("count", 1) + 1
        elif len(first) < EFFECT_LIMIT:
            first[key] = each
        else:
            dropped += 1
    return list(first.values()), dropped


def without_repeats(traces: Iterable[Traced], others: Sequence[Effect]) -> list[Traced]:
    """Return what the tracer saw, less what the manifest or the tool's own record says better."""
    known = {(e["action"], e["target"]) for e in others if e["kind"] == EffectKind.FILE}
    return [
        each
        for each in traces
        if (each["kind"], each["status"]) != (EffectKind.FILE, EffectStatus.DONE)
        or not known.intersection(
            (action, each["target"]) for action in _SAME.get(each["action"], (each["action"],))
        )
    ]


_SAME = {EffectAction.WRITE: (EffectAction.WRITE, EffectAction.CREATE)}
"""Action that a tracer sees → as what else it shows."""
