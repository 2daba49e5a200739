"""The documents say what the code says."""

from __future__ import annotations

import json
import re
import tomllib

import pytest

from sandbox.enums import Stage
from sandbox.models import families, options
from sandbox.monitors.judges.schema import JudgeFile
from sandbox.monitors.library import MonitorLibrary
from sandbox.scenario.checks import RULE_FUNCTIONS, RULE_VARIABLES
from sandbox.scenario.content_paths import Content
from sandbox.scenario.loader import Loader
from sandbox.scenario.toolkits import FLAGS, NAMES
from sandbox.trace.event_types import KINDS
from tests.support import REPOSITORY

EVENTS = (REPOSITORY / "docs" / "events.md").read_text("utf-8")
MONITORS = (REPOSITORY / "docs" / "monitors.md").read_text("utf-8")
JUDGES = (REPOSITORY / "docs" / "judges.md").read_text("utf-8")
TOOLS = (REPOSITORY / "docs" / "tools.md").read_text("utf-8")
MODELS = (REPOSITORY / "docs" / "models.md").read_text("utf-8")


def _section(kind: str) -> str:
    return EVENTS.split(f"\n### {kind}\n", 1)[1].split("\n### ", 1)[0]


def test_every_kind_of_event_has_a_heading_and_every_heading_is_a_kind() -> None:
    """docs/events.md describes the kinds that there are, in their order."""
    assert list(KINDS) == re.findall(r"^### (\S+)$", EVENTS, re.MULTILINE)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_event_has_an_example(kind: str) -> None:
    """Each example is JSON, and the fields in it are described above it."""
    text, example = _section(kind).split("```json\n")
    for field in json.loads(example.split("```")[0]):
        assert f"`{field}`" in text


def test_every_variable_and_function_of_conditions_is_described() -> None:
    """docs/monitors.md names all that a condition may use."""
    for name in {*RULE_VARIABLES[Stage.AFTER]}:
        assert re.search(rf"`{name}[`.]", MONITORS), name
    for name in RULE_FUNCTIONS:
        assert f"`{name}(" in MONITORS


def test_every_shipped_monitor_is_listed(library: MonitorLibrary) -> None:
    """The table of families names each monitor with what follows from it."""
    for family in library.choose(None):
        for monitor in family.monitors:
            assert f"`{monitor.name}`" in MONITORS


def test_every_shipped_judge_and_every_key_of_their_files_is_described(
    library: MonitorLibrary,
) -> None:
    """docs/judges.md names each judge, and shows each key."""
    for family in library.choose(None):
        if family.judges:
            assert f"| `{family.name}` |" in JUDGES
    for name, field in JudgeFile.model_fields.items():
        assert f"\n{field.alias or name}: " in JUDGES


def test_every_shipped_tool_and_label_is_listed(loader: Loader, content: Content) -> None:
    """docs/tools.md names each tool, each world section and each label."""
    for toolkit in loader.catalogue.toolkits():
        for name in (*toolkit.tools, *(f"world.{section}" for section in toolkit.world)):
            assert f"`{name}`" in TOOLS
    for label in (*FLAGS, *NAMES):
        assert f"`{label}`" in TOOLS


def test_the_changelog_has_the_form_of_keep_a_changelog() -> None:
    """Versions newest first with dates, the package's among them; kinds of change and nothing else."""
    text = (REPOSITORY / "CHANGELOG.md").read_text("utf-8")
    first, *versions = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert first == "[Unreleased]"
    dates = [re.fullmatch(r"\[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)", item) for item in versions]
    assert all(dates)
    found = [(item[2], item[1]) for item in dates if item]
    assert found == sorted(found, reverse=True)
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    assert found[0][1] == project["version"]
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.*)$", text, re.MULTILINE)) <= kinds


def test_every_option_and_provider_of_models_is_described() -> None:
    """docs/models.md has a row for each option of a model's name, and for each provider."""
    for option in {option for known in options.FAMILIES.values() for option in known}:
        assert re.search(
            rf"^\| `{option.name}` \|.*\| {re.escape(option.about)} \|$", MODELS, re.MULTILINE
        )
    for name in families.FAMILIES:
        assert f"\n| `{name}/` |" in MODELS
