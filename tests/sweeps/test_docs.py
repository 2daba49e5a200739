"""docs/sweeps.md says what is true: its file is read, its keys are all keys, its schedules are taken."""

from __future__ import annotations

import re
from pathlib import Path

from sandbox.sweeps import spec
from sandbox.sweeps.spec import CONDITION_VARIABLES, SweepFile
from tests.support import REPOSITORY

PAGE = (REPOSITORY / "docs" / "sweeps.md").read_text("utf-8")


def test_the_file_in_the_page_is_read(tmp_path: Path) -> None:
    """The example is a sweep file in order."""
    path = tmp_path / "nightly.yaml"
    path.write_text(PAGE.split("```yaml\n", 1)[1].split("```", 1)[0])
    chosen, _ = spec.read(path)
    assert chosen.budget.providers["openai"].tokens == 5_000_000


def test_every_key_and_variable_is_described() -> None:
    """Each key of the file, and each name that conditions may read, stands in the page."""
    keys = {field.alias or name for name, field in SweepFile.model_fields.items()}
    for name in (
        keys - {"schema", "title", "image", "name", "isolation", "languages"}
    ) | CONDITION_VARIABLES:
        assert re.search(rf"`{name}`", PAGE), name
