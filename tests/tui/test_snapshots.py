"""What the TUI looks like over runs with hostile output; compared with SVGs that a person has seen.

``pytest tests/tui/test_snapshots.py --snapshot-update`` makes them anew.
"""

from __future__ import annotations

import pytest

from sandbox.trace.store import Store
from sandbox.tui.app import ReplayApp
from tests.support.traces import HOSTILE, OTHER, TEAM
from tests.support.tui_pilot import SIZES, SMALL, Compare, keys


@SIZES
def test_list_of_runs(snap_compare: Compare, runs: Store, size: tuple[int, int]) -> None:
    """The list of runs, with a model whose name is hostile."""
    assert snap_compare(ReplayApp(runs), terminal_size=size, run_before=keys("down"))


@SIZES
@pytest.mark.parametrize(
    "pressed",
    [("v",), ("e", "2"), ("G", "3"), ("down", "down", "down", "down", "enter")],
    ids=["verdict", "changed", "since-start", "whole-reply"],
)
def test_hostile_run(
    snap_compare: Compare, runs: Store, size: tuple[int, int], pressed: tuple[str, ...]
) -> None:
    """A run with terminal sequences, markup, 10 MB results, turned and stacked text."""
    assert snap_compare(ReplayApp(runs, HOSTILE), terminal_size=size, run_before=keys(*pressed))


@SIZES
def test_light(snap_compare: Compare, runs: Store, size: tuple[int, int]) -> None:
    """Dark letters on a light ground."""
    app = ReplayApp(runs, HOSTILE, light=True)
    assert snap_compare(app, terminal_size=size, run_before=keys("v"))


@SIZES
def test_side_by_side(snap_compare: Compare, runs: Store, size: tuple[int, int]) -> None:
    """Two runs, with what differs marked."""
    app = ReplayApp(runs, HOSTILE, OTHER)
    assert snap_compare(app, terminal_size=size, run_before=keys("d", "d", "d"))


@SIZES
def test_lanes(snap_compare: Compare, runs: Store, size: tuple[int, int]) -> None:
    """A run of three agents, each in its lane, at a message between them."""
    assert snap_compare(ReplayApp(runs, TEAM), terminal_size=size, run_before=keys("m", "m"))


def test_help(snap_compare: Compare, runs: Store) -> None:
    """The keys."""
    app = ReplayApp(runs, HOSTILE)
    assert snap_compare(app, terminal_size=SMALL, run_before=keys("question_mark"))
