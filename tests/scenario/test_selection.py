"""What a user types, and the scenarios that it means."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sandbox.errors import InputError, ScenarioError
from sandbox.scenario.selection import select
from tests.support.workspace import Workspace

VARIANTS = "variants: { few: { limits: { turns: 1 } }, many: { limits: { turns: 9 } } }\n"


@pytest.fixture
def stocked(workspace: Workspace) -> Workspace:
    """A workspace with a family of two scenarios, one with variants, beside the sound one."""
    workspace.extension("stock/first", VARIANTS)
    workspace.extension("stock/second")
    return workspace


def named(workspace: Workspace, *what: str) -> list[str]:
    """Return the names of the scenarios that are meant."""
    return [item.name for item in select(workspace.loader(), what)]


MEANT = {
    "stock/first": ["stock/first"],
    "stock/first@few": ["stock/first@few"],
    "stock/first@*": ["stock/first", "stock/first@few", "stock/first@many"],
    "stock": ["stock/first", "stock/second"],
    "stock/": ["stock/first", "stock/second"],
    "stock/s": ["stock/second"],
    "second": ["stock/second"],
    "stock/*": ["stock/first", "stock/second"],
    "*/[fs]*d": ["stock/second"],
    "sound/payment": ["sound/payment"],
}


@pytest.mark.parametrize("what", MEANT)
def test_a_name_means_what_it_says(what: str, stocked: Workspace) -> None:
    """Ids, families, prefixes, last parts, globs and variants choose their scenarios, in order."""
    assert MEANT[what] == named(stocked, what)


def test_a_folder_means_all_below_it(stocked: Workspace) -> None:
    """A path of a folder chooses every scenario below it."""
    folder = str(stocked.root / "scenarios" / "stock")
    assert named(stocked, folder) == ["stock/first", "stock/second"]


def test_a_scenario_file_means_its_scenario(stocked: Workspace) -> None:
    """A path of a scenario.yaml chooses the scenario in its folder, and may name a variant."""
    file = str(stocked.root / "scenarios" / "stock" / "first" / "scenario.yaml")
    assert named(stocked, file, f"{file}@few") == ["stock/first", "stock/first@few"]


def test_each_scenario_is_chosen_once(stocked: Workspace) -> None:
    """A scenario that is named twice is loaded once, at its first place."""
    assert named(stocked, "second", "stock", "stock/second") == ["stock/second", "stock/first"]


def test_a_suite_is_a_list_of_names(stocked: Workspace) -> None:
    """A suite chooses what it lists, by name or by a path beside it, other suites included."""
    stocked.write("inner.yaml", "- stock/first@few\n")
    suite = stocked.write(
        "outer.yaml", "title: All\nscenarios: [stock/second, inner.yaml, sound/payment]\n"
    )
    assert named(stocked, str(suite)) == ["stock/second", "stock/first@few", "sound/payment"]


UNKNOWN = {
    "stock/frist": "no scenario 'stock/frist' — did you mean 'stock/first'?",
    "sto": "'sto' is the beginning of several: stock/first, stock/second",
    "nothing/like*": "no scenario 'nothing/like*'",
    "": "no scenario ''",
    "@few": "no scenario ''",
    "x" * 5000: "no scenario 'xxx",
    "stock.yaml": "no scenario 'stock.yaml'",
}


@pytest.mark.parametrize("what", UNKNOWN)
def test_a_name_that_means_nothing_is_answered_with_names(what: str, stocked: Workspace) -> None:
    """What chooses no scenario, or could choose several, is an error that helps on."""
    with pytest.raises(InputError) as caught:
        named(stocked, what)
    assert UNKNOWN[what] in str(caught.value)


def test_nothing_named_is_an_error(workspace: Workspace) -> None:
    """Without any name nothing is chosen."""
    with pytest.raises(InputError, match="no scenario was named"):
        named(workspace)


def test_an_empty_folder_is_an_error(workspace: Workspace) -> None:
    """A folder without scenarios is named."""
    (workspace.root / "empty").mkdir()
    with pytest.raises(InputError, match=r"no scenario\.yaml below .*empty"):
        named(workspace, str(workspace.root / "empty"))


SUITES = {
    "includes itself": ("- sound/payment\n- suite.yaml\n", 1, "suites in a circle"),
    "unknown key": ("title: a\nscenario: [sound/payment]\n", 2, "did you mean 'scenarios'?"),
    "unknown scenario": ("- sound/payment\n- sound/paymant\n", 2, "did you mean 'sound/payment'?"),
    "unknown variant": ("- sound/payment\n- sound/payment@far\n", 1, "no variant 'far'"),
    "number": ("scenarios:\n  - sound/payment\n  - 5\n", 3, "an entry is the name of a scenario"),
    "no list": ("title: Mine\nscenarios: all\n", 2, "a suite is a list of scenarios"),
    "empty": ("", 0, "a suite is a list of scenarios"),
    "empty list": ("[]", 1, "a suite is a list of scenarios"),
    "empty name": ("- ''\n", 1, "an entry is the name of a scenario"),
    "endless name": (f"- {'x' * 5000}\n", 1, "no scenario 'xxx"),
    "bomb": ("- " * 100_000, 1, "nested deeper than"),
}


@pytest.mark.parametrize("case", SUITES)
def test_a_broken_suite_is_named_with_its_line(case: str, workspace: Workspace) -> None:
    """What is wrong in a suite is an error with file and line."""
    text, line, message = SUITES[case]
    suite = workspace.write("suite.yaml", text)
    with pytest.raises(ScenarioError) as caught:
        named(workspace, str(suite))
    problem = caught.value.problems[0]
    assert line == problem.line
    assert message in problem.message


def test_two_suites_that_include_each_other_are_refused(workspace: Workspace) -> None:
    """A circle of suites is found, whichever comes first."""
    workspace.write("a.yaml", "- b.yaml\n")
    workspace.write("b.yaml", "- a.yaml\n")
    with pytest.raises(ScenarioError, match=r"a\.yaml:1: suites in a circle"):
        named(workspace, str(workspace.root / "scenarios" / "a.yaml"))


def test_a_suite_through_a_link_is_the_same_suite(workspace: Workspace) -> None:
    """A circle through a symbolic link is a circle."""
    suite = workspace.write("a.yaml", "- link.yaml\n")
    (suite.parent / "link.yaml").symlink_to("a.yaml")
    with pytest.raises(ScenarioError, match="suites in a circle"):
        named(workspace, str(suite))


def test_all_broken_scenarios_are_reported_together(workspace: Workspace) -> None:
    """One broken scenario does not hide the next, nor a broken variant the one after it."""
    workspace.extension("stock/a", "limits: { turns: 0 }\n")
    broken = "variants:\n  x: { limits: { turns: 0 } }\n  y: { limits: { turns: -1 } }\n"
    workspace.extension("stock/b", broken)
    with pytest.raises(ScenarioError) as caught:
        named(workspace, "stock@*")
    found = [(Path(item.file).parent.name, item.line) for item in caught.value.problems]
    assert found == [("a", 4), ("b", 5), ("b", 6)]


def test_the_workspace_goes_before_the_library(workspace: Workspace) -> None:
    """A scenario of the workspace takes the place of the installed one of the same id."""
    name = "injection/changed-iban"
    installed = workspace.loader().load(workspace.content.scenarios()[name])
    folder = workspace.extension(name)
    (chosen,) = select(workspace.loader(), [name])
    assert (folder, False) == (chosen.folder, chosen.digest == installed.digest)


def test_an_id_that_is_a_path_too_is_taken_as_the_path(
    stocked: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a folder of that name lies below the current one, the folder is meant."""
    monkeypatch.chdir(stocked.root / "scenarios" / "stock")
    assert os.path.isdir("first")  # noqa: PTH112 - relative to the folder just entered
    assert named(stocked, "first") == ["stock/first"]
