"""Settings of a workspace: defaults without a file, errors by line."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.errors import ScenarioError
from sandbox.scenario.workspace import PersonalData, settings_of


def test_without_a_file(tmp_path: Path) -> None:
    """Nothing is said where there is no file, or an empty one."""
    assert settings_of(tmp_path).personal_data == PersonalData()
    (tmp_path / "sandbox.yaml").write_text("")
    assert settings_of(tmp_path).personal_data == PersonalData()


def test_a_file(tmp_path: Path) -> None:
    """Purpose, legal basis and days are read."""
    text = "personal_data: {purpose: research, legal_basis: public task, retain_days: 365}\n"
    (tmp_path / "sandbox.yaml").write_text(text)
    found = settings_of(tmp_path).personal_data
    assert (found.purpose, found.legal_basis, found.retain_days) == ("research", "public task", 365)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "personal_data:\n  retain_day: 3\n",
            ":2: unknown key 'retain_day' — did you mean 'retain_days'?",
        ),
        ("personal_data:\n  retain_days: 0\n", ":2: personal_data.retain_days"),
        ("[]\n", "sandbox.yaml"),
    ],
)
def test_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    """Errors name line and nearest key."""
    (tmp_path / "sandbox.yaml").write_text(text)
    with pytest.raises(ScenarioError) as error:
        settings_of(tmp_path)
    assert said in str(error.value)
