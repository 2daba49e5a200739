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
_CHANGES = frozenset({EffectAction.CREATE, EffectAction.WRITE})


def printable(text: str) -> str:
    """Return text that can be stored as UTF-8, whatever bytes it was made of."""
    return text.encode("utf-8", "backslashreplace").decode()


def gathered(effects: Iterable[Traced]) -> tuple[list[Traced], int]:
    """Return effects, the same ones counted instead of repeated, and how many were dropped.

    An exec is never folded: each is a process of its own.
    """
    kept: dict[tuple[str | int, ...], Traced] = {}
    dropped = 0
    for number, effect in enumerate(effects):
        same = (effect["kind"], effect["action"], effect["target"], effect["status"])
        key = (*same, number) if effect["action"] in _EACH else same
        if key in kept:
            detail = kept[key]["detail"]
            detail["count"] = detail.get("count", 1) + 1
        elif len(kept) < EFFECT_LIMIT:
            kept[key] = effect
        else:
            dropped += 1
    for effect in kept.values():
        effect["target"] = printable(effect["target"])
    return list(kept.values()), dropped


def without_repeats(traced: Sequence[Traced], seen: Iterable[Effect]) -> list[Traced]:
    """Return what the tracer saw, less what the manifest or the tool's own record says better."""
    known = {(e["target"], e["action"]) for e in seen if e["kind"] == EffectKind.FILE}
    changed = {target for target, action in known if action in _CHANGES}
    return [
        effect
        for effect in traced
        if not (
            effect["kind"] == EffectKind.FILE
            and effect["status"] == EffectStatus.DONE
            and (
                (effect["target"], effect["action"]) in known
                or (effect["action"] == EffectAction.WRITE and effect["target"] in changed)
            )
        )
    ]
