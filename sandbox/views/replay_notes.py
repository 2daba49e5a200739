"""What a replay as text adds to an event: where arguments came from, what stood there before a change."""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.enums import EventKind
from sandbox.trace.events import Event
from sandbox.trace.paging import Pages
from sandbox.trace.store import Store
from sandbox.views.block import pretty
from sandbox.views.details import Details
from sandbox.views.replay import ODD
from sandbox.views.world_state import CHANGES, MISSING, WorldChange, differences

_MOST = 50
"""Changes of one event that are told."""


class Notes:
    """The notes to the events of one run, asked for in their order."""

    def __init__(self, store: Store, run: str) -> None:
        self._details = Details(Pages(store, run))
        self._world = self._details.worlds.start()

    def __call__(self, item: Event) -> list[str]:
        """Return the lines that belong below an event."""
        try:
            if item.kind == EventKind.TOOL_INTENT:
                return list(self._origins(item))
            if item.kind in CHANGES.kinds and CHANGES.without not in item.data:
                return list(self._before(item))
        except ODD:
            return []  # not as this version writes it: its data is shown, and says nothing here
        return []

    def _origins(self, item: Event) -> Iterator[str]:
        for name, origin in self._details.origins(item):
            yield f"{name} {origin}"

    def _before(self, item: Event) -> Iterator[str]:
        before = self._world.copy()
        self._world.apply(self._details.worlds.effects(item.seq), item.seq)
        changes = [each for each in differences(before, self._world) if each.before is not MISSING]
        for change in changes[:_MOST]:
            yield from self._told(change)
        if len(changes) > _MOST:
            yield f"… {len(changes) - _MOST} more were something else before"

    def _told(self, change: WorldChange) -> Iterator[str]:
        if not change.is_file:
            yield f"{change.place} was {pretty(change.before)}"
            return
        block = self._details.change(change)
        yield f"{block.title}, - before + after"
        yield block.text
