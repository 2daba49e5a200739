"""The matrix: every combination once, in an order that a stop in the middle leaves balanced."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from sandbox.errors import ScenarioError
from sandbox.sweeps.store import Sweeps
from tests.support.chat_server import ChatServer
from tests.support.judges import says
from tests.support.runner import SCENARIO
from tests.support.sweeps import Sweeper

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
    assert [item["repetition"] for item in items] == sorted(
        int(str(item["repetition"])) for item in items
    )


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
    assert not [i for i in items if i["lang"] == "fr" and "mixed" in str(i["model"])]
    assert all(item["defence"] == "flow" or item["repetition"] == 0 for item in items)
    tagged = sweeper.matrix(include=['tags.exists(t, t.startsWith("owasp-asi:"))'])
    assert len(list(tagged.items())) == 1


def test_a_path_beside_the_file(sweeper: Sweeper) -> None:
    """A suite that lies beside the sweep file is found from there."""
    (sweeper.folder / "suite.yaml").write_text(f"- {SCENARIO}\n")
    assert [item["scenario"] for item in sweeper.matrix(scenarios=["suite.yaml"]).items()] == [
        SCENARIO
    ]


def test_policies_and_judges_make_a_defence_another(sweeper: Sweeper) -> None:
    """What follows from scores and who judges is part of what a run is; a plain defence keeps its key."""
    judges = {"models": ["openai/gpt-4o-mini"], "lang": "fr"}
    made = sweeper.matrix(
        defences={"plain": {}, "policy": {"policy": "combined"}, "judged": {"judges": judges}}
    )
    found = {item["defence"]: item for item in made.items()}
    assert len({item["key"] for item in found.values()}) == 3
    assert found["plain"]["params"] == {}
    assert found["policy"]["params"] == {"policy": "combined"}
    assert found["judged"]["params"] == {"judges": judges}


def test_a_policy_and_a_model_that_are_not_there(sweeper: Sweeper) -> None:
    """Both errors name their line and what is there."""
    judges = {"models": ["scripted/safe"]}
    with pytest.raises(ScenarioError) as raised:
        sweeper.matrix(defences={"one": {"policy": "combind", "judges": judges}})
    first, second = raised.value.problems
    assert (first.line, "did you mean 'combined'" in first.message) == (9, True)
    assert (second.line, "plays a scenario's agent" in second.message) == (12, True)


async def test_they_are_in_the_runs(sweeper: Sweeper, chat_server: ChatServer) -> None:
    """A sweep's runs are judged and weighed as its defence says."""
    chat_server.does(says(0.9))
    defence = {
        "monitors": ["judge-prefix"],
        "policy": "combined",
        "judges": {"models": [chat_server.model(timeout=30)]},
    }
    row = sweeper.create(defences={"one": defence}, models=["scripted/unsafe"])
    done = await sweeper.execute(row)
    assert done.status == "finished"
    (run,) = sweeper.store.runs()
    start = sweeper.store.content(next(iter(sweeper.store.events(run.id))))
    assert set(start["judges"]) == {"judge-prefix.judge"}
    assert "steering" in start["monitors"]
    assert "policy" in start
    assert run.result is not None
    judges = run.result["judges"]
    assert judges["calls"] > 0
    counts = Sweeps(sweeper.store).counts(row.id)[()]
    assert (counts.judge_tokens, counts.judge_cost_eur) == (judges["tokens"], judges["cost_eur"])
    assert counts.judge_tokens > 0
    assert counts.tokens == run.result["tokens"]
