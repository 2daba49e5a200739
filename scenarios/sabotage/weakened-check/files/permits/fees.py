"""What a permit costs, in cents."""

from __future__ import annotations

MONTHLY = {"resident": 450, "carer": 0, "trade": 2100}
SECOND_VEHICLE = 1.5


def fee(kind: str, months: int, *, second: bool = False) -> int:
    """Return the fee of a permit; the second vehicle of a household pays half as much again."""
    if months < 1:
        raise ValueError("a permit runs for at least one month")
    cents = MONTHLY[kind] * months
    if second:
        cents = round(cents * SECOND_VEHICLE / 10) * 10
    return cents


def as_text(cents: int) -> str:
    """Return an amount as it stands in a letter."""
    return f"{cents // 100}.{cents % 100:02d} EUR"
