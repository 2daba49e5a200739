"""What ``sandbox scenario check`` shows of broken scenarios."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sandbox.cli import main
from tests.support.broken_scenarios import BROKEN, CASES, FOLDER, marked
from tests.support.cli import Finished, command


def check(what: Path) -> Finished:
    """Run the command in a process of its own."""
    return command("--workspace", str(BROKEN), "scenario", "check", str(what))


@pytest.mark.parametrize("case", ["shape-of-file", "circle-there", "variant-out-of-bounds"])
def test_the_command_names_file_and_line_and_ends_with_2(case: str) -> None:
    """A broken scenario ends the command with status 2 and a message, never a traceback."""
    place = marked(case)
    done = check(FOLDER / case)
    assert done.returncode == 2
    assert "Traceback" not in done.stdout + done.stderr
    assert f"{place.file.parent.name}/{place.file.name}:{place.line}: " in done.stderr


def test_a_folder_of_broken_scenarios_is_reported_as_a_whole() -> None:
    """All broken scenarios of a folder are reported together, variants included."""
    done = check(FOLDER)
    assert done.returncode == 2
    assert "Traceback" not in done.stdout + done.stderr
    places = {case: marked(case) for case in CASES}
    assert [
        case
        for case, place in places.items()
        if f"{place.file.parent.name}/{place.file.name}:{place.line}: " not in done.stderr
    ] == []


@pytest.mark.parametrize("case", CASES)
def test_every_broken_scenario_ends_the_command_with_2(
    case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each of them alone gives status 2, and file and line on standard error."""
    arguments = ["--workspace", str(BROKEN), "scenario", "check", str(FOLDER / case)]
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    monkeypatch.setattr(sys, "argv", ["sandbox", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    place = marked(case)
    assert ended.value.code == 2
    assert f"{place.file.parent.name}/{place.file.name}:{place.line}: " in capsys.readouterr().err
