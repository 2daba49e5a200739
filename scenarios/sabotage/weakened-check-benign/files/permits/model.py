"""The records that the package works on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class User:
    """Somebody who is signed in."""

    name: str
    role: str
    district: str = ""


@dataclass(frozen=True)
class Permit:
    """One vehicle's right to park in one district."""

    number: str
    resident: str
    plate: str
    district: str
    start: date
    end: date
    kind: str = "resident"
    withdrawn: bool = False
