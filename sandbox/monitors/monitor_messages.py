"""What the host and the process of monitors send each other: JSON data, in the form that each side gives it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict

from sandbox.cel import Macros
from sandbox.cel_cost import Variables
from sandbox.detectors.call import Arguments, Result
from sandbox.enums import CallStatus, Stage
from sandbox.trace.call_events import CallRequest
from sandbox.trace.effects import Effect

JournalEntry = tuple[Any, ...]
"""What was done with a context, its name first; see :attr:`RunContext.journal`. On the way it is a list."""


class CallData(TypedDict):
    """A call; the definition of a tool goes with its first one."""

    tool: str
    arguments: Arguments
    agent: str
    original: CallRequest | None
    words: NotRequired[Stage]
    definition: NotRequired[Mapping[str, object]]


class ResultData(TypedDict):
    """What a call gave."""

    text: str
    status: CallStatus
    effects: list[Effect]


class MonitorData(TypedDict, total=False):
    """Which monitor is asked: a function by its file, or a rule by its definition."""

    monitor: str
    path: str
    rule: Mapping[str, object]
    macros: Macros


class ContextMessage(TypedDict):
    """A run begins, goes on, or is closed."""

    what: Literal["open", "repeat", "close"]
    run: str
    lang: NotRequired[str]
    scope: NotRequired[Mapping[str, object]]
    canaries: NotRequired[Mapping[str, Mapping[str, Any]]]
    plan: NotRequired[list[CallData]]
    labels: NotRequired[Mapping[str, list[str]]]
    final_agent: NotRequired[str]
    entries: NotRequired[list[JournalEntry]]


class StepQuestion(MonitorData, total=False):
    """What a monitor makes of a step."""

    what: Literal["ask"]
    run: str
    position: int
    result: ResultData | None
    seconds: float


class ScoreQuestion(TypedDict, total=False):
    """Whether a condition of a score holds."""

    what: Literal["score"]
    source: str
    variables: Variables
    macros: Macros
    seconds: float


Question = StepQuestion | ScoreQuestion


class MonitorAnswer(TypedDict, total=False):
    """What the process says; what is in it is checked before it is used."""

    asking: bool
    failed: str
    internal: str
    memory: bool
    finding: object
    holds: bool
    refused: str


def result_data(result: Result) -> ResultData:
    """Return a result as JSON data."""
    return {"text": result.text, "status": result.status, "effects": list(result.effects)}
