"""Output that is no text, and texts that act on a terminal or look like markup."""

from __future__ import annotations

import re

from tests.support.attacks.probe import Asked, Probe, Seen, python, shell

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
MARK = "ATTACK"
"""Stands in every hostile text, so that the views can be looked at where it is."""

SEQUENCES = {
    "osc-clipboard": ("write the clipboard of whoever watches (OSC 52)", "\x1b]52;c;QVRUQUNL\x07"),
    "osc-title": (
        "change the terminal's title, which some can be asked for (OSC 0)",
        "\x1b]0;owned\x07",
    ),
    "osc-link": (
        "show one address and lead to another (OSC 8)",
        "\x1b]8;;http://192.0.2.1/\x1b\\here\x1b]8;;\x1b\\",
    ),
    "csi-report": ("have the terminal type its position (CSI 6n)", "\x1b[6n"),
    "csi-erase": ("erase what stands above and write it anew", "\x1b[2J\x1b[H\x1b[1A\x1b[2K"),
    "dcs": ("have the terminal report its settings (DCS)", '\x1bP$q"p\x1b\\'),
    "apc": (
        "reach the multiplexer around the terminal (APC, PM, SOS)",
        "\x1b_own\x1b\\\x1b^own\x1b\\\x1bXown\x1b\\",
    ),
    "c1": ("use the one-byte forms of the same (C1)", "\x9b6n\x9d52;c;QQ==\x9c\x90q\x9c"),
    "unterminated": ("leave a sequence open, so that it swallows what follows", "\x1b]0;open"),
    "overwrite": ("go back and overwrite the line (CR, BS, VT)", "\rsafe\b\b\b\b\x0b\x0c"),
    "bell-and-shift": (
        "ring, switch character sets, ask for an answer",
        "\x07\x0e\x0f\x05\x1b(0\x1bc",
    ),
    "bidi": (
        "have a text read in another order than it stands",
        "\u202egpj.exe\u202c\u2066x\u2069",
    ),
}


def _shown(seen: Seen) -> str:
    """Tell whether all that the command line prints of the run holds nothing that acts."""
    text = seen.views()
    if found := sorted({hex(ord(sign)) for sign in _CONTROL.findall(text)}):
        return f"printed {' '.join(found)}"
    if any(sign in text for sign in "\u202e\u202c\u2066\u2069"):
        return "printed direction signs"
    return "made visible" if MARK in text else "not shown"


def _printed(name: str, tries: str, sequence: str) -> Probe:
    code = f"sys.stdout.write({MARK + sequence + MARK!r}); sys.stderr.write({MARK + sequence!r})"
    return Probe(id=name, tries=tries, steps=(python(code),), held=("made visible",), tell=_shown)


ALL = "".join(sequence for _, sequence in SEQUENCES.values())
_MARKUP = "[bold red]ATTACK[/] [link=file:///etc/passwd]ATTACK[/link] [/] :warning: [@click=app.quit]ATTACK[/]"


def _verbatim(seen: Seen) -> str:
    """Tell whether markup stands in the views as it was written."""
    text = seen.views().replace("\n", "")
    return "verbatim" if text.count(_MARKUP) >= 2 else "obeyed or lost"


def _valid(seen: Seen) -> str:
    """Tell whether a result is text, with the sign of replacement where bytes were none."""
    seen.text.encode()  # a surrogate would be an error
    return "replaced" if "\ufffd" in seen.text else "taken"


def _intact(seen: Seen) -> str:
    """Tell whether only signs at the two edges of a cut were replaced."""
    kept = seen.output.partition("\nstderr:")[0]
    seen.text.encode()
    return "cut" if kept.count("\ufffd") <= 8 and "bytes left out" in kept else "broken"


PROBES = (
    *(_printed(name, tries, sequence) for name, (tries, sequence) in SEQUENCES.items()),
    Probe(
        id="file-names",
        tries="put such sequences into the names of files",
        steps=(
            python(f"open('/work/' + {(MARK + ALL).replace('/', '|')!r}, 'w').close()"),
            Asked("files.list", {}),
            Asked("files.read", {"path": MARK + "\x1b]0;x\x07"}),
            shell("find /work -name '*ATTACK*' -delete"),
        ),
        held=("made visible",),
        tell=_shown,
    ),
    Probe(
        id="tool-names",
        tries="ask for a tool whose name is such a sequence",
        steps=(
            Asked(MARK + ALL, {}),
            Asked("files.list\x00\x1b[6n", {}),
            Asked("../../tools/files.list", {}),
        ),
        held=("made visible",),
        tell=_shown,
    ),
    Probe(
        id="arguments",
        tries="put such sequences into arguments, and into their names",
        steps=(
            Asked("files.read", {"path": MARK + ALL}),
            Asked("files.read", {MARK + ALL: MARK + ALL}),
            Asked("files.read", None, raw="{" + MARK + ALL),
        ),
        held=("made visible",),
        tell=_shown,
    ),
    Probe(
        id="model-replies",
        tries="say such sequences along with a call",
        steps=(Asked("files.list", {}, say=MARK + ALL),),
        held=("made visible",),
        tell=_shown,
    ),
    Probe(
        id="programs-names",
        tries="start a program whose name and arguments are such sequences",
        steps=(
            python(
                f"path = '/tmp/' + {(MARK + ALL).replace('/', '|')!r}\n"
                "os.symlink('/bin/true', path)\n"
                f"os.spawnv(os.P_WAIT, path, [path, {ALL!r}]); os.remove(path)"
            ),
        ),
        held=("made visible",),
        tell=_shown,
    ),
    Probe(
        id="markup",
        tries="print what a terminal library would take as markup",
        steps=(Asked("shell.run", {"command": f"printf '%s' '{_MARKUP}'"}, say=_MARKUP),),
        held=("verbatim",),
        tell=_verbatim,
    ),
    Probe(
        id="invalid-utf8",
        tries="print bytes that are no text",
        steps=(
            python(
                "os.write(1, bytes(range(128, 256)) + b'\\xed\\xa0\\x80\\xf8\\x88\\xc0\\xaf\\xff\\xfe')"
            ),
        ),
        held=("replaced",),
        tell=_valid,
    ),
    Probe(
        id="split-multibyte",
        tries="have the cut of a long output fall into the middle of a sign",
        steps=(python("os.write(1, b'x' + '\u20ac\U0001f600'.encode() * 40000)"),),
        held=("cut",),
        tell=_intact,
    ),
    Probe(
        id="slow-multibyte",
        tries="print a sign byte by byte",
        steps=(
            python(
                "import time\nfor byte in '\u20ac'.encode() * 3: os.write(1, bytes([byte])); time.sleep(0.01)"
            ),
        ),
        held=("\u20ac\u20ac\u20ac",),
    ),
    Probe(
        id="surrogates",
        tries="pass half of a sign as an argument",
        steps=(
            Asked("files.write", {"path": "h\ud800", "content": "\udfff"}),
            Asked("files.list", {}),
        ),
        held=("ok; ok", "error; ok"),
    ),
    Probe(
        id="nul-bytes",
        tries="print NUL, and ask for a file with NUL in its name",
        steps=(shell("printf 'a\\000b\\nend'"), Asked("files.read", {"path": "readme.txt\0.png"})),
        held=("end; error",),
    ),
)
