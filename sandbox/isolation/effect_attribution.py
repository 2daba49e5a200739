"""The record of one container: what its guest reports, put to the calls that it belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from sandbox.enums import EffectAction, EffectKind, EffectSource, EffectStatus, RecordState
from sandbox.guest.messages import CallRecords, Denial, Records
from sandbox.isolation import seccomp_profile
from sandbox.isolation.effects import Traced, fold, without_repeats
from sandbox.isolation.strace import StraceReader
from sandbox.trace.effects import Effect, ProcessEffect, Recorded


@dataclass(frozen=True)
class CallEffects:
    """What one call did."""

    effects: tuple[Effect, ...]
    dropped: int
    """Effects beyond the limits of one call."""
    recorded: Recorded


@dataclass(frozen=True)
class LateEffects:
    """What a call did after it had returned."""

    call: str
    effects: tuple[Effect, ...]
    dropped: int


class EffectRecord:
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
        self._readers: dict[str, StraceReader] = {}

    def of(self, call: str, records: CallRecords) -> tuple[CallEffects, tuple[LateEffects, ...]]:
        """Return what a call did, and what earlier calls did meanwhile.

        Args:
            call: Its id; an empty text if the guest was asked between calls.
            records: What came with its result.
        """
        by_call, unread = self._traced_effects(records)
        own, dropped = fold(by_call.pop(call, ()))
        others = {name: fold(effects) for name, effects in by_call.items()}
        # its schema holds every kind, action, status and source to those of ours that a guest sees
        seen = cast("list[Effect]", records["effects"])
        # changes of files that showed after this call but were made by an earlier one
        moved = [
            each
            for each in seen
            if (each["kind"], each["source"]) == (EffectKind.FILE, EffectSource.MANIFEST)
            and not _touches(own, each)
            and any(_touches(traces, each) for traces, _ in others.values())
        ]
        rest = [each for each in seen if each not in moved]
        changes, refusals = records["dropped"], records["denials_dropped"]
        commands = RecordState.LOST if records["lost"] else _state(unread or dropped)
        recorded: Recorded = {
            "world": RecordState.COMPLETE,
            "files": _state(changes),
            "commands": commands if self._traced else RecordState.OFF,
            "refused": _state(refusals) if self._denials else RecordState.OFF,
        }
        late = tuple(
            LateEffects(name, (*without_repeats(traces, also), *also), more)
            for name, (traces, more) in others.items()
            if (also := [each for each in moved if _touches(traces, each)]) or traces
        )
        effects = (*without_repeats(own, rest), *rest)
        return CallEffects(effects, changes + refusals + dropped + unread, recorded), late

    def _traced_effects(self, records: Records) -> tuple[dict[str, list[Traced]], int]:
        """Return what tracers and filter saw, by call, and how many lines of logs could not be read."""
        effects: dict[str, list[Traced]] = {}
        unread = 0
        for log in records["logs"]:
            key = f"{log['call']}/{log['pid']}"
            reader = self._readers.setdefault(key, StraceReader(log["cwd"]))
            effects.setdefault(log["call"], []).extend(reader.read(log["log"]))
            unread += log["dropped"] + reader.unread
            reader.unread = 0
            if not reader.processes:
                del self._readers[key]
        for denial in records["denials"]:
            effects.setdefault(denial["call"], []).append(self._refusal(denial))
        return effects, unread

    def _refusal(self, denial: Denial) -> ProcessEffect:
        arguments = denial["arguments"]
        name = seccomp_profile.find(self._machine, denial["number"]).label(arguments)
        return {
            "kind": EffectKind.PROCESS,
            "action": EffectAction.SYSCALL,
            "target": name,
            "status": EffectStatus.DENIED,
            "source": EffectSource.SECCOMP,
            "detail": {"pid": denial["pid"], "arguments": [hex(value) for value in arguments]},
        }


def _state(dropped: int) -> RecordState:
    return RecordState.CUT if dropped else RecordState.COMPLETE


def _touches(traces: Sequence[Traced], change: Effect) -> bool:
    return any(
        change["target"] in (each["target"], each["detail"].get("to"))
        for each in traces
        if each["kind"] == EffectKind.FILE and each["action"] != EffectAction.READ
    )
