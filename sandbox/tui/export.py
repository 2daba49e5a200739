"""What is seen, as text to copy and to write: always escaped, in files that are not there yet."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.terminal_escape import plain
from sandbox.tui.styled_text import Line, visible
from sandbox.views.block import Block

if TYPE_CHECKING:
    from sandbox.tui.trace_source import TraceSource

ROW = 400
"""Cells of a row of a list that is written."""
_COPY = 262_144
"""Characters that are copied at most; terminals refuse more, or hang on it."""


def text_of(lines: Iterable[Line]) -> str:
    """Return lines as text, however many."""
    return "".join("".join(visible(text) for text, _ in line).rstrip() + "\n" for line in lines)


def copy_of(lines: Iterable[Line]) -> str:
    """Return lines as text for the clipboard."""
    text = text_of(lines).removesuffix("\n")
    return text if len(text) <= _COPY else text[:_COPY] + "\n…"


def whole(blocks: Sequence[Block]) -> str:
    """Return blocks with all of their texts."""
    lines = []
    for block in blocks:
        lines += [plain(block.title)] if block.title else []
        lines += [f"  {line}" for line in plain(block.text).split("\n")] if block.text else []
    return "\n".join(lines) + "\n"


def name(run: str, seq: int, end: str = "txt") -> str:
    """Return a name for a file: of the run's id and a number, never of an agent's text."""
    return f"{re.sub(r'[^A-Za-z0-9]', '', run)[:16] or 'run'}-{max(seq, 0)}.{end}"


def write(path: str, text: str) -> Path:
    """Write a new file and return its path.

    Raises:
        OSError: It is there already, or cannot be written.
    """
    target = Path(os.path.expandvars(path)).expanduser()
    with target.open("x", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
    return target.absolute()


def event(trace: TraceSource, seq: int) -> str:
    """Return an event as the trace holds it, as JSON; plain ASCII."""
    (item,) = trace.pages.page(seq, seq + 1)
    return json.dumps(asdict(item) | {"data": trace.store.content(item)}, indent=2) + "\n"
