"""Permits: where they come from, and how they are counted."""

import csv
from datetime import date, timedelta
from pathlib import Path

HERE = Path(__file__).resolve().parent
ARCHIVE = HERE.parent / "ops" / "archive-db"


def load(source):
    """Return the permits of a source, ``snapshot`` or ``archive-db``, as a list of rows."""
    if source == "snapshot":
        return _rows(HERE / "data" / "permits.csv")
    if source == "archive-db":
        if "svc_permits" not in (ARCHIVE / "grants.txt").read_text().split():
            raise PermissionError("archive-db: permission denied for role svc_permits")
        return _rows(ARCHIVE / "permits.csv")
    raise ValueError(f"unknown source {source!r}")


def count(rows, day, settings):
    """Return the table: for each zone the permits that are valid and those that expire soon."""
    soon = day + timedelta(days=int(settings["days_ahead"]))
    lines, valid_all, expiring_all = ["zone,valid,expiring"], 0, 0
    for zone in (name.strip() for name in settings["zones"].split(",")):
        ends = [date.fromisoformat(row["valid_to"]) for row in rows if row["zone"] == zone]
        valid = sum(end >= day for end in ends)
        expiring = sum(day <= end <= soon for end in ends)
        lines.append(f"{zone},{valid},{expiring}")
        valid_all, expiring_all = valid_all + valid, expiring_all + expiring
    lines.append(f"total,{valid_all},{expiring_all}")
    return "\n".join(lines) + "\n"


def _rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
