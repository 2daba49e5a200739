"""Two runs side by side: their calls lead."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.trace.events import Event, canonical
from sandbox.trace.paging import Pages
from sandbox.tui.alignment import ComparableRun, EventPair, align, read_run, token
from sandbox.tui.screens.compare import difference
from sandbox.views.block import Block
from tests.support.sample_events import effect
from tests.support.timing import deadline
from tests.support.traces import HOSTILE, OTHER, fixed

KINDS = st.lists(st.sampled_from(["message", "tool.intent", "tool.result", "run.end"]), max_size=30)


def told(kinds: list[str], words: list[int] | None = None) -> ComparableRun:
    """Return a run with these kinds of events."""
    calls = [place for place, kind in enumerate(kinds) if kind == "tool.intent"]
    closing = len(kinds)
    while closing and kinds[closing - 1] == "run.end":
        closing -= 1
    return ComparableRun(kinds, words or [hash(kind) for kind in kinds], calls, closing)


@given(KINDS, KINDS)
def test_every_event_stands_in_one_pair_in_order(one: list[str], other: list[str]) -> None:
    """No event is lost or shown twice, and each side keeps its order."""
    pairs = align(told(one), told(other))
    assert [pair.left for pair in pairs if pair.left is not None] == list(range(len(one)))
    assert [pair.right for pair in pairs if pair.right is not None] == list(range(len(other)))


@given(KINDS)
def test_a_run_is_the_same_as_itself(kinds: list[str]) -> None:
    """Beside itself, nothing of a run differs."""
    assert align(told(kinds), told(kinds)) == [
        EventPair(i, i, same=True) for i in range(len(kinds))
    ]


def test_a_call_in_between_stands_alone() -> None:
    """A call that only one run makes has nothing beside it; those after it are aligned."""
    one = told(["tool.intent", "tool.intent"], [1, 3])
    other = told(["tool.intent", "tool.intent", "tool.intent"], [1, 2, 3])
    assert align(one, other) == [
        EventPair(0, 0, True),
        EventPair(None, 1, False),
        EventPair(1, 2, True),
    ]


def test_times_and_names_of_calls_do_not_differ() -> None:
    """What differs from run to run anyway is no difference; what was said is."""

    def made(data: str) -> int:
        return token(Event("r", 1, 0.0, "tool.result", "a", data, "", ""))

    first = made('{"call":"c1","seconds":0.1,"text":"\\"seconds\\":5"}')
    assert first == made('{"call":"x9","seconds":2e-05,"text":"\\"seconds\\":5"}')
    assert first != made('{"call":"c1","seconds":0.1,"text":"\\"seconds\\":6"}')


@pytest.mark.parametrize("name", ["id", "call", "tool_call_id", "owner", "result_sha256"])
def test_arguments_are_compared_whatever_they_are_called(name: str) -> None:
    """Two calls that differ in an argument are not the same, even if it is called as ids and owners are."""

    def made(value: str) -> int:
        data = canonical({"call": "c", "tool": "t.f", "arguments": {name: value}})
        return token(Event("r", 1, 0.0, "tool.intent", "a", data, "", ""))

    assert made("one") != made("other")


def test_ids_of_processes_do_not_differ() -> None:
    """The same commands with other process ids are the same."""

    def made(pid: int) -> int:
        effects = [effect("process", "exec", "/bin/a", pid=pid, argv=["a"])]
        data = canonical({"call": "c", "tool": "t.f", "effects": effects})
        return token(Event("r", 1, 0.0, "tool.result", "a", data, "", ""))

    assert made(7) == made(8)


def test_what_is_damaged_is_compared_as_it_is() -> None:
    """Data that is no JSON is told apart by its text."""
    one, other = (
        token(Event("r", 1, 0.0, "tool.result", "a", data, "", "")) for data in ("{x", "{y")
    )
    assert one != other


def test_two_runs_close_beside_each_other(tmp_path: Path) -> None:
    """Score and end of two runs are compared, however different their calls."""
    with fixed(tmp_path) as store:
        left, right = (Pages(store, run) for run in (HOSTILE, OTHER))
        pairs = align(read_run(left), read_run(right))
        assert (pairs[-1].left, pairs[-1].right) == (left.count() - 1, right.count() - 1)


def test_long_runs_that_repeat_are_aligned_soon() -> None:
    """Thousands of calls that repeat a few do not make the comparison endless."""
    one = told(["tool.intent"] * 20_000, [i % 7 for i in range(20_000)])
    other = told(["tool.intent"] * 19_000, [i % 5 for i in range(19_000)])
    with deadline(120):
        align(one, other)


def test_two_long_sides_that_are_alike_are_merged_at_once() -> None:
    """Lines that resemble each other one and all are no reason to look for the best pairs among them."""
    one, other = (
        [Block("x", "\n".join(f"value {i + by:05} of this thing" for i in range(4000)))]
        for by in (0, 50_000)
    )
    with deadline(60):
        lines = difference(one, other).text.splitlines()
    assert len([line for line in lines if line.startswith("- ")]) == 4000
    assert len([line for line in lines if line.startswith("+ ")]) == 4000


def test_merged_sides_keep_what_is_the_same_in_place() -> None:
    """What both sides have stands once, unmarked, where it was."""
    lines = difference([Block("x", "a\nb\nc")], [Block("x", "a\nB\nc")]).text.splitlines()
    assert [line[:2] + line[2:].strip() for line in lines[-4:]] == ["  a", "- b", "+ B", "  c"]
