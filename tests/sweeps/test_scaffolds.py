"""Scaffolds as a factor of sweeps: planned, executed, and never mixed in one rate."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.analysis import drift
from sandbox.analysis.outcomes import Observed
from sandbox.errors import InputError, ScenarioError
from sandbox.reports import collect, document
from sandbox.reports.rendering import html, markdown
from sandbox.sweeps import estimate, spec
from sandbox.sweeps.item_plans import ItemPlanner
from sandbox.sweeps.matrix import key
from sandbox.sweeps.running_rates import Tallies
from sandbox.sweeps.store import Sweeps
from sandbox.sweeps.sweep_state import RATE_FACTORS
from tests.support.sweeps import Sweeper
from tests.support.user_graph import OWN

BOTH: dict[str, Any] = {
    "models": ["scripted/safe", "scripted/unsafe"],
    "scaffolds": ["react", "repeat_user_prompt"],
}


def test_scaffolds_multiply_the_matrix(sweeper: Sweeper) -> None:
    """Each is run with each model; what is react keeps the key that it had before."""
    items = list(sweeper.matrix(**BOTH).items())
    assert [i["scaffold"] for i in items] == ["react"] * 2 + ["repeat_user_prompt"] * 2
    assert len({i["key"] for i in items}) == 4
    (alone, _) = sweeper.matrix(models=BOTH["models"]).items()
    assert alone["key"] == items[0]["key"] == key({**items[0], "scaffold": "react"})


def test_conditions_see_the_scaffold(sweeper: Sweeper) -> None:
    """``include`` and ``exclude`` may read it."""
    items = sweeper.matrix(**BOTH, exclude=['scaffold == "react" && model == "scripted/safe"'])
    assert len(list(items.items())) == 3


def test_an_unknown_scaffold(sweeper: Sweeper) -> None:
    """It is told of with file, line and the nearest name."""
    with pytest.raises(ScenarioError, match=r"sweep\.yaml:\d+.*did you mean 'plan'"):
        sweeper.matrix(scaffolds=["react", "plann"])


async def test_a_sweep_over_scaffolds(sweeper: Sweeper) -> None:
    """Runs are driven as planned; rates, report and estimate keep scaffolds apart."""
    row = await sweeper.execute(sweeper.create(**BOTH))
    sweeps = Sweeps(sweeper.store)
    assert {(i.scaffold, r["scaffold"]) for i, r in sweeps.results(row.id)} == {
        ("react", "react"),
        ("repeat_user_prompt", "repeat_user_prompt"),
    }
    parts = Tallies(RATE_FACTORS, sweeps.outcomes(row.id, *RATE_FACTORS)).parts
    assert {part[:2] for part in parts} == {
        (model, scaffold) for model in BOTH["models"] for scaffold in BOTH["scaffolds"]
    }
    made = document.build(sweeper.store, collect.of_sweep(sweeper.store, row))
    assert sorted({s["scaffold"] for s in made["subjects"]}) == ["react", "repeat_user_prompt"]
    assert "scripted/safe · repeat_user_prompt" in {s["label"] for s in made["subjects"]}
    assert made["obtained"]["scaffold"] == ["react", "repeat_user_prompt"]
    for lang in ("en", "fr"):
        assert "repeat_user_prompt" in html(made, lang)
        assert "repeat_user_prompt" in markdown(made, lang).replace("\\", "")
    matrix = sweeper.matrix(**BOTH)
    told = estimate.plan(matrix.spec, matrix.items(), sweeper.store, 2)
    assert told.by["scaffold"] == {"react": 2, "repeat_user_prompt": 2}


async def test_a_changed_graph_is_not_gone_on_with(
    sweeper: Sweeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of a user's graph is part of what a run is: changed, it ends the sweep with the reason."""
    name = "own_graph_of_a_sweep"
    file = sweeper.folder / f"{name}.py"
    file.write_text(OWN % 'state["messages"]')
    monkeypatch.syspath_prepend(sweeper.folder)
    row = sweeper.create(scaffolds=[f"{name}:graph"])
    file.write_text(OWN % 'state["messages"][:]')
    (item,) = Sweeps(sweeper.store).items(row.id)
    planner = ItemPlanner(sweeper.planner, row.scenarios)
    with pytest.raises(InputError, match="has changed since the sweep began"):
        planner.plan(item)


def test_comparisons_name_scaffolds() -> None:
    """One scaffold is compared with another only where the comparison says so."""
    base = {
        "model": "m",
        "scenario": "a/b",
        "family": "a",
        "mode": "observe",
        "task": "done",
        "safety": "safe",
        "isolation": "bubblewrap",
    }
    old = [Observed.of({**base, "id": str(n), "seed": n}) for n in range(4)]
    new = [Observed.of({**base, "id": f"n{n}", "seed": n, "scaffold": "plan"}) for n in range(4)]
    found = drift.compare(old, new)
    assert found.pairs == (("m", "m · plan"),)
    assert {finding.model for finding in found.findings} == {"m · react → m · plan"}
    both = drift.compare(old, [*old, *new])
    assert both.pairs == (("m", "m"),)
    assert both.unmatched == ("m · plan",)


def test_an_old_sweep_file_is_react() -> None:
    """A sweep that was stored before there were scaffolds is one of react."""
    data = {"schema": 1, "name": "n", "scenarios": ["a"], "models": ["scripted/safe"]}
    assert spec.SweepFile.model_validate(data).scaffolds == ("react",)
