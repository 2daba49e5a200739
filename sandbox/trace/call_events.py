"""What events hold that concern calls of tools: intents, verdicts, decisions, results."""

# Without the future import of annotations: they are read at run time, and texts would have to be compiled first.

from typing import Annotated, Any, NotRequired

from typing_extensions import TypedDict

from sandbox.enums import CallStatus, Decision, Mode, MonitorFault, Severity, Stage
from sandbox.trace.effects import Effect, Recorded
from sandbox.trace.fields import NAME, VOLATILE
from sandbox.trace.model_events import TokenUsage

CallId = Annotated[str, "which call, by its id in `tool.intent`", NAME]


class CallRequest(TypedDict):
    """What a call asks for."""

    tool: Annotated[str, "`toolkit.function`, or what the model wrote if there is no such tool"]
    arguments: NotRequired[
        Annotated[dict[str, Any], "as the model gave them, or as the scaffold edited them"]
    ]
    raw: NotRequired[
        Annotated[str, "in place of `arguments`: what the model wrote, if it is no JSON object"]
    ]
    unknown: NotRequired[Annotated[bool, "true if the agent has no such tool"]]


class ToolIntentEvent(CallRequest):
    """An agent asked for a call. Written before anything is done about it."""

    call: Annotated[str, "id of the call; the events below refer to it", NAME]
    original: NotRequired[
        Annotated[
            CallRequest,
            "if the [scaffold](scaffolds.md) edited the call: what the model asked for under this id. The call is then the scaffold's own",
        ]
    ]


class ToolDroppedEvent(CallRequest):
    """A model asked for a call, and the scaffold did not hand it over.

    It is not executed, no monitor judges it, and it counts for no limit. Written before the calls of the same reply are executed; if the scaffold acts on
    none of them, when it asks the model again or ends its turn. In the replies of a model the calls stand as it
    asked for them, so replies, these events and `original` say together who did what.
    """

    call: Annotated[str, "its id in the reply", NAME]


class JudgeReplyData(TypedDict):
    """One reply of a judge's model, usable or not."""

    monitor: Annotated[str, "`family.judge`"]
    model: Annotated[str, "the model as the user wrote it"]
    answered_by: Annotated[str, "the model as the provider names it"]
    sample: Annotated[int, "which sample of this model, from 0"]
    attempt: Annotated[int, "which try of it, from 0"]
    score: Annotated[float | None, "the answer; null if the reply cannot be used"]
    reason: Annotated[str, "the answer's reason"]
    problem: Annotated[str, "why it cannot be used"]
    text: Annotated[str, "what the model wrote; empty if the answer was known from before"]
    seconds: Annotated[float, "time it took", VOLATILE]
    usage: Annotated[TokenUsage, "as in `model.reply`"]
    cached: Annotated[bool, "whether the answer was known from before, so that nobody was asked"]
    nonce: Annotated[str, "the nonce of the prompt", VOLATILE]
    prompt_sha256: Annotated[
        str,
        "hash of the prompt, which can be made again from the trace, the judge's file and the nonce",
        VOLATILE,
    ]
    key: Annotated[str, "what the question is found by in a cache"]


class JudgeReplyEvent(JudgeReplyData):
    """A judge's model was asked what it makes of a call, a result or a run; see [judges](judges.md)."""

    call: Annotated[str, "which call; empty for a whole run", NAME]
    stage: Annotated[Stage, "`before`, `after` or `end`"]


class PolicyScore(TypedDict):
    """Why a policy gave a verdict."""

    name: Annotated[str, "of the policy"]
    threshold: Annotated[float, "the threshold that was passed"]
    rate: Annotated[float | None, "its share of runs without harm; null for a plain score"]
    calibration: Annotated[str, "name of the calibration"]
    calibration_sha256: Annotated[str, "its hash"]


