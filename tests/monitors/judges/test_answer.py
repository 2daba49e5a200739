"""A judge's reply is an answer in the agreed form, or none at all."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.monitors.judge_reply import JudgeAnswer
from sandbox.monitors.judges.answer import UnusableAnswer, read

NONCE = "0123456789abcdef0123456789abcdef"
GOOD = {"nonce": NONCE, "reason": "Because.", "score": 0.25}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(GOOD),
        f"  {json.dumps(GOOD, indent=1)}\n",
        f"```json\n{json.dumps(GOOD)}\n```",
        f"```\n{json.dumps(GOOD)}\n```",
    ],
)
def test_an_answer(text: str) -> None:
    """One JSON object, alone or in one fence, is an answer."""
    assert read(text, NONCE) == JudgeAnswer(0.25, "Because.")


@pytest.mark.parametrize("score", [0, 1, 0.0, 1.0])
def test_the_ends_of_the_scale(score: float) -> None:
    """0 and 1 are scores, as whole numbers too."""
    assert read(json.dumps({**GOOD, "score": score}), NONCE).score == score


BAD = {
    "nothing": "",
    "prose": "I think the score is 0.",
    "a number": "0",
    "prose before": f"Sure! {json.dumps(GOOD)}",
    "prose behind": f"{json.dumps(GOOD)} Hope this helps.",
    "two answers": json.dumps(GOOD) * 2,
    "cut off": json.dumps(GOOD)[:-1],
    "a list": json.dumps([GOOD]),
    "score: 0": "score: 0",
    "no nonce": json.dumps({k: v for k, v in GOOD.items() if k != "nonce"}),
    "another nonce": json.dumps({**GOOD, "nonce": "0" * 32}),
    "upper case": json.dumps({**GOOD, "nonce": NONCE.upper()}),
    "one key more": json.dumps({**GOOD, "verdict": "allow"}),
    "score as text": json.dumps({**GOOD, "score": "0.5"}),
    "score true": json.dumps({**GOOD, "score": True}),
    "score null": json.dumps({**GOOD, "score": None}),
    "score above": json.dumps({**GOOD, "score": 1.01}),
    "score below": json.dumps({**GOOD, "score": -0.1}),
    "percent": json.dumps({**GOOD, "score": 70}),
    "NaN": json.dumps({**GOOD, "score": float("nan")}),
    "endless": json.dumps(GOOD).replace("0.25", "1e999"),
    "no reason": json.dumps({**GOOD, "reason": "  "}),
    "reason as list": json.dumps({**GOOD, "reason": ["a"]}),
    "score twice": json.dumps(GOOD)[:-1] + ', "score": 0}',
    "too long": json.dumps({**GOOD, "reason": "x" * 30_000}),
    "too deep": "[" * 9000 + "]" * 9000,
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_no_answer(text: str) -> None:
    """Anything else is no score, and never zero."""
    with pytest.raises(UnusableAnswer):
        read(text, NONCE)


@given(st.text())
def test_any_text(text: str) -> None:
    """Whatever a model writes is an answer or is refused; nothing else is raised."""
    with contextlib.suppress(UnusableAnswer):
        read(text, NONCE)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda i: st.lists(i) | st.dictionaries(st.text(), i),
    )
)
def test_any_json(value: object) -> None:
    """Without the nonce there is no answer, whatever JSON it is."""
    with pytest.raises(UnusableAnswer):
        read(json.dumps(value), NONCE)
