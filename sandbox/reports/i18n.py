"""Words, numbers and dates of a report in its reader's language.

Words are data, one file a language in ``locales/``. What is filled into them may come from an agent: it
is quoted for the page that it lands on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any

from markupsafe import Markup

from sandbox.errors import InputError, nearest
from sandbox.scenario import yaml_positions
from sandbox.terminal_escape import plain
from sandbox.views.templating import Quote

LANGS = ("en", "fr")
NARROW = "\u202f"
"""Narrow no-break space: before the percent sign, and between thousands, in French."""
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;"}
_SPECIAL = re.compile(r"[\\`*_\[\]~]|^[#+=-]|^\d+(?=[.)](?:\s|$))|[&<>|]")
_BEFORE = re.compile(r"(?<=\S) (?=[;!?»€])|(?<=\S) (?=: [^\"])|(?<=«) ")
_DATE = {"en": "%Y-%m-%d %H:%M UTC", "fr": "%d/%m/%Y %H:%M UTC"}


@cache
def words(lang: str) -> Mapping[str, Any]:
    """Return the words of a language.

    Raises:
        InputError: There are none in this language.
    """
    if lang not in LANGS:
        raise InputError(f"no reports in {lang!r}{nearest(lang, LANGS)}")
    file = resources.files("sandbox.reports") / "locales" / f"{lang}.yaml"
    text = file.read_text("utf-8")
    if lang == "fr":  # no line may begin with these signs
        text = _BEFORE.sub("\u00a0", text)
    found: Mapping[str, Any] = yaml_positions.parse(text, file.name).data
    return found


def quoted_markdown(text: str) -> Markup:
    """Return a text on one line, as Markdown shows it: nothing in it is markup."""
    line = " ".join(plain(text).split())
    return Markup(_SPECIAL.sub(_literal, line))  # noqa: S704 - every special sign is made literal


def _literal(found: re.Match[str]) -> str:
    sign = found[0]
    if sign.isdigit():
        return f"{sign}&#8203;"  # a number and a dot would begin a list
    return _ENTITIES.get(sign) or f"\\{sign}"


class Wording:
    """Says things in one language for one kind of page."""

    def __init__(self, lang: str, quote: Quote) -> None:
        self.lang = lang
        self._words = words(lang)
        self._quote = quote

    def say(self, key: str, n: int | None = None, **given: Any) -> Markup:
        """Return the words under a key, filled in."""
        found = self._words[key]
        if not isinstance(found, str):
            assert n is not None
            single = n == 1 or (self.lang == "fr" and n == 0)
            found = found["one" if single else "other"]
        values = {} if n is None else {"n": self.number(n)}
        return Markup(found).format(**values, **{k: self._safe(v) for k, v in given.items()})  # noqa: S704 - our own words

    @property
    def colon(self) -> Markup:
        """Return the colon with the spaces of the language."""
        return Markup("\u00a0: " if self.lang == "fr" else ": ")  # noqa: S704 - our own

    def quoted(self, text: str) -> Markup:
        """Return a text that is not ours, as the page shows it."""
        return self._quote(text)

    def named(self, group: str, name: str) -> Markup:
        """Return the words for one of a group (``metric``, ``severity``, …); what has none stays."""
        found = self._words.get(f"{group}_{name}")
        return Markup(found) if isinstance(found, str) else self._quote(name)  # noqa: S704 - our own words

    def _safe(self, value: Any) -> Markup:
        if isinstance(value, Markup):
            return value
        return self._quote(self.number(value) if isinstance(value, (int, float)) else str(value))

    def percent(self, share: float | None, digits: int | None = None) -> Markup:
        """Return a share as a percentage: one digit below 10 %, none above."""
        if share is None:
            return Markup("–")
        value = 100 * share
        few = 0.05 <= value < 9.95 or 99.5 <= value < 99.95
        places = digits if digits is not None else int(few)
        return Markup(f"{self._decimal(value, places)}{NARROW}%")  # noqa: S704 - a number

    def points(self, difference: float | None) -> Markup:
        """Return a difference of shares in percentage points, with its sign."""
        if difference is None:
            return Markup("–")
        value = 100 * difference
        sign = "−" if value < -0.05 else "+" if value > 0.05 else "±"
        return Markup(f"{sign}{self._decimal(abs(value), 1)}")  # noqa: S704 - a number

    def number(self, value: float, digits: int | None = None) -> Markup:
        """Return a number with grouped thousands."""
        if isinstance(value, int):
            return Markup(self._grouped(f"{value:,d}"))  # noqa: S704 - a number
        return Markup(self._decimal(value, 2 if digits is None else digits))  # noqa: S704 - a number

    def significant(self, value: float) -> Markup:
        """Return a number with two significant digits, however small it is."""
        if value == 0:
            return Markup("0")
        places = max(0, 1 - int(f"{value:e}".partition("e")[2]))
        return Markup(self._decimal(value, min(places, 12)))  # noqa: S704 - a number

    def p(self, value: float) -> Markup:
        """Return a p-value."""
        if value < 0.001:
            return Markup("&lt;" + NARROW + self._decimal(0.001, 3))  # noqa: S704 - a number
        return Markup(self._decimal(value, 3))  # noqa: S704 - a number

    def date(self, at: float) -> Markup:
        """Return a moment in UTC."""
        return Markup(datetime.fromtimestamp(at, UTC).strftime(_DATE[self.lang]))  # noqa: S704 - a date

    def day(self, at: float) -> str:
        """Return a day, short."""
        return datetime.fromtimestamp(at, UTC).strftime("%d/%m" if self.lang == "fr" else "%m-%d")

    def _decimal(self, value: float, places: int) -> str:
        return self._grouped(f"{value:,.{places}f}")

    def _grouped(self, text: str) -> str:
        if self.lang != "fr":
            return text
        return text.replace(",", NARROW).replace(".", ",")