class VerdictData(TypedDict):
    """What a monitor said."""

    monitor: Annotated[str, "`family.rule`; `policy.NAME` of a policy"]
    verdict: Annotated[Decision, "what it asks for, see [monitors](monitors.md)"]
    severity: Annotated[Severity, "how bad what it saw is"]
    score: Annotated[float, "suspicion, 0 to 1"]
    reason: Annotated[str, "why"]
    rewrite: NotRequired[Annotated[str, "the text to put in place of the result"]]
    tags: NotRequired[Annotated[list[str], "taxonomy ids, if there are any"]]
    shown: NotRequired[
        Annotated[
            str, "what the agent reads in place of the reason, if a judge or a policy says why"
        ]
    ]
    policy: NotRequired[Annotated[PolicyScore, "of a [policy](monitors.md#policies)"]]


class JudgedStage(TypedDict):
    """What a verdict is on."""

    call: Annotated[str, "which call; empty at the stages `reply` and `end`", NAME]
    tool: Annotated[str, "its tool; `reply` at the stage `reply`, empty at the stage `end`"]
    stage: Annotated[
        Stage,
        "`before`, `after`, `reply` for the agent's closing words, or `end` for a judge of the whole run",
    ]


class VerdictEvent(JudgedStage, VerdictData):
    """A monitor judged a call or its result, and did not simply allow it."""


class MonitorErrorEvent(TypedDict):
    """A monitor failed, ran out of time or came to no judgement. In `enforce` mode that stops the call."""

    call: CallId
    monitor: Annotated[str, "which monitor"]
    stage: Annotated[Stage, "as in `verdict`"]
    kind: NotRequired[
        Annotated[
            MonitorFault,
            "`error`, `timeout`, or `unscored`: a judge whose replies cannot be used; missing in old traces",
        ]
    ]
    reason: Annotated[str, "the error, the time it was given, or what was wrong with the replies"]


class GateDecisionEvent(TypedDict):
    """What the gate made of the strictest verdict of a stage, if that is stricter than `alert`."""

    call: CallId
    stage: Annotated[Stage, "as in `verdict`"]
    mode: Annotated[Mode, "`observe` or `enforce`"]
    monitor: Annotated[str, "whose verdict decided"]
    verdict: Annotated[Decision, "which verdict it is"]
    carried_out: Annotated[bool, "whether it took effect"]
    decided_by: NotRequired[
        Annotated[
            str,
            "for an escalation in `enforce` mode: who decided; in a fork also `the record of run …`, for what is replayed, and `the fork`, for a result that it replaces",
        ]
    ]
    allowed: NotRequired[Annotated[bool, "for an escalation in `enforce` mode: how"]]
    reason: NotRequired[Annotated[str, "why, if a record or a fork decided"]]
    text: NotRequired[
        Annotated[
            str,
            "what the agent reads in place of the result, if that took effect after the call",
        ]
    ]


class ToolResultEvent(TypedDict):
    """What became of a call."""

    call: CallId
    tool: Annotated[str, "its tool"]
    status: Annotated[
        CallStatus,
        "`ok`; `error` (the tool refused); `invalid` (no such tool, or unsound arguments); `blocked` (by a monitor); `fault` (the tool or the container broke); `timeout`",
    ]
    text: Annotated[
        str,
        "the result; what the agent read, unless a monitor of the stage `after` rewrote or withheld it",
    ]
    effects: Annotated[list[Effect], "what the call really did, see above"]
    dropped: Annotated[int, "effects beyond the limits"]
    recorded: NotRequired[
        Annotated[
            Recorded, "record → whether it is complete; missing if the container did not answer"
        ]
    ]
    seconds: NotRequired[Annotated[float, "time inside the guest, if the guest answered", VOLATILE]]
    fault: NotRequired[Annotated[str, "end of the tool's traceback, if the tool broke"]]


class ToolLateEvent(TypedDict):
    """What a call did after it had returned: a process that it left running was at work."""

    call: Annotated[str, "the call that started it", NAME]
    tool: Annotated[str, "its tool"]
    intent: Annotated[int, "`seq` of that call's `tool.intent`: a model may use an id twice"]
    effects: Annotated[list[Effect], "as in `tool.result`"]
    dropped: Annotated[int, "as in `tool.result`"]
