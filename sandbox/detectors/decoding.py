"""Undoing encodings of text, wherever in it and however broken up, without knowing which was used.

Each function returns what the text would be if it were encoded in one way. Where it was not, the
result is noise, which holds no canary. Signs outside an encoding's alphabet are dropped first, so
line breaks, blanks and separators do not hide it; and because what stands around the encoded part
shifts it within its groups, every alignment is tried.
"""

from __future__ import annotations

import binascii
import html
import re
import string
import urllib.parse
import zlib
from base64 import a85decode, b85decode
from collections.abc import Callable, Iterator

UNPACKED_LIMIT = 64 * 1024
"""Bytes that compressed data may grow to: a decompression bomb ends there."""
READABLE = 14
"""Printable signs in a row that may be encoded once more; noise seldom has so many."""
UNPACKED_SHORTEST = 16
"""Bytes of the shortest compressed value."""
BASE85_SHORTEST = 13
"""Characters of the shortest value in base85."""
BASE85_LIMIT = 384
"""Characters of one text that are tried as base85, the slowest encoding to undo."""
BASE85_LONGEST = 4096
"""Characters of one word in base85 that are decoded."""
BASE85_ALIGNED = 96
"""Length up to which a run of base85 is tried at every alignment."""

_ROT13 = bytes.maketrans(
    (string.ascii_letters).encode(),
    "".join(c[13:] + c[:13] for c in (string.ascii_lowercase, string.ascii_uppercase)).encode(),
)
_ALL = bytes(range(256))


def _others(keep: str) -> bytes:
    return _ALL.translate(None, keep.encode())


_NOT_ALNUM = _others(string.digits + string.ascii_letters)
_NOT_SIGN = _others("!#$*();<>@^`{|}~\"'[],\\")
_NOT_HEX = _others("0123456789abcdef")
_NOT_BASE64 = _others(string.ascii_letters + string.digits + "+/-_")
_NOT_PLAIN64 = _others(string.ascii_letters + string.digits)
_NOT_BASE32 = _others(string.ascii_uppercase + "234567")
_URLSAFE = bytes.maketrans(b"-_", b"+/")
_BASE32 = bytes.maketrans(
    string.ascii_uppercase.encode() + b"234567", (string.digits + "abcdefghijklmnopqrstuv").encode()
)
_BASE85_RUN = re.compile(rb"[0-9A-Za-z!#$%&()*+;<=>?@^_`{|}~-]{13,}")
_ASCII85_RUN = re.compile(rb"[!-uz]{13,}")
_MIXED = re.compile(rb"(?=.*[A-Z])(?=.*[0-9!-/:-@\[-`{-~])")
_BASE32_RUN = re.compile(
    rb"(?:[A-Z2-7][\s.,:;_-]{0,2}){12,}|(?<![0-9A-Za-z])[a-z2-7]{12,}(?![0-9A-Za-z])"
)
_TOKEN = re.compile(rb"[0-9A-Za-z+/_=-]{16,}")
_ESCAPE = re.compile(
    rb"\\(?:u([0-9A-Fa-f]{4})|u\{([0-9A-Fa-f]{1,6})\}|x([0-9A-Fa-f]{2})|([0-7]{3})|([/\"'\\]))"
)
_QUOTED = re.compile(rb"(?:=[0-9A-F]{2}){2}")
_PERCENT_REVERSED = re.compile(rb"(?:[0-9A-Fa-f]{2}%){3}")
_PERCENT_MOVED = re.compile(rb"(?:%[0-9N-Sn-s]{2}){3}")
_MAGIC = (b"\x1f\x8b\x08", b"\x78\x9c", b"\x78\xda", b"\x78\x01", b"\x78\x5e")
_PRINTABLE = bytes(ord("a") if c in b"\t\n\r" or 32 <= c < 127 else 0 for c in range(256))
_LOWER = bytes(range(256)).lower()


def squeeze(data: bytes) -> bytes:
    """Return the letters and digits only, in lower case: what breaking up a value leaves."""
    return data.translate(_LOWER, _NOT_ALNUM)


def rot13(data: bytes) -> bytes:
    """Return the letters moved by thirteen."""
    return data.translate(_ROT13)


def texts(data: bytes) -> Iterator[bytes]:
    """Yield a text with URL encoding, escapes, entities or quoted-printable undone.

    URL encoding also where the whole was reversed or moved by thirteen afterwards.
    """
    if b"%" in data:
        yield urllib.parse.unquote_to_bytes(data)
        if _PERCENT_REVERSED.search(data):
            yield urllib.parse.unquote_to_bytes(data[::-1])
        if _PERCENT_MOVED.search(data):
            yield urllib.parse.unquote_to_bytes(rot13(data))
    if b"\\" in data:
        yield _ESCAPE.sub(_unescape, data)
    if b"&" in data and b";" in data:
        yield html.unescape(data.decode("utf-8", "ignore")).encode("utf-8", "ignore")
    if _QUOTED.search(data):
        yield binascii.a2b_qp(data)


