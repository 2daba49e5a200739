"""What a workspace says of all its runs: ``sandbox.yaml`` in its folder, where there is one."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from sandbox.scenario import yaml_positions
from sandbox.scenario.validation import Strict, validate

FILE = "sandbox.yaml"


class PersonalData(Strict):
    """Why runs may hold personal data, and for how long they are kept (GDPR, articles 5, 6 and 30)."""

    purpose: str = ""
    """What the runs are made for."""
    legal_basis: str = ""
    """On what grounds personal data may be processed for it."""
    retain_days: float | None = Field(None, gt=0, le=36_525)
    """Days for which a run is kept; ``sandbox runs purge --expired`` removes it after them."""


class WorkspaceSettings(Strict):
    """The file ``sandbox.yaml``."""

    personal_data: PersonalData = Field(default_factory=PersonalData)


def settings_of(workspace: Path) -> WorkspaceSettings:
    """Return the settings of a workspace; the defaults where it has no file.

    Raises:
        ScenarioError: The file cannot be used; what is wrong in it, by line.
    """
    path = workspace / FILE
    if not path.is_file():
        return WorkspaceSettings()
    document = yaml_positions.load(path)
    if document.data is None:
        return WorkspaceSettings()
    return validate(WorkspaceSettings, document)
