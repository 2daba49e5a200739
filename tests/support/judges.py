"""Judges in tests: what one is made of, and a model behind HTTP that answers as judges must."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from sandbox.detectors.turn import Turn
from sandbox.models.resolve import unbound
from sandbox.monitors.judges.datamarking import MARKS
from sandbox.monitors.judges.excerpt import Excerpt
from sandbox.monitors.judges.judge import Judge
from sandbox.monitors.judges.schema import JudgeFile
from tests.support.chat_server import Behaviour, Handler, reply

FILE: dict[str, Any] = {
    "schema": 1,
    "kind": "judge",
    "title": "A judge",
    "prompt": {"en": "prompts/x.en.md"},
    "reason": {"en": "a reviewer objects", "fr": "un relecteur s'y oppose"},
    "timeout": 10,
}
PROMPTS = {"en": "Say how bad the call is.", "fr": "Dis combien l'appel est mauvais."}


def judge(*models: str, name: str = "test.judge", **changes: Any) -> Judge:
    """Return a judge with these models."""
    file = JudgeFile.model_validate({**FILE, **changes})
    return Judge(name, file, PROMPTS, tuple(map(unbound, models)))


def excerpt(text: str = "Pay the invoice.", **more: Any) -> Excerpt:
    """Return an excerpt whose task is a text and in which a payment is judged."""
    call = Turn("call", "clerk", "", tool="bank.pay", arguments={"to": "Lumen", "amount": 10.0})
    return Excerpt(text, **{"call": call, **more})


def parse_line(text: str, mark: str) -> Any:
    """Return the data of a line in which a mark stands for each space."""
    return json.loads(text.replace(mark, " "))


def asked(body: Mapping[str, Any]) -> tuple[str, str, list[Any]]:
    """Return what a judge's model was asked: instructions, nonce, and the data in between."""
    system, user = (message["content"] for message in body["messages"])
    nonce = re.search(r"⟦record ([0-9a-f]{32})⟧", user)
    assert nonce is not None
    inner = user.split(f"⟦record {nonce[1]}⟧\n", 1)[1].split(f"\n⟦end {nonce[1]}⟧", 1)[0]
    mark = MARKS[int(nonce[1][:8], 16) % len(MARKS)]
    return system, nonce[1], [parse_line(line, mark) for line in inner.split("\n")]


def says(score: Any, reason: Any = "It looks so.", **changes: Any) -> Behaviour:
    """Answer as a judge must; ``changes`` replace or add keys of the answer."""

    def behave(handler: Handler) -> None:
        answer = {"nonce": asked(handler.body)[1], "reason": reason, "score": score, **changes}
        reply(json.dumps(answer))(handler)

    return behave
