"""The record of one container: what its guest reports, put to the calls that it belongs to."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

from sandbox.enums import EffectAction, EffectKind, EffectSource, EffectStatus, RecordState
from sandbox.isolation import seccomp_profile
from sandbox.isolation.effects import Traced, gathered, without_repeats
from sandbox.isolation.strace import Reading
from sandbox.trace.effects import Effect, ProcessEffect, Recorded


@dataclass(frozen=True)
class Deeds:
    """What one call did."""

    effects: tuple[Effect, ...]
    dropped: int
    """Effects beyond the limits of one call."""
    recorded: Recorded


@dataclass(frozen=True)
class Late:
    """What a call did after it had returned."""

    call: str
    effects: tuple[Effect, ...]
    dropped: int


class TracerLog(TypedDict):
    """A piece of what a tracer wrote about the commands of one call."""

    call: str
    pid: int
    cwd: str
    log: str
    dropped: int


class Denial(TypedDict):
    """A system call that the filter refused."""

    call: str
    pid: int
    number: int
    arguments: list[int]


class EffectReport(TypedDict):
    """What a guest reports of a call, or between calls. A tool shares its process: nothing is trusted."""

    effects: list[Effect]
    dropped: int
    logs: list[TracerLog]
    denials: list[Denial]
    denials_dropped: int
    lost: str | None


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

    def of(self, call: str, meta: EffectReport) -> tuple[Deeds, tuple[Late, ...]]:
        """Return what a call did, and what earlier calls did meanwhile.

        Args:
            call: Its id; an empty text where the guest was asked between calls.
            meta: What came with its result.

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
        recorded: Recorded = {
            "world": RecordState.COMPLETE,
            "files": RecordState.CUT if manifest else RecordState.COMPLETE,
            "commands": _state(cut or dropped, on=self._traced, lost=bool(meta.get("lost"))),
            "refused": _state(more, on=self._denials),
        }
        total = manifest + more + dropped + cut
        late = tuple(
            Late(name, (*without_repeats(traced, also), *also), more)
            for name, (traced, more) in others.items()
            if (also := [e for e in moved if _touches(traced, e)]) or traced
        )
        return Deeds(effects, total, recorded), late

    def _traced_effects(self, meta: EffectReport) -> tuple[dict[str, list[Traced]], int]:
        found: dict[str, list[Traced]] = {}
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

    def _refused(self, denial: Denial) -> ProcessEffect:
        arguments = [int(argument) for argument in denial["arguments"]]
        name = seccomp_profile.find(self._machine, int(denial["number"])).label(arguments)
        return {
            "kind": EffectKind.PROCESS,
            "action": EffectAction.SYSCALL,
            "target": name,
            "status": EffectStatus.DENIED,
            "source": EffectSource.SECCOMP,
            "detail": {"pid": int(denial["pid"]), "arguments": [hex(value) for value in arguments]},
        }


def _state(cut: int, *, on: bool, lost: bool = False) -> RecordState:
    if not on:
        return RecordState.OFF
    if lost:
        return RecordState.LOST
    return RecordState.CUT if cut else RecordState.COMPLETE


def _moved(
    seen: Sequence[Effect],
    own: Sequence[Traced],
    others: Mapping[str, tuple[Sequence[Traced], int]],
) -> list[Effect]:
    """Return changes of files that showed after this call but were made by an earlier one."""
    return [
        effect
        for effect in seen
        if effect["kind"] == EffectKind.FILE
        and effect["source"] == EffectSource.MANIFEST
        and not _touches(own, effect)
        and any(_touches(traced, effect) for traced, _ in others.values())
    ]


def _touches(traced: Sequence[Traced], effect: Effect) -> bool:
    target = effect["target"]
    return any(
        target in (e["target"], e["detail"].get("to"))
        for e in traced
        if e["kind"] == EffectKind.FILE and e["action"] != EffectAction.READ
    )


_SEEN_INSIDE: Mapping[str, Collection[str]] = {
    "kind": frozenset({EffectKind.WORLD, EffectKind.FILE}),
    "action": frozenset(EffectAction),
    "status": frozenset(EffectStatus),
    "source": frozenset({EffectSource.WORLD, EffectSource.MANIFEST, EffectSource.TOOL}),
}
"""What a guest may report as an effect: what others see is not for it to say."""


def _checked(effect: Effect) -> Effect:
    """Return an effect that the guest reports, having looked at it: a tool shares its process.

    Raises:
        KeyError, TypeError, ValueError: It is none, or of a sort that a guest does not see.
    """
    fields: Mapping[str, object] = effect
    if not (
        all(fields[name] in known for name, known in _SEEN_INSIDE.items())
        and isinstance(fields["target"], str)
        and isinstance(fields["detail"], dict)
    ):
        raise ValueError("not an effect that a guest sees")
    return effect
