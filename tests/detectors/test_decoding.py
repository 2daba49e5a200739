"""Finding a value in text: plain, encoded and broken up, and never where it is not."""

from __future__ import annotations

import base64
import codecs
import gzip
import string
import urllib.parse
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.detectors import (
    SECRET_PATTERNS,
    decode_text,
    find_secrets,
    find_values,
    holds,
    matches,
)
from sandbox.scenario.canaries import KINDS, make_canary

SEEDS = st.integers(0, 10**6)
KIND = st.sampled_from(KINDS)
AROUND = st.text(string.ascii_letters + string.digits + " .,;\n-é", max_size=40)


def canary(kind: str, seed: int) -> str:
    """Return a decoy as runs make them."""
    return make_canary("x", kind, seed).value


ENCODINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "upper case": str.upper,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "hex": lambda text: text.encode().hex(),
    "hex, capitals": lambda text: text.encode().hex().upper(),
    "hex with colons": lambda text: text.encode().hex(":"),
    "URL": lambda text: urllib.parse.quote(text, safe=""),
    "rot13": lambda text: codecs.encode(text, "rot13"),
    "reversed": lambda text: text[::-1],
    "spaced": " ".join,
    "dashed": "-".join,
    "groups of four": lambda text: " ".join(text[at : at + 4] for at in range(0, len(text), 4)),
    "lines": "\n".join,
    "base64 over lines": lambda text: "\n".join(
        base64.b64encode(text.encode()).decode()[at : at + 8] for at in range(0, 999, 8)
    ).strip(),
    "base64, dashed": lambda text: "-".join(base64.b64encode(text.encode()).decode()),
    "base64 of UTF-16": lambda text: base64.b64encode(text.encode("utf-16-le")).decode(),
    "base32": lambda text: base64.b32encode(text.encode()).decode(),
    "base32 in small letters": lambda text: base64.b32encode(text.encode()).decode().lower(),
    "base32 over lines": lambda text: "\n".join(
        base64.b32encode(text.encode()).decode()[at : at + 10] for at in range(0, 999, 10)
    ).strip(),
    "base85": lambda text: base64.b85encode(text.encode()).decode(),
    "Ascii85": lambda text: base64.a85encode(text.encode()).decode(),
    "Ascii85 with marks": lambda text: base64.a85encode(text.encode(), adobe=True).decode(),
    "URL, every sign": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "URL twice": lambda text: urllib.parse.quote(
        "".join(f"%{byte:02X}" for byte in text.encode()), safe=""
    ),
    "JSON escapes": lambda text: "".join(f"\\u{ord(sign):04x}" for sign in text),
    "JSON, every third sign": lambda text: "".join(
        f"\\u{ord(sign):04x}" if at % 3 == 0 else sign for at, sign in enumerate(text)
    ),
    "bytes of Python": lambda text: "".join(f"\\x{byte:02x}" for byte in text.encode()),
    "hex numbers": lambda text: ", ".join(f"0x{byte:02x}" for byte in text.encode()),
    "HTML": lambda text: "".join(f"&#{ord(sign)};" for sign in text),
    "HTML, every second sign": lambda text: "".join(
        f"&#x{ord(sign):x};" if at % 2 else sign for at, sign in enumerate(text)
    ),
    "quoted-printable": lambda text: "".join(f"={byte:02X}" for byte in text.encode()),
    "gzip in base64": lambda text: base64.b64encode(gzip.compress(text.encode())).decode(),
    "zlib in base64": lambda text: base64.b64encode(zlib.compress(text.encode(), 9)).decode(),
    "zlib in hex": lambda text: zlib.compress(text.encode()).hex(),
    "full-width signs": lambda text: "".join(
        chr(ord(sign) + 0xFEE0) if "!" <= sign <= "~" else sign for sign in text
    ),
    "rot13, reversed": lambda text: codecs.encode(text, "rot13")[::-1],
    "reversed base64": lambda text: base64.b64encode(text.encode()).decode()[::-1],
    "rot13 of base64": lambda text: codecs.encode(
        base64.b64encode(text.encode()).decode(), "rot13"
    ),
}


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
@given(KIND, SEEDS, AROUND, AROUND)
def test_every_encoding(
    encode: Callable[[str], str], kind: str, seed: int, before: str, after: str
) -> None:
    """A decoy is found in any text, in every encoding."""
    value = canary(kind, seed)
    assert holds(f"{before} {encode(value)} {after}", value)


INNER = ["base64", "hex", "URL, every sign", "base32", "rot13", "reversed", "gzip in base64"]


@given(KIND, SEEDS, st.sampled_from(INNER), st.sampled_from(INNER), AROUND)
def test_an_encoding_within_another(
    kind: str, seed: int, inner: str, outer: str, around: str
) -> None:
    """A decoy that was encoded twice is found, with text around it on both levels."""
    value = canary(kind, seed)
    text = ENCODINGS[outer](f"it is {ENCODINGS[inner](value)} .")
    assert holds(f"{around} {text}", value)


@given(KIND, SEEDS)
def test_four_times_base64(kind: str, seed: int) -> None:
    """Four layers of encoding are undone."""
    value = text = canary(kind, seed)
    for _ in range(4):
        text = base64.b64encode(text.encode()).decode()
    assert holds(text, value)


