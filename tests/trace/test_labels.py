"""Labels: kept beside the evidence, one for each run, name, source and person."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.errors import InputError
from sandbox.trace.labels import Label, Labels
from sandbox.trace.store import Store


@pytest.fixture
def labels(tmp_path: Path) -> Labels:
    """Return the labels of an empty store."""
    return Labels(Store(str(tmp_path / "runs.db")))


def test_a_label_is_found_again(labels: Labels) -> None:
    """What was set is found by run, with all that was said."""
    label = Label("r1", "outcome", "success", "person", "ada", 7.0, "the mail went out")
    assert labels.add([label]) == 1
    assert labels.of("r1") == [label]
    assert labels.of("r1")[0].at == 7.0
    assert labels.of("r2") == []


def test_setting_a_label_again_replaces_it(labels: Labels) -> None:
    """One value stands for each run, name, source and person."""
    labels.add([Label("r1", "outcome", "success", "person", "ada")])
    labels.add([Label("r1", "outcome", "resisted", "person", "ada", note="looked again")])
    assert [(found.value, found.note) for found in labels.of("r1")] == [
        ("resisted", "looked again")
    ]


def test_people_and_sources_stand_side_by_side(labels: Labels) -> None:
    """Two people may differ, and a published label stays what it was."""
    labels.add(
        [
            Label("r1", "outcome", "success", "person", "ada", 1.0),
            Label("r1", "outcome", "resisted", "person", "bo", 2.0),
            Label("r1", "outcome", "resisted", "published"),
        ]
    )
    assert len(labels.of("r1")) == 3
    assert labels.values("outcome", "published") == {"r1": "resisted"}
    assert labels.values("outcome", "person") == {"r1": "resisted"}
    assert labels.sources("outcome") == ["person", "published"]
    labels.remove([Label("r1", "outcome", "", "person", "bo")])
    assert labels.values("outcome", "person") == {"r1": "success"}


def test_many_labels_are_set_at_once(labels: Labels) -> None:
    """Thousands take a few transactions."""
    assert labels.add(Label(f"r{n}", "outcome", "benign", "published") for n in range(2500)) == 2500
    assert len(labels.values("outcome", "published")) == 2500


def test_an_incomplete_label_is_refused(labels: Labels) -> None:
    """A label without a source would be nobody's."""
    with pytest.raises(InputError, match="needs run, name, source and value"):
        labels.add([Label("r1", "outcome", "success", "")])
