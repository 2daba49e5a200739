"""Sweep files: what is wrong in them is told by file, line and the nearest valid name."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.errors import ScenarioError
from sandbox.sweeps import spec
from sandbox.sweeps.spec import SweepFile
from tests.support.sweeps import Sweeper

START = "schema: 1\nname: n\nscenarios: [injection]\nmodels: [scripted/safe]\n"
BROKEN = {
    "modles: [x]\n": "5: unknown key 'modles' — did you mean 'models'?",
    "repeat: 0\n": "5: repeat: input should be greater than or equal to 1",
    "repeat: many\n": "5: repeat: input should be a valid integer",
    "budget: { tokens: 5, euro: 1 }\n": "5: unknown key 'euro' — did you mean 'eur'?",
    "budget:\n  providers:\n    openai: { eur: -1 }\n": "7: budget.providers.openai.eur: input should",
    "defences:\n  none: { monitors: none, mode: enfroce }\n": "6: defences.none.mode: input should be",
    "defences: {}\n": "5: defences: dictionary should have at least 1 item",
    "defences:\n  a: { mode: enforce }\n  b: { mode: enforce }\n": "5: defences: 'b' is the same as 'a'",
    "parameters:\n  short: { limits: { turn: 3 } }\n": "unknown limit 'turn' — did you mean 'turns'?",
    "exclude:\n  - modell == 'x'\n": "6: exclude.0: unknown variable 'modell' — did you mean 'model'?",
    "include: ['model ==']\n": "5: include.0: not a CEL expression",
    "stop: { width: 2 }\n": "5: stop.width: input should be less than 1",
    "stop: { width: 0.1, by: [modle] }\n": "5: stop.by.0: input should be 'scenario'",
    "isolation: none\n": "5: isolation: input should be 'auto', 'docker', 'gvisor' or 'bubblewrap'",
    "parameters:\n  small: { bounds: { memory_bytes: 1KiB } }\n": "bound memory_bytes=1KiB: input should be greater than or equal to 67108864",
    "parameters:\n  small: { bounds: { memory: 1GiB } }\n": "unknown bound 'memory' — did you mean 'memory_bytes'?",
    "parameters:\n  small: { bunds: {} }\n": "6: unknown key 'bunds' — did you mean 'bounds'?",
    "baseline: {}\n": "5: baseline: one of 'sweep' and 'nights' says what to compare with",
    "languages: [en, en]\n": "5: languages: 'en' stands twice",
    "seed: -1\n": "5: seed: input should be greater than or equal to 0",
    "retention: { nights: 0 }\n": "5: retention.nights: input should be greater",
    "- x\n": "not YAML",
}


@pytest.mark.parametrize(("text", "expected"), BROKEN.items(), ids=BROKEN)
def test_what_is_wrong_is_named_by_line(tmp_path: Path, text: str, expected: str) -> None:
    """Each mistake is told with file, line and what would be right."""
    path = tmp_path / "s.yaml"
    path.write_text(START + text)
    with pytest.raises(ScenarioError) as error:
        spec.read(path)
    assert expected in str(error.value)
    assert "s.yaml:" in str(error.value)


NAMES = {
    "scenarios": (["injektion"], "did you mean"),
    "models": (["scripted/sfae"], "did you mean 'safe'"),
    "defences": (
        {"a": {"monitors": ["canry"]}},
        "unknown monitor 'canry' — did you mean 'canary'?",
    ),
}


@pytest.mark.parametrize("key", NAMES)
def test_names_that_are_not_there(sweeper: Sweeper, key: str) -> None:
    """Names of scenarios, models and monitors are looked up before anything runs."""
    value, expected = NAMES[key]
    with pytest.raises(ScenarioError) as error:
        sweeper.matrix(**{key: value})
    assert expected in str(error.value)
    assert "sweep.yaml:" in str(error.value)


def test_everything_wrong_is_told_at_once(sweeper: Sweeper) -> None:
    """A file with several mistakes is answered with all of them."""
    with pytest.raises(ScenarioError) as error:
        sweeper.matrix(scenarios=["nowhere", "injection"], models=["bad", "worse"])
    assert len(error.value.problems) == 3


def test_a_file_survives_being_stored(sweeper: Sweeper) -> None:
    """What stands in the store reads back as the same file."""
    made = sweeper.matrix(
        budget={"eur": 2, "providers": {"openai": {"tokens": 5}}},
        parameters={"short": {"limits": {"turns": 3}, "tool_lang": "fr"}},
        stop={"width": 0.2},
    ).spec
    assert SweepFile.model_validate(made.model_dump(mode="json", by_alias=True)) == made


def test_the_schema_tells_every_key() -> None:
    """An editor that completes from the schema knows and explains every key."""
    schema = SweepFile.model_json_schema(by_alias=True)
    assert schema["additionalProperties"] is False
    assert all("description" in value for value in schema["properties"].values())
