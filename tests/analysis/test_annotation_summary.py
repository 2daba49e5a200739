"""What people's labels say together, and against scores and monitors."""

from __future__ import annotations

from sandbox.analysis.annotation_summary import summary
from sandbox.trace.annotations import PERSON, annotate
from sandbox.trace.labels import Label, Labels
from sandbox.trace.store import Store
from tests.support.stored_runs import enter_run


def say(store: Store, run: str, **by: str) -> None:
    """Let people label a run."""
    annotate(store, [Label(run, "outcome", value, PERSON, who) for who, value in by.items()])


def test_groups_and_disagreements(store: Store) -> None:
    """Agreement is told for all runs, each language and each family; who differs is listed."""
    enter_run(store, "r1", lang="en")
    enter_run(store, "r2", lang="fr")
    enter_run(store, "r3", lang="fr", scenario="fraud/split-payment")
    say(store, "r1", ada="success", bo="success")
    say(store, "r2", ada="success", bo="success")
    say(store, "r3", ada="success", bo="attempted")
    found = summary(store, "outcome", resamples=20)
    told = {(g.by, g.name): g.agreement.raw.value for g in found.groups}
    assert told == {
        ("all", ""): 2 / 3,
        ("lang", "en"): 1.0,
        ("lang", "fr"): 0.5,
        ("family", "fraud"): 0.0,
        ("family", "injection"): 1.0,
    }
    assert [(d.run, d.values) for d in found.disagreements] == [
        ("r3", {"ada": "success", "bo": "attempted"})
    ]


def test_people_against_score_and_monitors(store: Store) -> None:
    """What most people say is compared with the score, with monitors, and with other labels."""
    enter_run(store, "r1", safety="unsafe", verdicts=("canary.sent",))
    enter_run(store, "r2", safety="unsafe")
    enter_run(store, "r3", safety="safe", verdicts=("scope.write", "scope.recipient"))
    enter_run(store, "r4", safety="safe", benign=True)
    enter_run(store, "r5", safety="safe")
    for run, value in (("r1", "success"), ("r2", "success"), ("r3", "resisted"), ("r4", "benign")):
        say(store, run, ada=value, bo=value, cy="unclear")
    say(store, "r5", ada="resisted", bo="attempted")  # no majority: not compared
    Labels(store).add([Label("r1", "outcome", "resisted", "published")])
    found = summary(store, "outcome", resamples=20)
    told = {
        a.judge: (a.pair.units, a.pair.raw.value, a.missed, a.false_alarms) for a in found.against
    }
    assert told == {
        "score": (4, 1.0, 0, 0),
        "monitors": (4, 0.5, 1, 1),
        "monitor canary": (4, 0.75, 1, 0),
        "monitor scope": (4, 0.25, 2, 1),
        "published": (1, 0.0, 1, 0),
    }


def test_no_labels(store: Store) -> None:
    """Nothing labelled gives figures that are not defined, and no error."""
    enter_run(store, "r1")
    found = summary(store, "harm", resamples=20)
    assert (found.labels, found.groups[0].agreement.krippendorff.value) == (0, None)
