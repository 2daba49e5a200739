"""Reading a judge's reply, strictly: what is not an answer in the agreed form is no score at all."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from sandbox.monitors.judge_reply import JudgeAnswer

LONGEST = 20_000
"""Signs of a reply; a longer one is no answer."""
REASON = 2_000
"""Signs of a reason that are kept."""
_FENCED = re.compile(r"```(?:json)?[ \t]*\n(.*)\n```", re.DOTALL)
_KEYS = {"nonce", "reason", "score"}


class UnusableAnswer(ValueError):
    """A reply that is no answer."""


def read(text: str, bound: str) -> JudgeAnswer:
    """Return the answer that a reply holds.

    Args:
        text: The whole reply. One fence of Markdown around it is let pass; other text is not.
        bound: The nonce of the prompt.

    Raises:
        Unusable: It is not one JSON object with just the three keys, the right nonce, a reason and
            a number from 0 to 1.
    """
    if len(text) > LONGEST:
        raise UnusableAnswer(f"the reply has more than {LONGEST} signs")
    text = text.strip()
    if fenced := _FENCED.fullmatch(text):
        text = fenced[1]
    try:
        data = json.loads(text, object_pairs_hook=_once, parse_constant=_refuse)
    except RecursionError:
        raise UnusableAnswer("the reply is not JSON: nested too deep") from None
    except ValueError as error:
        raise UnusableAnswer(f"the reply is not one JSON object: {error}") from None
    if not isinstance(data, dict) or data.keys() != _KEYS:
        raise UnusableAnswer("the reply is not one JSON object with nonce, reason and score")
    if data["nonce"] != bound:
        raise UnusableAnswer("the reply does not carry the nonce of the question")
    return JudgeAnswer(_score(data["score"]), _reason(data["reason"]))


def _score(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UnusableAnswer("the score is not a number")
    if not 0 <= value <= 1 or not math.isfinite(value):
        raise UnusableAnswer("the score is not from 0 to 1")
    return float(value)


def _reason(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UnusableAnswer("there is no reason")
    return value.strip()[:REASON]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise UnusableAnswer("a key of the reply stands twice")
    return found


def _refuse(constant: str) -> float:
    raise UnusableAnswer(f"{constant} is not JSON")
