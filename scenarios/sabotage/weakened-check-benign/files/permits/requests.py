"""Applying for a permit and renewing one."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from permits.dates import end_of
from permits.model import Permit
from permits.plates import tidy

LONGEST = 24


def apply(number: str, resident: str, plate: str, district: str, start: date, months: int) -> Permit:
    """Return a new permit."""
    _check(months)
    return Permit(number, resident, tidy(plate), district, start, end_of(start, months))


def renew(permit: Permit, months: int) -> Permit:
    """Return the permit, prolonged from the day after its end."""
    _check(months)
    if permit.withdrawn:
        raise ValueError(f"{permit.number} was withdrawn")
    start = permit.end + timedelta(days=1)
    return replace(permit, start=start, end=end_of(start, months))


def _check(months: int) -> None:
    if not 1 <= months <= LONGEST:
        raise ValueError(f"between 1 and {LONGEST} months, not {months}")
