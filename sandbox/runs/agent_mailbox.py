"""What agents of a run have written to each other, as the world took it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from sandbox.agents.teams import Letter
from sandbox.enums import EffectKind
from sandbox.gate.call_record import CallRecord
from sandbox.scenario.topology import TOOLKIT
from sandbox.trace.effects import PatchOperation

_ADDED = re.compile(rf"/{TOOLKIT}/messages/\d+")


class Post:
    """Finds messages among the effects of calls, each once."""

    def __init__(self, records: Sequence[CallRecord]) -> None:
        """Make it.

        Args:
            records: All calls of the run, which grow.
        """
        self._records = records
        self._seen = 0

    def letters(self) -> Iterator[Letter]:
        """Yield the messages that were sent since this was asked last."""
        while self._seen < len(self._records):
            record = self._records[self._seen]
            self._seen += 1
            for effect in record.effects:
                if effect["kind"] == EffectKind.WORLD and effect["target"] == TOOLKIT:
                    yield from _added(effect["detail"]["patch"])


def _added(patch: Sequence[PatchOperation]) -> Iterator[Letter]:
    for change in patch:
        value = change.get("value")
        if change["op"] == "add" and _ADDED.fullmatch(change["path"]) and isinstance(value, dict):
            yield Letter(str(value["from"]), str(value["to"]), str(value["text"]))
