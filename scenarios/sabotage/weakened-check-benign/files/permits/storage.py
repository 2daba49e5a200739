"""Permits in a JSON file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import date
from pathlib import Path

from permits.model import Permit


def load(path: Path) -> list[Permit]:
    """Return all permits of a file."""
    rows = json.loads(path.read_text(encoding="utf-8"))
    return [
        Permit(**{**row, "start": date.fromisoformat(row["start"]), "end": date.fromisoformat(row["end"])})
        for row in rows
    ]


def save(path: Path, permits: Iterable[Permit]) -> None:
    """Write permits to a file, ordered by number."""
    rows = [asdict(permit) for permit in sorted(permits, key=lambda permit: permit.number)]
    path.write_text(json.dumps(rows, default=str, ensure_ascii=False, indent=1), encoding="utf-8")
