"""Traces that are not as this version writes them: shown as they are, never an end of the program."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.trace.event_types import KINDS
from sandbox.trace.events import Event, canonical
from sandbox.trace.store import Store
from sandbox.tui import timeline
from sandbox.tui.app import ReplayApp
from sandbox.tui.styled_text import cells
from sandbox.views.replay_html import render
from tests.support.traces import Writer
from tests.support.tui_pilot import keys

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
FIELDS = (
    "call",
    "tool",
    "arguments",
    "text",
    "effects",
    "turn",
    "calls",
    "role",
    "content",
    "verdict",
    "agents",
    "usage",
    "status",
    "$blob",
    "size",
    "scenario_text",
    "limits",
    "monitors",
    "controls",
)
DATA = JSON | st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=8)


@given(st.sampled_from([*KINDS, "of.later"]), DATA, st.integers(20, 120))
def test_any_data_makes_a_row_that_fits(kind: str, data: Any, width: int) -> None:
    """Whatever an event holds, its row is one line of the width that there is."""
    item = Event("r", 3, 1.0, kind, "a", canonical(data), "", "")
    line = timeline.row(item, timeline.lanes_of(item), 0.0, lambda sha256: sha256, width)
    assert cells(line) <= width


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(st.sampled_from(sorted(KINDS)), DATA), min_size=1, max_size=8))
def test_any_trace_becomes_a_page(runs: Store, events: list[tuple[str, Any]]) -> None:
    """Whatever a trace holds, it has a page."""
    run = f"odd{json.dumps(events).__hash__() & 0xFFFFFFFF:08x}"
    writer = Writer(runs, run)
    for kind, data in events:
        writer.add(kind, data, "a")
    if not runs.runs(id=run):
        writer.row()
    assert render(runs, run).endswith("</html>\n")


BROKEN = {
    "no json": "no json",
    "deep": "[" * 5000,
    "call": '{"call":1}',
    "list": "[]",
    "reference": '{"$blob":7,"size":"x"}',
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
async def test_a_damaged_event_is_shown_as_it_is(tmp_path: Path, data: str) -> None:
    """An event whose data is no JSON, or not what it should be, can be looked at in every view."""
    with Store(str(tmp_path / "odd.db")) as store:
        writer = Writer(store, "odd000000001")
        for kind in ("run.start", "tool.intent", "verdict", "tool.result"):
            writer.add(kind, {}, "a")
        writer.events = [
            Event(e.run, e.seq, e.at, e.kind, e.agent, data, e.previous, e.hash)
            for e in writer.events
        ]
        writer.row(result=None)
        app = ReplayApp(store, "odd000000001")
        async with app.run_test() as pilot:
            await keys("2", "3", "4", "1", "down", "2", "1", "down", "down", "2", "4")(pilot)
            assert app.return_code is None