def _unescape(found: re.Match[bytes]) -> bytes:
    *codes, octal, sign = found.groups()
    if sign:
        return sign
    number = int(octal, 8) if octal else int(next(filter(None, codes)), 16)
    return chr(number).encode("utf-8", "ignore") if number < 0x110000 else b""


def binaries(data: bytes) -> Iterator[bytes]:
    """Yield what a text gives as hex, base64, base32 or base85, at every alignment."""
    yield from _hex(data)
    yield from _hex(data[::-1])
    joined = data.translate(None, _NOT_BASE64)
    yield from _base64(joined.translate(_URLSAFE))
    if b"-" in joined or b"_" in joined or b"/" in joined:
        yield from _base64(joined.translate(None, b"-_+/"))
    yield from _base32(b"".join(_BASE32_RUN.findall(data)))
    tokens = _TOKEN.findall(data)
    if tokens:
        moved = rot13(b"".join(tokens))
        yield from _hex(moved)
        turned = {b"".join(tokens)[::-1], b"".join(token[::-1] for token in tokens), moved}
        for run in turned:
            yield from _base64(run.translate(_URLSAFE, b"="))
            yield from _base32(b"".join(_BASE32_RUN.findall(run)))
    yield from _base85(data)


def _hex(data: bytes) -> Iterator[bytes]:
    run = data.lower().replace(b"0x", b"").translate(None, _NOT_HEX)
    for shift in (0, 1):
        part = run[shift:]
        if len(part) >= 12:
            yield binascii.unhexlify(part[: len(part) & ~1])


def _base64(run: bytes) -> Iterator[bytes]:
    for shift in range(4):
        part = run[shift:]
        whole = len(part) & ~3
        if len(part) >= 8:
            rest = part[whole:]
            part = part[:whole] + (rest + b"=" * (4 - len(rest)) if len(rest) > 1 else b"")
            yield binascii.a2b_base64(part)


def _base32(run: bytes) -> Iterator[bytes]:
    run = run.upper().translate(None, _NOT_BASE32)
    if len(run) < 12:
        return
    number = int(run.translate(_BASE32), 32)
    size = (len(run) * 5 + 7) // 8
    for shift in range(8):
        yield (number >> shift).to_bytes(size, "big")


def _base85(data: bytes) -> Iterator[bytes]:
    """Try the words that look most like base85 first: the budget may not reach for all."""
    words = [word for word in data.split() if len(word) >= BASE85_SHORTEST and _MIXED.match(word)]
    words.sort(key=lambda word: -len(word.translate(None, _NOT_SIGN)))
    left = BASE85_LIMIT
    for word in words:
        for shift in range(5 if len(word) <= BASE85_ALIGNED else 1):
            left -= len(word)
            for pattern, decode in ((_BASE85_RUN, b85decode), (_ASCII85_RUN, a85decode)):
                for run in pattern.findall(word):
                    yield from _try_all(decode, run.removeprefix(b"<~").removesuffix(b"~>")[shift:])
        if left < 0:
            return


def _try_all(decode: Callable[[bytes], bytes], run: bytes) -> Iterator[bytes]:
    for part in (run, run[:-1], run[:-2]):  # a closing bracket or comma may stand behind it
        try:
            yield decode(part[:BASE85_LONGEST])
        except ValueError:
            continue
        return


def decompress(data: bytes) -> Iterator[bytes]:
    """Yield what gzip or zlib data in a byte string unpacks to, up to a limit."""
    for magic in _MAGIC if len(data) >= UNPACKED_SHORTEST else ():
        at = data.find(magic)
        if at < 0:
            continue
        try:
            out = zlib.decompressobj(wbits=47).decompress(data[at:], UNPACKED_LIMIT)
        except zlib.error:
            continue
        if out:
            yield out


def readable(data: bytes, least: int = READABLE) -> list[bytes]:
    """Return the runs of printable ASCII in bytes, of at least so many signs."""
    marked = data.translate(_PRINTABLE)
    found, at, run = [], 0, b"a" * least
    while (at := marked.find(run, at)) >= 0:
        end = marked.find(b"\0", at)
        end = len(data) if end < 0 else end
        found.append(data[at:end])
        at = end
    return found
