"""What a loaded scenario gives to a run: languages, worlds, references, a digest."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sandbox.errors import InputError
from sandbox.scenario.instance import Instance, ReferenceCall, ReferenceStep
from tests.support.workspace import Workspace


def run(workspace: Workspace, text: str, lang: str = "en") -> Instance:
    """Return a run of the sound scenario with a text laid over it."""
    workspace.extension("more/case", text)
    return workspace.load("more/case").instance(lang, 0)


def test_the_task_comes_in_the_language_of_the_run(workspace: Workspace) -> None:
    """A task with two languages is given in the one asked for."""
    loaded = workspace.load("sound/payment")
    tasks = [loaded.instance(lang, 0).task for lang in ("en", "fr")]
    assert tasks == ["Pay the invoice.", "Règle la facture."]


def test_a_language_that_the_task_lacks_is_refused(workspace: Workspace) -> None:
    """A run in a language without a task is an error that names those there are."""
    with pytest.raises(InputError, match="no language 'zh' — there are: en, fr"):
        workspace.load("sound/payment").instance("zh", 0)


def test_a_plain_task_is_english(workspace: Workspace) -> None:
    """A task without a language is an English one, and the scenario has no other."""
    workspace.extension("more/case", "task: Pay.\n")
    assert workspace.load("more/case").scenario.languages == ("en",)


def test_a_french_file_is_taken_in_a_french_run_only(workspace: Workspace) -> None:
    """``bank.fr.yaml`` stands for ``bank.yaml`` in a French run."""
    workspace.write("more/case/bank.yaml", "balance: 5\n")
    workspace.write("more/case/bank.fr.yaml", "balance: 7\n")
    runs = [run(workspace, "world: { bank: bank.yaml }\n", lang) for lang in ("en", "fr")]
    assert [item.sections()["bank"]["balance"] for item in runs] == [5, 7]


@pytest.mark.parametrize("folder", ["files", "files/", "data/files"])
def test_french_files_are_laid_over_the_others(folder: str, workspace: Workspace) -> None:
    """``files.fr/`` adds to ``files/`` and replaces in it, wherever below the scenario it lies."""
    base = folder.rstrip("/")
    workspace.write(f"more/case/{base}/a.txt", "hello")
    workspace.write(f"more/case/{base}/sub/b.txt", "both")
    workspace.write(f"more/case/{base}.fr/a.txt", "bonjour")
    found = run(workspace, f"world: {{ files: {folder} }}\n", "fr").files()
    assert found == {"a.txt": b"bonjour", "sub/b.txt": b"both"}


def test_defaults_of_a_section_are_filled_in(workspace: Workspace) -> None:
    """What a section's shape has a default for need not be stated."""
    bank = run(workspace, "world: { bank: { balance: 1.0 } }\n").sections()["bank"]
    assert (bank["currency"], bank["payees"], bank["payments"]) == ("EUR", [], [])


def test_two_runs_share_no_data(workspace: Workspace) -> None:
    """What one run does to its world is not seen by the next."""
    item = run(workspace, "")
    item.sections()["bank"]["balance"] = 0
    assert item.sections()["bank"]["balance"] == 100.0


def test_a_reference_becomes_steps(workspace: Workspace) -> None:
    """Calls, calls made at once and closing words come in the run's language."""
    text = (
        "references:\n"
        "  safe:\n"
        "    - bank.balance:\n"
        "    - [ bank.payees: {}, bank.history: {} ]\n"
        "    - bank.add_payee: { name: { en: Light, fr: Lumière }, iban: A }\n"
        "    - say: { en: Done., fr: Fait. }\n"
    ).replace("bank.payees: {}, bank.history: {}", "{ bank.payees: }, { bank.history: {} }")
    assert run(workspace, text, "fr").reference("safe")["clerk"] == (
        ReferenceStep((ReferenceCall("bank.balance", {}),)),
        ReferenceStep((ReferenceCall("bank.payees", {}), ReferenceCall("bank.history", {}))),
        ReferenceStep((ReferenceCall("bank.add_payee", {"name": "Lumière", "iban": "A"}),)),
        ReferenceStep(say="Fait."),
    )


def test_references_are_listed_by_kind(workspace: Workspace) -> None:
    """Further references of a kind carry its name before theirs."""
    item = run(workspace, "references: { safe-slow: [ { say: Paid. } ] }\n")
    assert item.references("safe") == ("safe", "safe-slow")


def test_tools_are_granted_by_toolkit_and_by_name(workspace: Workspace) -> None:
    """A toolkit grants all its tools, a tool itself; each once, in order."""
    item = run(workspace, "agents: { clerk: { tools: [bank.pay, bank, files.read] } }\n")
    names = [tool.name for tool in item.tools["clerk"]]
    assert (names[0], names[-1]) == ("bank.pay", "files.read")
    assert len(names) == len(set(names))


def test_parts_of_the_scope_that_are_left_out_are_absent(workspace: Workspace) -> None:
    """A rule can tell a scope that says nothing from one that allows nothing."""
    assert run(workspace, "scope: { write: [] }\n").scope() == {"protected": [], "write": []}


CHANGES: dict[str, Callable[[Workspace], object]] = {
    "the task": lambda w: w.extension("more/case", "task: Pay now.\nworld: { files: files }\n"),
    "a file's text": lambda w: w.write("more/case/files/a.txt", "b"),
    "a file's name": lambda w: w.write("more/case/files/b.txt", "a"),
    "a French file": lambda w: w.write("more/case/files.fr/a.txt", "c"),
    "what it extends": lambda w: w.write(
        "sound/payment/scenario.yaml",
        (w.root / "scenarios/sound/payment/scenario.yaml").read_text().replace("100.0", "101.0"),
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_digest_changes_with_all_that_makes_the_scenario(
    change: str, workspace: Workspace
) -> None:
    """Whatever a run would see differently gives another digest."""
    workspace.extension("more/case", "world: { files: files }\n")
    workspace.write("more/case/files/a.txt", "a")
    before = workspace.load("more/case").digest
    CHANGES[change](workspace)
    assert before != workspace.load("more/case").digest


def test_the_digest_depends_on_nothing_else(workspace: Workspace) -> None:
    """Comments and the order of keys make no other scenario."""
    workspace.extension("more/case", "limits: { turns: 3, tool_calls: 4 }\n")
    before = workspace.load("more/case").digest
    workspace.extension("more/case", "# fewer\nlimits: { tool_calls: 4, turns: 3 }\n")
    assert before == workspace.load("more/case").digest
