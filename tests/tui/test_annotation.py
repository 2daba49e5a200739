"""The labelling screen: a queue of runs, labels by keys, stored at once, others' labels withheld."""

from __future__ import annotations

import pytest

from sandbox.analysis.annotation_session import Sitting
from sandbox.analysis.annotation_summary import summary
from sandbox.errors import InputError
from sandbox.trace.annotations import PERSON, annotate, history
from sandbox.trace.labels import Label, Labels
from sandbox.trace.store import Store
from sandbox.tui.app import LabellingApp
from sandbox.tui.screens.annotation import LabelScreen
from sandbox.tui.widgets.rows import Rows
from tests.support.traces import HOSTILE, OTHER, TEAM
from tests.support.tui_pilot import SIZES, Compare, keys, seen

QUEUE = (HOSTILE, OTHER, TEAM)
SIZE = (80, 24)


def said(store: Store, run: str, by: str = "ada") -> dict[str, str]:
    """Return what a person said of a run."""
    return {x.name: x.value for x in Labels(store).find(run=run, source=PERSON, by=by)}


def screen(app: LabellingApp) -> LabelScreen:
    """Return the screen that is shown."""
    assert isinstance(app.screen, LabelScreen)
    return app.screen


async def test_digits_are_labels_and_stored_at_once(runs: Store) -> None:
    """Each digit says the value that stands behind it and goes to the next question."""
    app = LabellingApp(Sitting(runs, "ada", QUEUE))
    async with app.run_test(size=SIZE) as pilot:
        await keys("1", "1", "4", "2")(pilot)
        assert "last question" not in seen(app.screen)
        assert said(runs, HOSTILE) == {
            "task": "done",
            "outcome": "success",
            "harm": "4",
            "judge": "incorrect",
        }


async def test_a_verdict_is_shown_and_labelled(runs: Store) -> None:
    """The question about a verdict puts the cursor on its event; its label has a name of its own."""
    app = LabellingApp(Sitting(runs, "ada", QUEUE))
    async with app.run_test(size=SIZE) as pilot:
        await keys("i", "i", "i", "i", "1")(pilot)
        event = next(a.event for a in Sitting(runs, "ada", QUEUE).asked() if a.verdict)
        assert screen(app).seq == event
        assert said(runs, HOSTILE) == {f"verdict@{event}": "correct"}
        assert summary(runs, "verdict").runs == 1
        assert "that was the last question" in seen(app.screen)


def test_a_label_of_a_verdict_needs_one(runs: Store) -> None:
    """An event that is no verdict cannot be labelled as one."""
    with pytest.raises(InputError, match="is no verdict"):
        annotate(runs, [Label(HOSTILE, "verdict@1", "correct", PERSON, "ada")])


async def test_one_goes_on_where_one_stopped(runs: Store) -> None:
    """A run that was begun comes first; one that is done is followed by the next without a label."""
    app = LabellingApp(Sitting(runs, "ada", QUEUE))
    async with app.run_test(size=SIZE) as pilot:
        await keys("1", "greater_than_sign", "2", "2")(pilot)
    assert Sitting(runs, "ada", QUEUE).run == OTHER
    again = LabellingApp(Sitting(runs, "ada", QUEUE))
    async with again.run_test(size=SIZE) as pilot:
        await keys("0", "1")(pilot)
    assert Sitting(runs, "ada", QUEUE).run == TEAM
    assert Sitting(runs, "bob", QUEUE).run == HOSTILE


async def test_a_label_is_corrected_and_taken_back_with_history(runs: Store) -> None:
    """What was said stays as history, whether it is said anew or taken back."""
    app = LabellingApp(Sitting(runs, "ada", QUEUE))
    async with app.run_test(size=SIZE) as pilot:
        await keys("1", "I", "2", "I", "backspace")(pilot)
        assert said(runs, HOSTILE) == {}
    assert [past.label.value for past in history(runs, HOSTILE)] == ["done", "refused"]


async def test_a_note_stands_by_the_labels_of_the_run(runs: Store) -> None:
    """A note is asked for by ``w``, and further labels of the run get it too."""
    app = LabellingApp(Sitting(runs, "ada", QUEUE))
    async with app.run_test(size=SIZE) as pilot:
        await keys("1", "w", "h", "m", "enter", "1")(pilot)
        notes = {x.name: x.note for x in Labels(runs).find(run=HOSTILE, by="ada")}
        assert notes == {"task": "hm", "outcome": "hm"}


async def test_others_and_the_outcome_are_withheld_until_asked(runs: Store) -> None:
    """Neither labels of others nor model, score and start are shown, and a search finds none of them."""
    annotate(runs, [Label(HOSTILE, "outcome", "resisted", PERSON, "bob")])
    app = LabellingApp(Sitting(runs, "ada", QUEUE))
    async with app.run_test(size=(200, 50)) as pilot:
        await keys("G")(pilot)
        blind = seen(app.screen)
        assert "bob" not in blind
        assert "unsafe" not in blind
        assert "score" not in blind
        await keys("B", "G")(pilot)
        shown = seen(app.screen)
        assert "bob: resisted" in shown
        assert "unsafe" in shown


async def test_no_key_leads_to_other_runs(runs: Store) -> None:
    """Side by side, parent and forks are not to be had: they would tell what came of other runs."""
    app = LabellingApp(Sitting(runs, "ada", QUEUE))
    async with app.run_test(size=SIZE) as pilot:
        await keys("b", "p", "o")(pilot)
        assert isinstance(app.screen, LabelScreen)


async def test_a_digit_without_a_value_says_nothing(runs: Store) -> None:
    """A digit that stands for no value changes nothing."""
    app = LabellingApp(Sitting(runs, "ada", QUEUE))
    async with app.run_test(size=SIZE) as pilot:
        await keys("9")(pilot)
        assert said(runs, HOSTILE) == {}
        assert app.screen.query_one("#panel", Rows).cursor == 0


def test_an_empty_queue_is_told(runs: Store) -> None:
    """A queue without runs, or a person without a name, is an error in words."""
    with pytest.raises(InputError, match="no such runs"):
        Sitting(runs, "ada", ())
    with pytest.raises(InputError, match="whose labels"):
        Sitting(runs, " ", QUEUE)


@SIZES
def test_labelling(snap_compare: Compare, runs: Store, size: tuple[int, int]) -> None:
    """A run with hostile output, half labelled, at its verdict."""
    app = LabellingApp(Sitting(runs, "ada", QUEUE))
    assert snap_compare(app, terminal_size=size, run_before=keys("1", "1", "3", "2"))
