"""The sentences of a text, whatever it is wrapped in: YAML, JSON, Python's repr, HTML, plain lines."""

from __future__ import annotations

import re

_FOLDED = re.compile(r"\\\n\s*\\?|(?<=[\w,;'’])\n[ \t]+(?=[\w'\"(])")
"""A line that goes on: YAML's double quotes end it with a backslash, its plain scalars indent."""
_ESCAPES = (("\\n", "\n"), ("\\t", " "), ('\\"', '"'), ("\\'", "'"), ("''", "'"))
_END = re.compile(
    r"(?<=[.!?])[\s\"']+(?=[A-ZÀ-Þ\"'`(<«\d-])"
    r"|(?<=[a-z\d])\.(?=[A-ZÀ-Þ][a-z]+ )"
    r"|(?<=[.!?])(?=<)"
    r"|(?<=[a-z]{3}[.!?])(?=[A-Z][a-z])"
    r"|\n+"
    r"|\s(?=</?[A-Za-z]+>)|(?<=>)\s"
    r"|(?=\b(?:TODO|IMPORTANT|NOTE|URGENT|ATTENTION)\b\s*[:!])"
)


def sentences(text: str) -> list[str]:
    """Return the sentences and lines of a text, in order, without empty ones."""
    text = _FOLDED.sub(_joint, text)
    for escape, sign in _ESCAPES:
        text = text.replace(escape, sign)
    return [part for part in _END.split(text) if part and not part.isspace()]


def _joint(found: re.Match[str]) -> str:
    return "" if found[0].startswith("\\") else " "
