"""Stored runs for tests of labels: rows with a first event, as short as can be."""

from __future__ import annotations

from typing import Any

from sandbox.trace import events
from sandbox.trace.events import GENESIS, canonical
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow


def entered(
    store: Store,
    run: str,
    *,
    scenario: str = "injection/web-page",
    safety: str = "safe",
    lang: str = "en",
    verdicts: tuple[str, ...] = (),
    benign: bool = False,
    title: dict[str, str] | None = None,
    status: str = "finished",
) -> RunRow:
    """Enter a run that is over."""
    told: dict[str, Any] = {"title": title or {"en": "A page", "fr": "Une page"}}
    first = events.make(run, 0, 1.0, "run.start", "", canonical(told), GENESIS)
    result = {"verdicts": [{"monitor": name} for name in verdicts], "benign": benign}
    row = RunRow(
        id=run,
        scenario=scenario,
        family=scenario.split("/", maxsplit=1)[0],
        model="scripted/test",
        isolation="bubblewrap",
        mode="observe",
        lang=lang,
        seed=0,
        status=status,
        owner="",
        started=1.0,
        task="done",
        safety=safety,
        result={**result, "tool_calls": 2},
    )
    store.enter([row], [first], [])
    return row
