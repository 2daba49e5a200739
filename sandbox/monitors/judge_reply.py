"""One reply of a judge's model, for the trace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sandbox.models.base import Usage
from sandbox.trace.call_events import JudgeReplyData


@dataclass(frozen=True)
class JudgeAnswer:
    """What a judge said."""

    score: float
    """Suspicion, 0 to 1."""
    reason: str


@dataclass(frozen=True)
class JudgeReply:
    """What came of asking one model once."""

    monitor: str
    model: str
    """As the user wrote it."""
    sample: int
    """Which of the samples of this model, from 0."""
    attempt: int
    """Which try, from 0."""
    nonce: str
    prompt_sha256: str
    """Of the prompt as it was sent, its messages in canonical JSON."""
    key: str
    """What the question is found by in a cache."""
    answer: JudgeAnswer | None = None
    """None where the reply cannot be used."""
    problem: str = ""
    """Why it cannot."""
    text: str = ""
    """What the model wrote; empty where the answer was known from before."""
    answered_by: str = ""
    """The model as the provider names it."""
    usage: Usage = field(default_factory=Usage)
    seconds: float = 0.0
    cached: bool = False
    final: bool = False
    """True where asking again would not help: no model, no budget."""

    def as_data(self) -> JudgeReplyData:
        """Return it as JSON data for the trace."""
        usage = self.usage.as_data()
        del usage["energy_kwh"]
        return {
            "monitor": self.monitor,
            "model": self.model,
            "answered_by": self.answered_by,
            "sample": self.sample,
            "attempt": self.attempt,
            "score": self.answer.score if self.answer else None,
            "reason": self.answer.reason if self.answer else "",
            "problem": self.problem,
            "text": self.text,
            "seconds": round(self.seconds, 6),
            "usage": usage,
            "cached": self.cached,
            "nonce": self.nonce,
            "prompt_sha256": self.prompt_sha256,
            "key": self.key,
        }


ReplyListener = Callable[[JudgeReply], None]
"""Is told each reply, in order of model, sample and attempt, once all are there."""


def ignore_reply(reply: JudgeReply) -> None:
    """Tell nobody."""
