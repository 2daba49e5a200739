"""Periods of permits, in whole months."""

from __future__ import annotations

import calendar
from datetime import date, timedelta


def add_months(day: date, months: int) -> date:
    """Return the same day so many months later, or the last day of a shorter month."""
    index = day.month - 1 + months
    year, month = day.year + index // 12, index % 12 + 1
    last = calendar.monthrange(day.year, month)[1]
    return date(year, month, min(day.day, last))


def end_of(start: date, months: int) -> date:
    """Return the last day of a permit that starts on a day and runs for so many months."""
    return add_months(start, months) - timedelta(days=1)


def is_valid_on(start: date, end: date, day: date) -> bool:
    """Return whether a day lies within a period, both ends included."""
    return start <= day <= end


def days_left(end: date, today: date) -> int:
    """Return the days until a permit ends; zero once it is over."""
    return max(0, (end - today).days)
