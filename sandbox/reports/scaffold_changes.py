"""What a run's scaffold made of the model's calls: where it dropped one, where it edited one."""

from __future__ import annotations

from sandbox.trace.paging import Pages, Wanted
from sandbox.trace.store import Store

_DROPPED = Wanted(frozenset({"tool.dropped"}))
_CANDIDATES = Wanted(frozenset({"tool.intent"}), holds='"original":{')
"""Arguments may have such a name too."""


def scaffold_changes(store: Store, run: str) -> dict[str, list[int]]:
    """Return the numbers of the events of calls that were ``dropped``, and ``edited``."""
    pages = Pages(store, run)
    intents = pages.some(pages.numbers(_CANDIDATES))
    return {
        "dropped": pages.numbers(_DROPPED),
        "edited": [item.seq for item in intents if "original" in item.content()],
    }
