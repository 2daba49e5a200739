"""Text that a person does not see, or does not read as what it is.

Invisible characters (https://www.unicode.org/reports/tr36/), hidden HTML, letters of two scripts in one
word (https://www.unicode.org/reports/tr39/), and text in a coding that nobody needs for plain words.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from html.parser import HTMLParser
from urllib.parse import unquote_to_bytes

Decoder = Callable[[str], bytes]

TEXT_LIMIT = 256 * 1024
"""Characters of a text that are looked at."""
_KEPT_LENGTH = 65_536
"""Characters up to which what was found in a text is remembered."""
SHORTEST = 16
"""Characters that decoded text must have to be told."""

_TAGS = "\U000e0000-\U000e007f"
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f"
    f"\u3164\ufeff\uffa0\U000e0100-\U000e01ef{_TAGS}]"
)
_TAG_RUN = re.compile(f"[{_TAGS}]+")
_FLAG = re.compile("\U0001f3f4[\U000e0020-\U000e007f]{1,8}")
"""Flags of regions are written with tag characters behind a black flag."""
_OVERRIDE = re.compile("[\u202d\u202e]")
_JOINER_IN_EMOJI = re.compile(
    "(?<=[\u2190-\u2bff\ufe0f\U0001f000-\U0001faff])\u200d(?=[\u2190-\u2bff\U0001f000-\U0001faff])"
)
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_JOINED_SCRIPT = re.compile("[\u0600-\u06ff\u0900-\u0dff\u1780-\u17ff]")
_MIXED = re.compile(
    r"\b(?=\w*[A-Za-z])(?=\w*[\u0370-\u03ff\u0400-\u052f\u0531-\u0587\uff21-\uff5a])[^\W\d_]{3,}\b"
)
_MATHEMATICAL = re.compile("[\U0001d400-\U0001d7ff\u24b6-\u24e9\U0001f130-\U0001f189]{3,}")

_BASE64 = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{24,}={0,2}(?![A-Za-z0-9+/_=-])")
_BASE32 = re.compile(r"(?<![A-Z2-7])[A-Z2-7]{32,}={0,6}(?![A-Z2-7=])")
_HEX = re.compile(r"(?<![0-9A-Fa-f])(?:[0-9A-Fa-f]{2}[ :,-]?){16,}(?![0-9A-Fa-f])")
_PERCENT = re.compile(r"(?:%[2-7][0-9A-Fa-f]){12,}")
_ESCAPES = re.compile(r"(?:\\x[2-7][0-9A-Fa-f]|\\u00[2-7][0-9A-Fa-f]|&#x?0*[0-9A-Fa-f]{2,3};){12,}")
_BINARY = re.compile(r"(?:[01]{7,8}[ ,]?){12,}")
_MORSE = re.compile(r"(?:[.·\-–]{1,5}[ /|]+){16,}")
_WORDS = re.compile(r"[^\W\d_]{2,}")
_COMMON = frozenset(
    [
        "the",
        "and",
        "to",
        "of",
        "in",
        "for",
        "is",
        "on",
        "that",
        "with",
        "you",
        "this",
        "are",
        "have",
        "not",
        "will",
        "from",
        "your",
        "please",
        "send",
        "it",
        "was",
        "as",
        "be",
        "at",
        "le",
        "la",
        "les",
        "des",
        "de",
        "du",
        "un",
        "une",
        "et",
        "est",
        "pour",
        "dans",
        "que",
        "qui",
        "vous",
        "pas",
        "sur",
        "avec",
        "par",
        "au",
        "ne",
        "ce",
        "il",
        "je",
        "nous",
        "votre",
        "der",
        "die",
        "das",
        "und",
        "ist",
        "nicht",
        "ein",
        "mit",
        "für",
        "auf",
        "den",
        "el",
        "los",
        "las",
        "por",
        "para",
        "una",
        "con",
        "del",
        "che",
        "non",
        "per",
        "il",
    ]
)


@dataclass(frozen=True)
class HiddenText:
    """A piece of text that is not what it looks like."""

    how: str
    """``invisible``, ``override``, ``tags``, ``html``, ``scripts``, or the name of a coding."""
    text: str
    """What it says, where that is known."""
    start: int
    """Where it stands in the text."""


def find_hidden_text(text: str) -> tuple[HiddenText, ...]:
    """Return all that is concealed in a text, as far as it is known to these searches."""
    return _cached_hidden_text(text) if len(text) <= _KEPT_LENGTH else _find(text[:TEXT_LIMIT])


@lru_cache(maxsize=256)
def _cached_hidden_text(text: str) -> tuple[HiddenText, ...]:
    """Return what is found in a text; several monitors ask for it, and many runs read the same."""
    return _find(text)


def _find(text: str) -> tuple[HiddenText, ...]:
    return (*find_hidden_characters(text), *find_hidden_html(text), *find_encoded_text(text))


def find_hidden_characters(text: str) -> list[HiddenText]:
    """Return invisible characters, overrides of direction, and words of mixed scripts.

    Joiners in emoji, flags, marks in text of scripts that need them, and a mark at the very start are
    what they should be.
    """
    if text.isascii():
        return []
    found = []
    plain = _JOINER_IN_EMOJI.sub("", _FLAG.sub("", text.removeprefix("\ufeff")))
    for run in _TAG_RUN.finditer(plain):
        said = "".join(chr(ord(sign) - 0xE0000) for sign in run[0] if ord(sign) > 0xE001F)
        found.append(HiddenText("tags", said, run.start()))
    plain = _TAG_RUN.sub("", plain)
    if override := _OVERRIDE.search(plain):
        found.append(HiddenText("override", plain[override.start() :][:200], override.start()))
    if not _RIGHT_TO_LEFT.search(plain) and not _JOINED_SCRIPT.search(plain):
        invisible = [*_INVISIBLE.finditer(plain)]
        hyphens = sum(item[0] == "\u00ad" for item in invisible)
        if len(invisible) - hyphens >= 3:
            found.append(
                HiddenText("invisible", _INVISIBLE.sub("", plain)[:2000], invisible[0].start())
            )
    found += [HiddenText("scripts", item[0], item.start()) for item in _MIXED.finditer(plain)]
    found += [
        HiddenText("letters", item[0], item.start()) for item in _MATHEMATICAL.finditer(plain)
    ]
    return found


def find_encoded_text(text: str) -> list[HiddenText]:
    """Return what stands in a coding and is readable text once it is decoded."""
    found: list[HiddenText] = []
    for how, pattern, decode in _CODINGS:
        for item in pattern.finditer(text):
            said = _readable(decode, item[0])
            if said:
                found.append(HiddenText(how, said, item.start()))
    return [*found, *_turned(text)]


def find_hidden_html(text: str) -> list[HiddenText]:
    """Return texts that a browser would not show: hidden elements and comments."""
    if "<" not in text or not _HTML.search(text):
        return []
    reader = _HiddenHTMLParser()
    reader.feed(_close_comments(text[:TEXT_LIMIT]))
    reader.close()
    return [item for item in reader.found if len(item.text) >= SHORTEST]


def _close_comments(text: str) -> str:
    """Return a text in which no comment or declaration is left open: its end is looked for from each anew."""
    if text.rfind("<!--") > text.rfind("-->"):
        return text + "-->"
    return text + ">" if max(text.rfind("<!"), text.rfind("<?")) > text.rfind(">") else text


def _readable(decode: Decoder, coded: str) -> str:
    """Return what a coded text says, empty where it is no text."""
    try:
        said = decode(coded).decode("utf-8")
    except (ValueError, binascii.Error):
        return ""
    shown = sum(sign.isalnum() or sign.isspace() or sign in _PUNCTUATION for sign in said)
    return said if len(said) >= SHORTEST and shown >= 0.95 * len(said) else ""


def _turned(text: str) -> Iterator[HiddenText]:
    """Yield a text in rot13 or written backwards: common words appear only when it is turned."""
    words = [word.lower() for word in _WORDS.findall(text[:20_000])]
    if len(words) < 6 or _commonness(words) >= 0.08:
        return
    for how, turned in (
        ("rot13", [codecs.decode(word, "rot13") for word in words]),
        ("reversed", [word[::-1] for word in words]),
    ):
        if (
            _commonness(turned) >= 0.2
            and sum(len(word) > 2 and word in _COMMON for word in turned) >= 2
        ):
            said = codecs.decode(text, "rot13") if how == "rot13" else text[::-1]
            yield HiddenText(how, said[:2000], 0)


def _commonness(words: list[str]) -> float:
    return sum(word in _COMMON for word in words) / len(words)


def _base64(text: str) -> bytes:
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)


def _base32(text: str) -> bytes:
    plain = text.rstrip("=")
    return base64.b32decode(plain + "=" * (-len(plain) % 8))


def _escapes(text: str) -> bytes:
    return bytes(
        int(digits, 10 if entity and not x else 16)
        for entity, x, digits in re.findall(r"(&#)?(x|u00)?0*([0-9A-Fa-f]{2,3})", text)
    )


def _binary(text: str) -> bytes:
    return bytes(int(item, 2) for item in re.findall(r"[01]{7,8}", text))


def _morse(text: str) -> bytes:
    letters = [_MORSE_LETTERS.get(sign.translate(_DOTS), "") for sign in re.split(r"[ /|]+", text)]
    return "".join(letters).encode()


_DOTS = str.maketrans("·–", ".-")
_MORSE_LETTERS = dict(
    zip(
        [
            ".-",
            "-...",
            "-.-.",
            "-..",
            ".",
            "..-.",
            "--.",
            "....",
            "..",
            ".---",
            "-.-",
            ".-..",
            "--",
            "-.",
            "---",
            ".--.",
            "--.-",
            ".-.",
            "...",
            "-",
            "..-",
            "...-",
            ".--",
            "-..-",
            "-.--",
            "--..",
            "-----",
            ".----",
            "..---",
            "...--",
            "....-",
            ".....",
            "-....",
            "--...",
            "---..",
            "----.",
        ],
        "abcdefghijklmnopqrstuvwxyz0123456789",
        strict=True,
    )
)
_PUNCTUATION = frozenset(".,;:!?'\"()[]{}<>@#%&*+-=/\\_$€£|~^`–—…’“”«»°")

_CODINGS: tuple[tuple[str, re.Pattern[str], Decoder], ...] = (
    ("base64", _BASE64, _base64),
    ("base32", _BASE32, _base32),
    ("hex", _HEX, lambda text: bytes.fromhex(re.sub(r"[ :,-]", "", text))),
    ("percent", _PERCENT, unquote_to_bytes),
    ("escapes", _ESCAPES, _escapes),
    ("binary", _BINARY, _binary),
    ("morse", _MORSE, _morse),
)

_HTML = re.compile(r"<(?:!--|/?[a-zA-Z][^<>]*>)")
_HIDING = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|opacity\s*:\s*0(?:\.0+)?\s*(?:;|$)|font-size\s*:\s*0*[01]?(?:px|pt|em)?\s*(?:;|$)"
    r"|(?:^|;)\s*color\s*:\s*(?:#?fff(?:fff)?\b|white|transparent)|(?:left|top|text-indent)\s*:\s*-\d{3,}"
    r"|(?:max-)?(?:height|width)\s*:\s*[01]px|clip\s*:\s*rect\(0",
    re.IGNORECASE,
)
_VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())  # noqa: SIM905
_SILENT = frozenset(("script", "style", "template"))


class _HiddenHTMLParser(HTMLParser):
    """Collects what stands in hidden elements, and comments."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[HiddenText] = []
        self._open: list[tuple[str, bool]] = []
        self._lines: list[int] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _VOID:
            return
        values = {name: value or "" for name, value in attrs}
        hidden = "hidden" in values or bool(_HIDING.search(values.get("style", "")))
        self._open.append((tag, hidden))

    def handle_endtag(self, tag: str) -> None:
        for index in range(len(self._open) - 1, max(-1, len(self._open) - 64), -1):
            if self._open[index][0] == tag:
                del self._open[index:]
                return

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1][0] in _SILENT:
            return
        if data.strip() and any(hidden for _, hidden in self._open[-64:]):
            self.found.append(HiddenText("html", " ".join(data.split()), 0))

    def handle_comment(self, data: str) -> None:
        self.found.append(HiddenText("comment", " ".join(data.split()), 0))
