"""The record of one container: what its guest reports, put to the calls that it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.isolation import seccomp_profile
from sandbox.isolation.effects import Effect, gathered, without_repeats
from sandbox.isolation.strace import Reading


@dataclass(frozen=True)
class Deeds:
    """What one call did."""

    effects: tuple[dict[str, Any], ...]
    dropped: int
    """Effects beyond the limits of one call."""
    recorded: Mapping[str, str]
    """Source → ``complete``, ``cut`` (some were dropped), ``lost`` or ``off``."""


@dataclass(frozen=True)
class Late:
    """What a call did after it had returned."""

    call: str
    effects: tuple[dict[str, Any], ...]
    dropped: int


class Record:
    """Reads what the guest of one container reports, call after call."""

    def __init__(self, *, traced: bool, denials: bool, machine: str = "") -> None:
        """Begin a record.

        Args:
            traced: Whether commands are traced.
            denials: Whether the guest learns of system calls that the filter refuses.
            machine: Whose numbers those have, as ``uname -m`` says it.
        """
        self._traced = traced
        self._denials = denials
        self._machine = machine
        self._readings: dict[str, Reading] = {}

    def of(self, call: str, meta: Mapping[str, Any]) -> tuple[Deeds, tuple[Late, ...]]:
        """Return what a call did, and what earlier calls did meanwhile.

        Args:
            call: Its id; an empty text where the guest was asked between calls.
            meta: What came with its result: ``effects``, ``dropped``, ``logs``, ``denials``,
                ``denials_dropped``.

        Raises:
            KeyError, IndexError, TypeError, ValueError: It is not what a guest reports.
        """
        by_call, cut = self._traced_effects(meta)
        seen = tuple(_checked(effect) for effect in meta["effects"])
        own, dropped = gathered(by_call.pop(call, ()))
        others = {name: gathered(found) for name, found in by_call.items()}
        moved = _moved(seen, own, others)
        seen = tuple(effect for effect in seen if effect not in moved)
        effects = (*without_repeats(own, seen), *seen)
        manifest, more = int(meta["dropped"]), int(meta["denials_dropped"])
        recorded = {
            "world": "complete",
            "files": "cut" if manifest else "complete",
            "commands": self._state(cut or bool(dropped), lost=bool(meta.get("lost"))),
            "refused": ("cut" if more else "complete") if self._denials else "off",
        }
        total = manifest + more + dropped + cut
        late = tuple(
            Late(name, (*without_repeats(traced, also), *also), more)
            for name, (traced, more) in others.items()
            if (also := [e for e in moved if _touches(traced, e)]) or traced
        )
        return Deeds(effects, total, recorded), late

    def _state(self, cut: bool | int, *, lost: bool) -> str:
        if not self._traced:
            return "off"
        if lost:
            return "lost"
        return "cut" if cut else "complete"

    def _traced_effects(self, meta: Mapping[str, Any]) -> tuple[dict[str, list[Effect]], int]:
        found: dict[str, list[Effect]] = {}
        cut = 0
        for log in meta["logs"]:
            name = str(log["call"])
            key = f"{name}/{log['pid']}"
            reading = self._readings.setdefault(key, Reading(str(log["cwd"])))
            found.setdefault(name, []).extend(reading.read(str(log["log"])))
            cut += int(log["dropped"]) + reading.unread
            reading.unread = 0
            if not reading.processes:
                del self._readings[key]
        for denial in meta["denials"]:
            found.setdefault(str(denial["call"]), []).append(self._refused(denial))
        return found, cut

    def _refused(self, denial: Mapping[str, Any]) -> Effect:
        arguments = [int(argument) for argument in denial["arguments"]]
        name = seccomp_profile.find(self._machine, int(denial["number"])).label(arguments)
        detail = {"pid": int(denial["pid"]), "arguments": [hex(value) for value in arguments]}
        return Effect("process", "syscall", name, "denied", "seccomp", detail)


def _moved(
    seen: tuple[dict[str, Any], ...],
    own: list[dict[str, Any]],
    others: Mapping[str, tuple[list[dict[str, Any]], int]],
) -> list[dict[str, Any]]:
    """Return changes of files that showed after this call but were made by an earlier one."""
    return [
        effect
        for effect in seen
        if effect["kind"] == "file"
        and effect["source"] == "manifest"
        and not _touches(own, effect)
        and any(_touches(traced, effect) for traced, _ in others.values())
    ]


def _touches(traced: list[dict[str, Any]], effect: Mapping[str, Any]) -> bool:
    target = effect["target"]
    return any(
        target in (e["target"], e["detail"].get("to"))
        for e in traced
        if e["kind"] == "file" and e["action"] != "read"
    )


_KEYS = ("kind", "action", "target", "status", "source")


def _checked(effect: Mapping[str, Any]) -> dict[str, Any]:
    """Return an effect that the guest reports: a tool shares its process, so it is not trusted."""
    if not all(isinstance(effect[key], str) for key in _KEYS) or not isinstance(
        effect["detail"], dict
    ):
        raise ValueError("not an effect")
    return dict(effect)
