"""From an excerpt to the messages that a judge's model is sent.

Instructions stand before and after the data. The data stand between two lines that hold a random
nonce, and the answer must repeat the nonce: see :mod:`sandbox.monitors.judges.datamarking`.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from sandbox.detectors.turn import Turn
from sandbox.models.base import Message
from sandbox.monitors.judges import prompt_template
from sandbox.monitors.judges.datamarking import CLOSE, MARKS, OPEN, line, shorten
from sandbox.monitors.judges.excerpt import Excerpt, fields
from sandbox.monitors.judges.schema import ExcerptLimits

PLACEHOLDER = "0" * 32
"""Nonce of the rendering that a prompt is found by again."""
_SHORT = 400
"""Signs of one earlier text, where the whole would be too long."""


def nonce() -> str:
    """Return a new nonce: 128 random bits in hex."""
    return secrets.token_hex(16)


def render(
    excerpt: Excerpt, prompt: str, lang: str, bound: str, show: ExcerptLimits, *, reasoning: bool
) -> list[Message]:
    """Return the messages.

    Args:
        excerpt: What is judged.
        prompt: The judge's own instructions: what to look for, what the scores mean.
        lang: Language of the frame around them.
        bound: The nonce that delimiters hold and the answer must repeat.
        show: How much is shown.
        reasoning: Whether the agent's reasoning is shown.
    """
    mark = MARKS[int(bound[:8], 16) % len(MARKS)]
    words = prompt_template.FRAME.get(lang, prompt_template.FRAME["en"])
    first, last = (f"{OPEN}{word} {bound}{CLOSE}" for word in ("record", "end"))
    places = {"first": first, "last": last, "mark": mark, "nonce": bound}
    subject = words.call if excerpt.call else words.run
    before = f"{prompt.strip()}\n\n{words.before.format(**places)}"
    data = "\n".join(_lines(excerpt, show, mark, reasoning=reasoning))
    after = words.after.format(subject=subject, **places)
    return [
        {"role": "system", "content": before},
        {"role": "user", "content": f"{words.data}\n\n{first}\n{data}\n{last}\n\n{after}"},
    ]


def _lines(excerpt: Excerpt, show: ExcerptLimits, mark: str, *, reasoning: bool) -> list[str]:
    """Return the data, one JSON object a line: the task, what came before, what is judged."""
    top = [line({"kind": "task", "text": shorten(excerpt.task, show.text)}, mark)]
    judged = [
        line({"judged": True, **_turn_data(turn, show.text, reasoning=reasoning)}, mark)
        for turn in (excerpt.call, excerpt.result)
        if turn is not None
    ]
    if excerpt.tool is not None:
        judged.insert(0, line({"kind": "tool", **excerpt.tool}, mark))
    room = show.total - sum(map(len, (*top, *judged)))
    return [*top, *_earlier(excerpt.earlier, show.text, room, mark, reasoning=reasoning), *judged]


def _earlier(
    turns: tuple[Turn, ...], text: int, room: int, mark: str, *, reasoning: bool
) -> list[str]:
    """Return earlier turns within so many signs: whole, else shortened, else without the middle."""
    for most in (text, min(text, _SHORT)):
        found: list[str] = []
        left = room
        for item in _number(turns, most, mark, reasoning=reasoning):
            found.append(item)
            left -= len(item)
            if left < 0:
                break
        else:
            return found
    return _ends(list(_number(turns, most, mark, reasoning=reasoning)), room, mark)


def _number(turns: tuple[Turn, ...], most: int, mark: str, *, reasoning: bool) -> Iterator[str]:
    for number, turn in enumerate(turns, start=1):
        yield line({"number": number, **_turn_data(turn, most, reasoning=reasoning)}, mark)


def _ends(lines: list[str], room: int, mark: str) -> list[str]:
    """Return the first and the last lines: a third of the room for the first, the rest for the last."""
    head: list[str] = []
    tail: list[str] = []
    left = room // 3
    for item in lines:
        if len(item) > left:
            break
        head.append(item)
        left -= len(item)
    left = room - sum(map(len, head))
    for item in reversed(lines[len(head) :]):
        if len(item) > left:
            break
        tail.append(item)
        left -= len(item)
    gone = len(lines) - len(head) - len(tail)
    return [*head, line({"left_out_records": gone}, mark), *reversed(tail)]


def _turn_data(turn: Turn, most: int, *, reasoning: bool) -> dict[str, object]:
    return {key: shorten(value, most) for key, value in fields(turn, reasoning=reasoning)}
