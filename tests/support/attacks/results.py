"""What came of the probes, kept for the table in the documents."""

from __future__ import annotations

import json
import os
from pathlib import Path

VARIABLE = "ATTACK_RESULTS"
"""Names the file to which ``scripts/attack-table --run`` has the suite add what came of each probe."""


def keep(backend: str, rows: dict[str, str]) -> None:
    """Add one back end's outcomes to the file that the environment names, if it names one."""
    if not (name := os.environ.get(VARIABLE)) or not rows:
        return
    path = Path(name)
    known = json.loads(path.read_text()) if path.exists() else {}
    known[backend] = {**known.get(backend, {}), **rows}
    path.write_text(json.dumps(known, indent=1, sort_keys=True))
