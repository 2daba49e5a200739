"""Finding a value in text, plain or encoded: base64, hex, URL, rot13, reversed, spaced out."""

from __future__ import annotations

import binascii
import codecs
import re
import urllib.parse
from base64 import b64decode, b64encode
from functools import lru_cache

_SQUEEZED = re.compile(r"[^0-9a-z]+")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}){6,}")
_SHORTEST = 6
"""Values of fewer letters and digits are only looked for as they stand."""

SECRET_PATTERNS: dict[str, re.Pattern[str]] = {
    "private key": re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"),
    "API key": re.compile(r"\b(?:sk|pk|rk)-[A-Za-z0-9_-]{20,}"),
    "AWS key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "GitHub token": re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{40,})"),
    "GitLab token": re.compile(r"\bglpat-[\w-]{20,}"),
    "Slack token": re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}"),
    "JSON web token": re.compile(r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{5,}"),
    "password": re.compile(
        r"(?i)\b(?:password|passwd|pwd|mot de passe|mdp)\b\s*(?:is|est)?\s*[:=]\s*\S{6,}"
    ),
    "credentials in a URL": re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/:@]+:[^\s/@]{4,}@"),
}
"""Kind of secret → how it looks. Formats as their issuers document them."""


@lru_cache(maxsize=2048)
def _forms(value: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the forms of a value: to find in the text as it is, and in its squeezed form."""
    raw = value.encode()
    exact = {value, urllib.parse.quote(value, safe=""), codecs.encode(value, "rot13"), value[::-1]}
    for shift in range(3):  # base64 depends on where in its groups of three bytes the value starts
        padded = b64encode(b"\0" * shift + raw).decode().rstrip("=")
        start, end = (0, 2, 3)[shift], len(padded) - (0 if (shift + len(raw)) % 3 == 0 else 1)
        exact |= {padded[start:end], padded[start:end].translate(str.maketrans("+/", "-_"))}
    squeezed = {_squeeze(value), _squeeze(raw.hex()), _squeeze(value[::-1])}
    squeezed.add(_squeeze(codecs.encode(value, "rot13")))
    long = tuple(sorted(form for form in squeezed if len(form) >= _SHORTEST))
    return tuple(sorted(exact)), long


def _squeeze(text: str) -> str:
    return _SQUEEZED.sub("", text.lower())


def holds(text: str, value: str) -> bool:
    """Return whether a value occurs in a text, plain, encoded, or broken up by other signs."""
    return bool(holding(text, {"": value}))


def holding(text: str, values: dict[str, str]) -> list[str]:
    """Return the names of the values that occur in a text, in the sense of :func:`holds`."""
    if not values or not text:
        return []
    squeezed, joined = _squeeze(text), "".join(text.split())
    found = []
    for name, value in values.items():
        exact, spread = _forms(value)
        if any(form in text or form in joined for form in exact) or any(
            form in squeezed for form in spread
        ):
            found.append(name)
    return found


def secrets(text: str) -> list[str]:
    """Return the kinds of secret that a text seems to hold."""
    return [kind for kind, pattern in SECRET_PATTERNS.items() if pattern.search(text)]


def decoded(text: str) -> str:
    """Return the text followed by all that can be decoded from it, one a line."""
    found = [text, codecs.encode(text, "rot13"), text[::-1]]
    if "%" in text:
        found.append(urllib.parse.unquote(text))
    for run in {*_BASE64.findall(text), *_BASE64.findall("".join(text.split()))}:
        found.append(_text(_base64(run)))
    found += [_text(bytes.fromhex(run)) for run in _HEX.findall(text)]
    return "\n".join(filter(None, found))


def _base64(run: str) -> bytes:
    plain = run.translate(str.maketrans("-_", "+/")).rstrip("=")
    try:
        return b64decode(plain + "=" * (-len(plain) % 4))
    except (binascii.Error, ValueError):
        return b""


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return ""


@lru_cache(maxsize=2048)
def _pattern(glob: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*/?|\*|\?)", glob)
    is_path = "/" in glob and "://" not in glob
    signs = {"**": ".*", "**/": "(?:.*/)?", "*": "[^/]*" if is_path else ".*", "?": "."}
    return re.compile(
        "".join(signs.get(part, re.escape(part)) for part in parts), re.IGNORECASE | re.DOTALL
    )


def matches(text: str, glob: str) -> bool:
    """Return whether a whole text fits a pattern, letter case aside.

    ``*`` stands for any text (within one part of a path, where the pattern has parts), ``**`` for
    any number of parts.
    """
    return _pattern(glob).fullmatch(text) is not None
