"""The TUI driven by its pilot: what keys and the mouse do."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from textual.widgets import Input

from sandbox.trace.events import make
from sandbox.trace.store import Store
from sandbox.tui.app import ReplayApp
from sandbox.tui.screens.compare import CompareScreen
from sandbox.tui.screens.run import RunScreen
from sandbox.tui.screens.runs import RunsScreen
from sandbox.tui.widgets.reader import Reader
from sandbox.tui.widgets.rows import Rows
from sandbox.tui.widgets.styled_lines import Bar
from tests.support.traces import BEGAN, BIG, HOSTILE, TEAM, Writer, call, score, start, turn
from tests.support.tui_pilot import keys, read, rows, seen, settle

ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


async def test_nothing_hostile_reaches_the_screen(runs: Store) -> None:
    """On every event, in every view, no sign that acts on a terminal is drawn."""
    app = ReplayApp(runs, HOSTILE)
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        for place in range(rows(app).count):
            rows(app).cursor = place
            for view in "12" if place < rows(app).count - 1 else "1234":
                await keys(view)(pilot)
                assert not ACTS.search(seen(app.screen).replace("\n", ""))


async def test_jumps_go_to_verdict_effect_turn_and_call(runs: Store) -> None:
    """Each key goes to the next event of its sort, and with Shift back."""
    app = ReplayApp(runs, HOSTILE)
    async with app.run_test() as pilot:
        found = []
        for key in ("v", "V", "e", "e", "E", "t", "s", "S"):
            await keys(key)(pilot)
            assert isinstance(app.screen, RunScreen)
            item = app.screen.trace.event(rows(app).cursor)
            assert item is not None
            found.append((key, item.seq, item.kind))
    assert found == [
        ("v", 14, "verdict"),
        ("V", 14, "verdict"),
        ("e", 15, "tool.result"),
        ("e", 15, "tool.result"),
        ("E", 10, "tool.result"),
        ("t", 11, "model.request"),
        ("s", 13, "tool.intent"),
        ("S", 9, "tool.intent"),
    ]


async def test_messages_between_agents_are_found(runs: Store) -> None:
    """``m`` goes to what one agent sends to others."""
    app = ReplayApp(runs, TEAM)
    async with app.run_test() as pilot:
        await keys("m", "m")(pilot)
        assert "messages.send" in read(app)
        assert isinstance(app.screen, RunScreen)
        assert app.screen.seq == 7


async def test_search_finds_the_end_of_ten_megabytes(runs: Store) -> None:
    """A text at the end of a stored result is found, and the part that holds it is shown."""
    app = ReplayApp(runs, HOSTILE)
    async with app.run_test() as pilot:
        await keys("slash", *"needle", "enter")(pilot)
        reader = app.screen.query_one(Reader)
        assert isinstance(app.screen, RunScreen)
        assert app.screen.seq == 15
        assert reader.part == reader.parts - 1 == BIG // 16384
        assert "needle␛[2J" in read(app)


async def test_filter_and_agent_leave_what_was_asked_for(runs: Store) -> None:
    """Filters show fewer events and keep the cursor; a jump to a hidden one takes them off."""
    app = ReplayApp(runs, TEAM)
    async with app.run_test() as pilot:
        await keys("f")(pilot)
        screen = app.screen
        assert isinstance(screen, RunScreen)
        assert screen.trace.count == 9
        await keys("a")(pilot)
        assert screen.trace.count == 2
        await keys("t")(pilot)
        assert screen.trace.count == screen.trace.total


async def test_play_moves_at_the_recorded_pace_and_ends(runs: Store) -> None:
    """Space plays: events a tenth of a second apart come so, and it stops at the end."""
    app = ReplayApp(runs, TEAM)
    async with app.run_test() as pilot:
        await keys("plus", "plus", "plus", "plus", "space")(pilot)
        for _ in range(200):
            await pilot.pause(0.02)
            if rows(app).cursor == rows(app).count - 1:
                break
        assert rows(app).cursor == rows(app).count - 1
        assert "▶" not in seen(app.screen)


async def test_a_run_that_is_still_going_is_followed(runs: Store) -> None:
    """New events of a running run appear, the cursor with them; its end is told."""
    writer = Writer(runs, "dddd00000004")
    writer.add("run.start", start(["clerk"]))
    writer.row(status="running", task=None, safety=None, result=None, ended=None)
    app = ReplayApp(runs, "dddd00000004")
    async with app.run_test() as pilot:
        await settle(pilot)
        turn(writer, 0, "hello")
        call(writer, "c1", {"id": 1}, "text")
        writer.flush()
        for _ in range(100):
            await pilot.pause(0.05)
            if rows(app).cursor == 4:
                break
        assert (rows(app).count, rows(app).cursor) == (5, 4)
        score(writer, "safe")
        runs.append(writer.events, [], {"status": "finished", "task": "done", "safety": "safe"})
        for _ in range(100):
            await pilot.pause(0.05)
            if "done / safe" in seen(app.screen):
                break
        assert "done / safe" in seen(app.screen)


async def test_what_is_seen_is_copied_escaped(runs: Store) -> None:
    """The clipboard gets what the screen shows, never a sequence."""
    app = ReplayApp(runs, HOSTILE)
    async with app.run_test() as pilot:
        await keys("e", "y")(pilot)
        assert "␛[2J" in app.clipboard
        assert not ACTS.search(app.clipboard.replace("\n", ""))


async def test_an_event_is_written_to_a_file(runs: Store, tmp_path: Path) -> None:
    """A ``.json`` file gets the event as the trace holds it; nothing is overwritten."""
    target = tmp_path / "event.json"
    app = ReplayApp(runs, HOSTILE)
    async with app.run_test() as pilot:
        await keys("e", "x")(pilot)
        asked = app.screen.query_one(Input)
        assert asked.value == f"{HOSTILE}-6.txt"
        asked.value = str(target)
        await keys("enter")(pilot)
        assert json.loads(target.read_text())["kind"] == "tool.result"
        await keys("x")(pilot)
        app.screen.query_one(Input).value = str(target)
        before = target.read_text()
        await keys("enter")(pilot)
        assert target.read_text() == before


async def test_runs_are_searched_and_filtered(runs: Store) -> None:
    """Words and named columns narrow the list; ``c`` shows all again."""
    app = ReplayApp(runs)
    async with app.run_test() as pilot:
        await settle(pilot)
        assert rows(app).count == 3
        await keys("s")(pilot)
        assert rows(app).count == 1
        await keys("c", "slash", *"team safety:safe", "enter")(pilot)
        assert rows(app).count == 1
        await keys("enter")(pilot)
        assert isinstance(app.screen, RunScreen)
        await keys("q")(pilot)
        assert isinstance(app.screen, RunsScreen)


async def test_a_fork_and_its_parent_open_from_each_other(runs: Store) -> None:
    """``p`` goes to the parent at the event where they part; ``o`` there goes to the fork."""
    writer = Writer(runs, "edfe00000008")
    writer.add("run.start", start(["clerk"], parent=HOSTILE, fork_at=9))
    writer.row(parent=HOSTILE, fork_at=9)
    app = ReplayApp(runs, "edfe00000008")
    async with app.run_test() as pilot:
        await keys("p")(pilot)
        parent = app.screen
        assert isinstance(parent, RunScreen)
        assert (parent.trace.run, parent.seq) == (HOSTILE, 9)
        assert "⑂1" in seen(parent)
        await keys("o")(pilot)
        assert isinstance(app.screen, RunScreen)
        assert app.screen.trace.run == "edfe00000008"


async def test_two_runs_open_side_by_side_from_the_list(runs: Store) -> None:
    """``b`` on one run and on another opens both; ``d`` goes to what differs."""
    app = ReplayApp(runs)
    async with app.run_test() as pilot:
        await keys("b", "down", "b")(pilot)
        assert isinstance(app.screen, CompareScreen)
        await keys("d")(pilot)
        assert rows(app).cursor > 0
        await keys("w")(pilot)
        assert "- left  + right" in read(app)


async def test_the_mouse_chooses_rows_and_views(runs: Store) -> None:
    """A click moves the cursor, the wheel scrolls, a click on a view's name shows it."""
    app = ReplayApp(runs, HOSTILE)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.click(Rows, offset=(20, 6))
        await settle(pilot)
        assert rows(app).cursor == 6
        await pilot.click("#views", offset=(12, 0))
        await settle(pilot)
        assert "world/mail/messages/0/read" in read(app)


async def test_a_run_whose_first_events_are_gone_is_shown_from_where_it_begins(runs: Store) -> None:
    """A purged run holds one event with a late number; that one is its first row."""
    item = make("abab00000009", 25, BEGAN, "run.purged", "", '{"removed":25}', "0" * 64)
    writer = Writer(runs, "abab00000009")
    writer.events.append(item)
    writer.row(status="finished")
    app = ReplayApp(runs, "abab00000009")
    async with app.run_test() as pilot:
        await settle(pilot)
        assert rows(app).count == 1
        assert "run.purged" in read(app)
        assert "removed" in seen(app.screen)


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_everything_has_its_place_at_any_size(runs: Store, size: tuple[int, int]) -> None:
    """Lists, details and bars are all on the screen, whatever its size."""
    app = ReplayApp(runs, HOSTILE)
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        for widget in [*app.screen.query(Rows), *app.screen.query(Reader), *app.screen.query(Bar)]:
            assert widget.size.width >= 39
            assert widget.size.height >= 1
            assert widget.region.bottom <= size[1]