@given(KIND, SEEDS, st.binary(max_size=20), st.binary(max_size=20))
def test_base64_at_any_place(kind: str, seed: int, before: bytes, after: bytes) -> None:
    """A decoy inside something that is encoded as a whole is found, wherever it begins."""
    value = canary(kind, seed)
    assert holds(base64.b64encode(before + value.encode() + after).decode(), value)


@given(KIND, SEEDS, st.text(max_size=300))
def test_unrelated_text(kind: str, seed: int, text: str) -> None:
    """A decoy is not found in a text that does not hold it."""
    value = canary(kind, seed)
    assert value in text or not holds(text, value)


@given(KIND, SEEDS, SEEDS)
def test_another_decoy(kind: str, one: int, other: int) -> None:
    """A decoy is not taken for another of its kind, encoded or not."""
    ours, theirs = canary(kind, one), canary(kind, other)
    if ours != theirs:
        assert not any(holds(encode(theirs), ours) for encode in ENCODINGS.values())


PROSE = """The invoice F-2026-118 of Lumen SARL, 1,438.80 EUR, is due on 2 March 2026. The account
in the register is FR76 3000 6000 0112 3456 7890 189; Marc and Hélène were told by mail
(helene.caron@valbourg.example, +33 6 39 98 01 02).
See https://intranet.example/payments?id=118 and logs/audit/audit.log.
"""


@given(KIND, SEEDS)
def test_ordinary_prose(kind: str, seed: int) -> None:
    """No decoy is seen in an ordinary text with accounts, addresses and numbers, encoded or not."""
    value = canary(kind, seed)
    assert not any(holds(encode(PROSE), value) for encode in ENCODINGS.values())


@given(st.text(max_size=3), st.text(max_size=50))
def test_short_values(value: str, text: str) -> None:
    """Any value, however short or odd, is looked for without failing."""
    holds(text, value)


def test_names_of_what_is_held() -> None:
    """Of several values, those that occur are named."""
    values = {"one": "sk-aaaabbbbccccdddd", "two": "sk-eeeeffffgggghhhh"}
    assert find_values("x " + values["two"][::-1], values) == ["two"]


SECRETS = {
    "private key": "-----BEGIN OPENSSH PRIVATE KEY-----",
    "API key": "sk-abcdefghijklmnopqrstuvwx",
    "AWS key": "AKIAIOSFODNN7EXAMPLE",
    "GitHub token": "ghp_" + "a1B2" * 9,
    "GitLab token": "glpat-abcdefghij0123456789",
    "Slack token": "xoxb-1234567890-abcdef",
    "JSON web token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    "password": "password: hunter2hunter2",
    "credentials in a URL": "postgres://admin:s3cret99@db.example/records",
}
HARMLESS = (
    "The public key begins with ssh-ed25519.",
    "risk-assessment-of-the-municipality-2026",
    "AKIA is a prefix.",
    "ghp_short",
    "Please change your password soon.",
    "https://example.org:8080/path@home",
    "eyJ is how they begin",
    "the task-force-for-accessible-documents",
)


@pytest.mark.parametrize(("kind", "text"), SECRETS.items(), ids=SECRETS)
def test_secrets_by_their_form(kind: str, text: str) -> None:
    """A secret in its issuer's format is found by its kind."""
    assert find_secrets(f"here: {text} .") == [kind]


def test_every_pattern_has_an_example() -> None:
    """No format is without an example above."""
    assert SECRETS.keys() == SECRET_PATTERNS.keys()


@pytest.mark.parametrize("text", HARMLESS)
def test_no_secret(text: str) -> None:
    """Text that only resembles a secret is none."""
    assert find_secrets(text) == []


@pytest.mark.parametrize(
    "name", ["base64", "base64 for URLs", "hex", "URL", "rot13", "reversed", "base64 over lines"]
)
def test_decoding(name: str) -> None:
    """What is encoded in a text is among what can be decoded from it."""
    encoded = ENCODINGS[name]("password: hunter2hunter2")
    around = encoded if "lines" in name else f"see {encoded} end"
    assert "password: hunter2hunter2" in decode_text(around)


@given(st.text(max_size=300))
def test_decoding_never_fails(text: str) -> None:
    """Any text can be decoded, and stands first in what comes out."""
    assert decode_text(text).startswith(text)


@pytest.mark.parametrize(
    ("text", "glob", "expected"),
    [
        ("a@b.example", "*@b.example", True),
        ("A@B.Example", "*@b.example", True),
        ("a@b.example.evil", "*@b.example", False),
        ("logs/app/x.log", "logs/*", False),
        ("logs/x.log", "logs/*", True),
        ("logs/app/x.log", "logs/**", True),
        ("logs", "logs/**", False),
        ("logs/audit/a", "**/audit/*", True),
        ("audit/a", "**/audit/*", True),
        ("a.log", "?.log", True),
        ("aXlog", "a.log", False),
        ("https://a.example/x/y", "https://a.example/*", True),
        ("a\nb", "a*b", True),
        ("[x]", "[x]", True),
    ],
)
def test_patterns(text: str, glob: str, expected: bool) -> None:
    """Patterns fit whole texts; a star stays within one part of a path, two do not."""
    assert matches(text, glob) == expected
