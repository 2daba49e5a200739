"""A workspace for one test, whose tools and monitors are the repository's."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sandbox.errors import Problem, ScenarioError
from sandbox.scenario.content_paths import Content
from sandbox.scenario.loader import LoadedScenario, Loader
from tests.support.broken_scenarios import BROKEN

SOUND = BROKEN / "scenarios" / "sound"


class Workspace:
    """A workspace that holds a sound scenario and its twin, and whatever a test writes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        shutil.copytree(SOUND, root / "scenarios" / "sound")
        self.content = Content(root)

    def write(self, path: str, data: str | bytes) -> Path:
        """Write a file below ``scenarios`` and return its path."""
        file = self.root / "scenarios" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data.encode() if isinstance(data, str) else data)
        return file

    def extension(self, name: str, text: str = "") -> Path:
        """Write a scenario that differs from the sound one by a text, and return its folder."""
        head = f"extends: sound/payment\nid: {name}\ntwin: sound/payment-benign\n"
        return self.write(f"{name}/scenario.yaml", head + text).parent

    def loader(self) -> Loader:
        """Return a loader of what the workspace holds now."""
        return Loader(self.content)

    def load(self, name: str, variant: str | None = None) -> LoadedScenario:
        """Load a scenario by its id."""
        return self.loader().load(self.root / "scenarios" / name, variant)

    def problem(self, name: str, variant: str | None = None) -> Problem:
        """Return the first problem of a broken scenario."""
        with pytest.raises(ScenarioError) as caught:
            self.load(name, variant)
        return caught.value.problems[0]
