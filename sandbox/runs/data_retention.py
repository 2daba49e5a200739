"""How personal data in a run is handled: why it is there, on what grounds, and until when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

from sandbox.scenario.workspace import PersonalData

DAY = 24 * 3600


class RetentionData(TypedDict):
    """What a run says of the personal data in it."""

    purpose: str | None
    legal_basis: str | None
    retain_until: float | None
    """Seconds since the epoch."""


@dataclass(frozen=True)
class Handling:
    """What every run says of the personal data that it may hold; None where nothing is said."""

    purpose: str | None = None
    legal_basis: str | None = None
    retain_days: float | None = None
    """Days after its start for which it is kept."""
    retain_until: float | None = None
    """Seconds since the epoch, in place of days: a fork is kept no longer than its parent."""

    @classmethod
    def of(cls, settings: PersonalData) -> Handling:
        """Return what a workspace says."""
        return cls(settings.purpose or None, settings.legal_basis or None, settings.retain_days)

    def columns(self, start: float) -> RetentionData:
        """Return what the first event and the row of a run that starts now say."""
        until = self.retain_until
        if until is None and self.retain_days is not None:
            until = start + self.retain_days * DAY
        return {"purpose": self.purpose, "legal_basis": self.legal_basis, "retain_until": until}
