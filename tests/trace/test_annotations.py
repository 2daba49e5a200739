"""People's labels: checked, idempotent, corrections kept."""

from __future__ import annotations

import pytest

from sandbox.errors import InputError
from sandbox.trace.annotations import PERSON, LabelChange, annotate, history
from sandbox.trace.labels import Label, Labels
from sandbox.trace.store import Store


def label(value: str = "success", by: str = "ada", name: str = "outcome", note: str = "") -> Label:
    """Return a person's label."""
    return Label("r1", name, value, PERSON, by, note=note)


def test_setting_a_label_twice_changes_nothing(store: Store) -> None:
    """The same label again is left as it is, its time included."""
    assert annotate(store, [label()]) == LabelChange(added=1)
    at = Labels(store).of("r1")[0].at
    assert annotate(store, [label()]) == LabelChange(unchanged=1)
    assert (Labels(store).of("r1")[0].at, list(history(store))) == (at, [])


def test_a_correction_keeps_what_was_said_before(store: Store) -> None:
    """Values that were corrected stay, in order, beside the one that holds."""
    for value in ("success", "attempted", "unclear"):
        annotate(store, [label(value)])
    assert [item.label.value for item in history(store, "r1")] == ["success", "attempted"]
    assert [item.value for item in Labels(store).of("r1")] == ["unclear"]


def test_people_do_not_overwrite_each_other(store: Store) -> None:
    """Two people's labels of one run stand side by side."""
    annotate(store, [label("success", "ada"), label("resisted", "bo")])
    assert {x.by: x.value for x in Labels(store).of("r1")} == {"ada": "success", "bo": "resisted"}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (label("sucess"), "did you mean 'success'"),
        (label("5", name="harm"), "harm: unknown value"),
        (label(name="outcom"), "did you mean 'outcome'"),
        (label(by=" "), "whose labels"),
    ],
)
def test_a_label_that_does_not_exist(store: Store, wrong: Label, said: str) -> None:
    """An unknown label or value, or nobody behind it, is refused, and nothing of the group is set."""
    with pytest.raises(InputError, match=said):
        annotate(store, [label(), wrong])
    assert Labels(store).of("r1") == []
