"""What a call really did, put together from all that saw it: world, manifest, tracer, filter."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

EFFECT_LIMIT = 1000
"""Effects of one source that are kept of one call; the rest is counted as dropped."""


@dataclass
class Effect:
    """One effect; see ``docs/events.md``."""

    kind: str
    action: str
    target: str
    status: str
    source: str
    detail: dict[str, Any] = field(default_factory=dict)

    def as_data(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "kind": self.kind,
            "action": self.action,
            "target": printable(self.target),
            "status": self.status,
            "source": self.source,
            "detail": self.detail,
        }


def printable(text: str) -> str:
    """Return text that can be stored as UTF-8, whatever bytes it was made of."""
    return text.encode("utf-8", "backslashreplace").decode()


def gathered(effects: Iterable[Effect]) -> tuple[list[dict[str, Any]], int]:
    """Return effects as data, the same ones counted instead of repeated, and how many were dropped.

    An exec is never folded: each is a process of its own.
    """
    kept: dict[tuple[Any, ...], Effect] = {}
    dropped = 0
    for number, effect in enumerate(effects):
        same = (effect.kind, effect.action, effect.target, effect.status)
        key = (*same, number) if effect.action in ("exec", "exit") else same
        if key in kept:
            detail = kept[key].detail
            detail["count"] = detail.get("count", 1) + 1
        elif len(kept) < EFFECT_LIMIT:
            kept[key] = effect
        else:
            dropped += 1
    return [effect.as_data() for effect in kept.values()], dropped


def without_repeats(
    traced: list[dict[str, Any]], seen: Iterable[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return what the tracer saw, less what the manifest or the tool's own record says better."""
    known = {(e["target"], e["action"]) for e in seen if e["kind"] == "file"}
    changed = {target for target, action in known if action in ("create", "write")}
    return [
        effect
        for effect in traced
        if not (
            effect["kind"] == "file"
            and effect["status"] == "done"
            and (
                (effect["target"], effect["action"]) in known
                or (effect["action"] == "write" and effect["target"] in changed)
            )
        )
    ]
