"""Sweeps from Python: by a file or by what would stand in it, in a script and in a notebook."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import sandbox
from sandbox.sweeps.store import Sweeps
from tests.support.runner import SCENARIO

ROOT = Path(__file__).resolve().parents[2]
SWEEP: dict[str, Any] = {
    "schema": 1,
    "name": "small",
    "scenarios": [SCENARIO],
    "models": ["scripted/safe", "scripted/unsafe"],
    "isolation": "bubblewrap",
    "parameters": {
        "usual": {},
        "large": {"bounds": {"memory_bytes": "1GiB"}, "limits": {"turns": 9}},
    },
}
pytestmark = pytest.mark.usefixtures("backend")


def test_a_sweep_by_its_data_and_by_its_file(store: sandbox.Store, tmp_path: Path) -> None:
    """Both are the same sweep: every point is run once, and the results say how it ended."""
    file = tmp_path / "sweep.yaml"
    file.write_text(yaml.safe_dump(SWEEP, sort_keys=False))
    found = [
        sandbox.sweep(what, store=store, workspace=ROOT, at_once=2)
        for what in (SWEEP, file, str(file))
    ]
    for each in found:
        assert (each.name, each.status, len(each), each.counts.failed) == (
            "small",
            "finished",
            4,
            0,
        )
        assert sorted(run.safety for run in each) == ["safe", "safe", "unsafe", "unsafe"]
        assert repr(each).startswith(f"sweep {each.id} (small) is finished; 4/4 runs\nmodel ")
        assert "<pre>" in each._repr_html_()
    keys = [[item.key for item in Sweeps(store).items(each.id)] for each in found]
    assert keys[0] == keys[1] == keys[2]


def test_in_a_notebook(store: sandbox.Store) -> None:
    """Under a running event loop both ways work."""

    async def notebook() -> list[str]:
        options = {"store": store, "workspace": ROOT}
        first = sandbox.sweep(SWEEP, **options)  # type: ignore[arg-type]
        second = await sandbox.sweep_async(SWEEP, **options)  # type: ignore[arg-type]
        return [first.status, second.status]

    assert asyncio.run(notebook()) == ["finished", "finished"]


def test_a_budget_stops_it(store: sandbox.Store) -> None:
    """What is given by name stands in place of the file's."""
    found = sandbox.sweep(SWEEP, store=store, workspace=ROOT, budget={"seconds": 0.000001})
    assert (found.status, len(found)) == ("stopped", 0)
    assert found.reason in repr(found)


def test_bounds_of_a_sweep_are_on_record(store: sandbox.Store) -> None:
    """Each set of parameters has its bounds, in the trace and as numbers in the item."""
    found = sandbox.sweep(SWEEP, store=store, workspace=ROOT)
    for item in Sweeps(store).items(found.id):
        start = json.loads(next(iter(store.events(str(item.run)))).data)
        large = item.parameters == "large"
        assert start["bounds"]["memory_bytes"] == (2**30 if large else 2**29)
        assert item.params.get("bounds", {}) == ({"memory_bytes": 2**30} if large else {})


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"models": ["scripted/saef"]}, "the sweep: .*did you mean 'safe'"),
        ({"modles": []}, "the sweep: unknown key 'modles' — did you mean 'models'?"),
        ({"budget": {"euro": 1}}, "unknown key 'euro'"),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(
    store: sandbox.Store, changes: dict[str, Any], problem: str
) -> None:
    """Mistakes are errors of the sandbox's own."""
    with pytest.raises(sandbox.InputError, match=problem):
        sandbox.sweep({**SWEEP, **changes}, store=store, workspace=ROOT)
    assert store.runs() == []
