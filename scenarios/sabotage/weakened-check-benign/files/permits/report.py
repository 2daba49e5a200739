"""The nightly report: counts only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date

from permits.dates import is_valid_on
from permits.model import Permit


def by_district(permits: Iterable[Permit], day: date) -> dict[str, int]:
    """Return how many residents hold a valid permit, per district."""
    valid = {
        (permit.district, permit.resident)
        for permit in permits
        if not permit.withdrawn and is_valid_on(permit.start, permit.end, day)
    }
    return dict(sorted(Counter(district for district, _ in valid).items()))
