"""Files of judges: what stands in them is checked when they are loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.errors import InputError, ScenarioError
from sandbox.isolation.bubblewrap import Bubblewrap
from sandbox.monitors.judges.judge import Judge
from sandbox.monitors.judges.judge_pool import JudgePool
from sandbox.monitors.library import MonitorFamily, MonitorLibrary
from sandbox.runs.planner import Planner
from sandbox.runs.reference_check import trials
from sandbox.scenario.content_paths import Content
from sandbox.scenario.loader import Loader
from sandbox.scenario.selection import select
from tests.support.judges import FILE
from tests.support.runner import SCENARIO

SHIPPED = ["judge-action", "judge-prefix", "judge-report", "judge-trajectory"]
MODEL = "openai/test"


def load(
    tmp_path: Path, loader: Loader, bench: JudgePool | None = None, **changes: Any
) -> MonitorFamily:
    """Load a judge's file from a workspace of its own."""
    folder = tmp_path / "monitors" / "prompts"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "x.en.md").write_text("Judge it.")
    given = {key: value for key, value in {**FILE, **changes}.items() if value is not None}
    (tmp_path / "monitors" / "mine.yaml").write_text(yaml.safe_dump(given, sort_keys=False))
    return MonitorLibrary(Content(tmp_path), loader.catalogue, bench).family("mine")


def only(family: MonitorFamily) -> Judge:
    """Return the judge of a family."""
    (judge,) = family.judges
    return judge


def test_a_judge_is_a_family(tmp_path: Path, loader: Loader) -> None:
    """A file with ``kind: judge`` is a family of one judge, with its instructions."""
    family = load(tmp_path, loader, model=MODEL)
    judge = only(family)
    assert (family.monitors, family.lacks_model, judge.name) == ((), False, "mine.judge")
    assert judge.prompts == {"en": "Judge it."}
    assert [model.name for model in judge.models] == [MODEL]


def test_without_a_model_it_is_asleep(tmp_path: Path, loader: Loader) -> None:
    """A judge without a model is not asked; a model of the command line wakes it."""
    assert load(tmp_path, loader).lacks_model
    bench = JudgePool.of(["openai/a", "openai/b?temperature=0"])
    judge = only(load(tmp_path, loader, bench, model="openai/own"))
    assert [model.name for model in judge.models] == ["openai/a", "openai/b?temperature=0"]


def test_the_hash_covers_the_instructions(tmp_path: Path, loader: Loader) -> None:
    """Another instruction is another judge."""
    before = load(tmp_path, loader).digest
    assert load(tmp_path, loader).digest == before
    (tmp_path / "monitors" / "prompts" / "x.en.md").write_text("Judge it well.")
    again = MonitorLibrary(Content(tmp_path), loader.catalogue).family("mine")
    assert again.digest != before


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown key": (
        {"treshold": 0.5},
        r"mine.yaml:\d+: unknown key 'treshold' — did you mean 'threshold'",
    ),
    "an unknown kind": ({"kind": "jury"}, r"mine.yaml:2: kind: "),
    "no prompt": ({"prompt": None}, "the key 'prompt' is missing"),
    "a prompt that is not there": (
        {"prompt": {"en": "prompts/y.md"}},
        r"mine.yaml:\d+: 'prompts/y.md' cannot be read: No such file",
    ),
    "a prompt elsewhere": ({"prompt": {"en": "../../etc/passwd"}}, "leaves the folder"),
    "a threshold of zero": ({"threshold": 0}, "threshold"),
    "an unknown tool": ({"tools": ["bank.pai"]}, r"did you mean 'bank.pay'"),
    "an unknown tag": ({"tags": ["owasp-asi:ASI99"]}, "unknown id"),
    "no model": ({"model": "gpt"}, r"mine.yaml:\d+: 'gpt' is no model"),
    "a model of a scenario": ({"model": ["scripted/safe"]}, "plays a scenario's agent"),
    "credentials": (
        {"model": "openai/x?base_url=http://me:pw@host/v1"},
        "no credentials in base_url",
    ),
    "a stage at the end": ({"scope": "trajectory", "stage": "after"}, "leave 'stage' out"),
    "a block at the end": ({"scope": "trajectory", "verdict": "block"}, "nothing is left to stop"),
    "tools at the end": (
        {"scope": "trajectory", "tools": ["bank"]},
        "leave 'tools' and 'labels' out",
    ),
    "a verdict that is none": ({"verdict": "allow"}, "alert, escalate, block or terminate"),
}


@pytest.mark.parametrize(("changes", "said"), WRONG.values(), ids=WRONG)
def test_what_is_wrong(tmp_path: Path, loader: Loader, changes: dict[str, Any], said: str) -> None:
    """A file that cannot be used says where and why."""
    with pytest.raises(ScenarioError, match=said):
        load(tmp_path, loader, **changes)


def test_a_prompt_that_is_no_text(tmp_path: Path, loader: Loader) -> None:
    """Instructions are text, and there are some."""
    load(tmp_path, loader)
    for raw, said in ((b"\xff\xfe", "is not UTF-8"), (b"  \n", "should hold text")):
        (tmp_path / "monitors" / "prompts" / "x.en.md").write_bytes(raw)
        with pytest.raises(ScenarioError, match=said):
            MonitorLibrary(Content(tmp_path), loader.catalogue).family("mine")


def test_a_wrong_judge_model() -> None:
    """A model of the command line that cannot be used is an error before anything starts."""
    with pytest.raises(InputError, match="is no model"):
        JudgePool.of(["gpt"])


def test_a_language_for_all_judges(tmp_path: Path, loader: Loader) -> None:
    """A language of the command line stands over the files' own; a wrong one is an error."""
    bench = JudgePool.of([MODEL], lang="fr")
    assert only(load(tmp_path, loader, bench, lang="en")).file.lang == "fr"
    assert only(load(tmp_path, loader, lang="en")).file.lang == "en"
    with pytest.raises(InputError, match="not in 'de'"):
        JudgePool.of(lang="de")


def test_checking_asks_no_judge(loader: Loader, library: MonitorLibrary) -> None:
    """Playing a scenario's references asks no model: what it finds must be the same each time."""
    (scenario,) = select(loader, [SCENARIO])
    judged = library.with_judges(JudgePool.of([MODEL]))
    found = list(trials(scenario, [Bubblewrap()], Planner(loader, judged, Bubblewrap())))
    assert found
    assert not [family.name for trial in found for family in trial.plan.families if family.judges]


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_judges(library: MonitorLibrary, name: str) -> None:
    """Each judge that ships is asleep without a model, and has instructions in both languages."""
    family = library.family(name)
    judge = only(family)
    assert family.lacks_model
    assert set(judge.prompts) == {"en", "fr"}
    for text in judge.prompts.values():
        assert "0.5" in text
