"""The matrix: every combination once, in an order that a stop in the middle leaves balanced."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.running import SCENARIO
from tests.sweeps.conftest import Sweeper

WIDE: dict[str, Any] = {
    "scenarios": ["injection/changed-*"],
    "models": ["scripted/safe", "scripted/mixed?p=0.5"],
    "defences": {"none": {"monitors": "none"}, "flow": {"monitors": ["canary"], "mode": "enforce"}},
    "languages": ["en", "fr"],
    "parameters": {"default": {}, "short": {"limits": {"turns": 3}}},
    "repeat": 3,
    "seed": 7,
}


def test_every_combination_once(sweeper: Sweeper) -> None:
    """Runs are the product of all factors; seeds are the same for every model and defence."""
    items = list(sweeper.matrix(**WIDE).items())
    assert len(items) == len({item["key"] for item in items}) == 2 * 2 * 2 * 2 * 2 * 3
    assert Counter(item["seed"] for item in items) == {7: 32, 8: 32, 9: 32}
    assert [item["repetition"] for item in items] == sorted(item["repetition"] for item in items)


def test_keys_are_what_a_run_is(sweeper: Sweeper) -> None:
    """The same run has the same key in another file, whatever its sets are called there."""
    one = sweeper.matrix(defences={"a": {"mode": "enforce"}})
    two = sweeper.matrix(defences={"b": {"mode": "enforce"}, "c": {}}, name="other", repeat=2)
    (first,) = one.items()
    keys = {item["defence"]: item["key"] for item in two.items() if item["repetition"] == 0}
    assert keys["b"] == first["key"] != keys["c"]


def test_conditions_choose(sweeper: Sweeper) -> None:
    """Of what is included, what is excluded is left out; both see factors and the scenario's risk."""
    made = sweeper.matrix(
        **WIDE,
        include=['defence == "flow"', "repetition == 0"],
        exclude=['benign || lang == "fr" && model.startsWith("scripted/mixed")'],
    )
    items = list(made.items())
    assert {item["benign"] for item in items} == {False}
    assert not [i for i in items if i["lang"] == "fr" and "mixed" in i["model"]]
    assert all(item["defence"] == "flow" or item["repetition"] == 0 for item in items)
    tagged = sweeper.matrix(include=['tags.exists(t, t.startsWith("owasp-asi:"))'])
    assert len(list(tagged.items())) == 1


def test_a_path_beside_the_file(sweeper: Sweeper) -> None:
    """A suite that lies beside the sweep file is found from there."""
    (sweeper.folder / "suite.yaml").write_text(f"- {SCENARIO}\n")
    assert [item["scenario"] for item in sweeper.matrix(scenarios=["suite.yaml"]).items()] == [
        SCENARIO
    ]
