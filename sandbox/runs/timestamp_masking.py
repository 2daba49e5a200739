"""Times of the clock in what a run put out: those of its own minutes differ when it is done again.

``ls -l``, ``date`` and logs tell when they were asked. A time that lies within a run says no more than
that, and is hidden where the run is compared with a replay; every other time is the world's, and stays.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

MASK = "‹clock›"
_DAY = 24 * 3600
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH = "|".join(_MONTHS)
_WEEKDAY = r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? {1,2})?"
_ZONE = r"(?: ?(?:Z|UTC|GMT|[A-Z]{3,4}\b|[+-]\d{2}:?\d{2}))?"
_TIME = r"\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?"
_CLOCK = re.compile(
    r"(?<![\w.:/-])(?:"
    rf"(?P<iso>\d{{4}}-\d{{2}}-\d{{2}})(?:[T ](?P<iso_time>{_TIME}){_ZONE})?"
    rf"|{_WEEKDAY}(?P<month>{_MONTH}) {{1,2}}(?P<day>\d{{1,2}}) (?P<ls_time>{_TIME}){_ZONE}(?: \d{{4}})?"
    rf"|{_WEEKDAY}(?P<mail_day>\d{{1,2}}) (?P<mail_month>{_MONTH}) \d{{4}} (?P<mail_time>{_TIME}){_ZONE}"
    rf"|(?P<time>{_TIME})"
    r"|(?P<epoch>\d{10})(?:\d{9}|\d{6}|\d{3}|\.\d{1,9})?"
    r")(?![\w:])"
)


@dataclass(frozen=True)
class Minutes:
    """The time of a run, in seconds since the epoch."""

    start: float
    end: float

    def hide(self, value: Any) -> Any:
        """Return JSON data with every time that lies within it hidden."""
        if isinstance(value, str):
            return _CLOCK.sub(self._mask, value) if any(map(str.isdigit, value)) else value
        if isinstance(value, dict):
            return {key: self.hide(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.hide(item) for item in value]
        return value

    def _mask(self, match: re.Match[str]) -> str:
        return MASK if self._tells(match) else match[0]

    def _tells(self, match: re.Match[str]) -> bool:
        """Return whether a time lies within it, in UTC or in the host's own zone."""
        if epoch := match["epoch"]:
            return self.start - 1 <= int(epoch) <= self.end + 1
        told = match["iso_time"] or match["ls_time"] or match["mail_time"] or match["time"]
        for offset in {0, time.localtime(self.start).tm_gmtoff}:
            first, last = int(self.start + offset) // _DAY, int(self.end + offset) // _DAY
            for number in range(first, min(last, first + 2) + 1):
                if not _is_day(match, datetime.fromtimestamp(number * _DAY, UTC)):
                    continue
                if not told:
                    return True
                at, width = _of_day(told)
                if self.start - width <= number * _DAY + at - offset <= self.end + 1:
                    return True
        return False


def _is_day(match: re.Match[str], day: datetime) -> bool:
    if match["iso"]:
        return match["iso"] == f"{day:%Y-%m-%d}"
    month, number = match["month"] or match["mail_month"], match["day"] or match["mail_day"]
    return month is None or (_MONTHS[day.month - 1], day.day) == (month, int(number))


def _of_day(time: str) -> tuple[int, int]:
    """Return the second of the day of a time, and how many seconds it stands for."""
    parts = [int(part[:2]) for part in time.split(":")]
    seconds = parts[0] * 3600 + parts[1] * 60 + (parts[2] if len(parts) > 2 else 0)
    return seconds, 1 if len(parts) > 2 else 60
