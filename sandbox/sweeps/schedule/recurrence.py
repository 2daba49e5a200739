"""When a night is due: a time of the day, on some days of the week or on all."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from sandbox.errors import InputError, nearest

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True)
class When:
    """A time of the day, and days of the week (Monday is 0)."""

    hour: int
    minute: int
    days: tuple[int, ...] = tuple(range(7))

    @classmethod
    def parse(cls, text: str) -> When:
        """Return what ``02:00``, ``mon-fri 02:00`` or ``mon,thu 22:30`` means.

        Raises:
            InputError: It means nothing.
        """
        named, _, at = text.strip().lower().rpartition(" ")
        time = _TIME.fullmatch(at)
        if not time:
            raise InputError(f"{text!r} is no time: write 02:00, mon-fri 02:00 or mon,thu 22:30")
        parts = (named or f"{DAYS[0]}-{DAYS[-1]}").split(",")
        days = {day for part in parts for day in _days(part.strip())}
        return cls(int(time[1]), int(time[2]), tuple(sorted(days)))

    def __str__(self) -> str:
        names = "" if self.daily else ",".join(DAYS[day] for day in self.days) + " "
        return f"{names}{self.hour:02d}:{self.minute:02d}"

    @property
    def daily(self) -> bool:
        """Whether it is every day."""
        return len(self.days) == len(DAYS)

    def calendar(self) -> str:
        """Return it for a systemd timer (systemd.time(7))."""
        days = str(self).rpartition(" ")[0].title()
        return f"{days} *-*-* {self.hour:02d}:{self.minute:02d}:00".lstrip()

    def cron(self) -> str:
        """Return it for a crontab (crontab(5); Sunday is 0)."""
        days = (
            "*" if self.daily else ",".join(str(n) for n in sorted((d + 1) % 7 for d in self.days))
        )
        return f"{self.minute} {self.hour} * * {days}"

    def last_due(self, now: datetime) -> datetime:
        """Return the last moment at or before ``now`` at which a night was due."""
        moment = now.replace(hour=self.hour, minute=self.minute, second=0, microsecond=0)
        while moment > now or moment.weekday() not in self.days:
            moment -= timedelta(days=1)
        return moment


def _days(part: str) -> list[int]:
    first, dash, last = part.partition("-")
    for name in (first, last) if dash else (first,):
        if name not in DAYS:
            raise InputError(f"unknown day {name!r}{nearest(name, DAYS)}")
    start = DAYS.index(first)
    days = (DAYS.index(last) - start) % 7 if dash else 0
    return [(start + number) % 7 for number in range(days + 1)]
