"""The table in the documents: it is what the probes say, and every outcome in it counts as held."""

from __future__ import annotations

import subprocess
import sys

from tests.support import REPOSITORY


def test_table_is_up_to_date() -> None:
    """Every probe stands in docs/isolation-probes.md with an outcome on every back end."""
    command = [sys.executable, "scripts/attack-table"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 0
