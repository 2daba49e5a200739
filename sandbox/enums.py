"""What has kinds: of events, effects, stages, verdicts, outcomes. Each is named here and nowhere else.

A member is a string and compares, hashes and serialises as one, so events that were stored as plain text need no
conversion when they are read. Data from a trace holds plain strings: compare it by ``==`` or ``match``, never by
``is``, and do not ask it for ``.value``. The guest does without enums, which load slowly; a test holds what it
writes against these.
"""

from __future__ import annotations

from enum import StrEnum


class _Text(StrEnum):
    def __repr__(self) -> str:
        """Return what the text is shown as: errors and logs are for people, who write texts."""
        return repr(self.value)


class EventKind(_Text):
    """What an event tells; see :mod:`sandbox.trace.event_types` for what each holds."""

    RUN_START = "run.start"
    CONTAINER_OPEN = "container.open"
    CONTAINER_CLOSE = "container.close"
    MESSAGE = "message"
    CHANNEL_MESSAGE = "channel.message"
    MODEL_REQUEST = "model.request"
    MODEL_RETRY = "model.retry"
    MODEL_REPLY = "model.reply"
    MODEL_ERROR = "model.error"
    TOOL_INTENT = "tool.intent"
    TOOL_DROPPED = "tool.dropped"
    JUDGE_REPLY = "judge.reply"
    VERDICT = "verdict"
    MONITOR_ERROR = "monitor.error"
    GATE_DECISION = "gate.decision"
    TOOL_RESULT = "tool.result"
    TOOL_LATE = "tool.late"
    RUN_FORK = "run.fork"
    LIMIT = "limit"
    RUN_SCORE = "run.score"
    RUN_END = "run.end"
    RUN_INTERRUPTED = "run.interrupted"
    RUN_PURGED = "run.purged"


class EffectKind(_Text):
    """What an effect concerns."""

    WORLD = "world"
    FILE = "file"
    PROCESS = "process"
    NETWORK = "network"
    CANARY = "canary"


class EffectAction(_Text):
    """What was done."""

    CHANGE = "change"
    CREATE = "create"
    WRITE = "write"
    DELETE = "delete"
    READ = "read"
    RENAME = "rename"
    MODE = "mode"
    EXEC = "exec"
    EXIT = "exit"
    SYSCALL = "syscall"
    SIGNAL = "signal"
    CONNECT = "connect"
    BIND = "bind"
    SEND = "send"
    RESOLVE = "resolve"
    SOCKET = "socket"
    REQUEST = "request"
    TOUCH = "touch"


class EffectStatus(_Text):
    """What became of it."""

    DONE = "done"
    DENIED = "denied"
    ATTEMPTED = "attempted"


class EffectSource(_Text):
    """Who saw it. The last three see canaries only, beside those that saw the file that holds one."""

    WORLD = "world"
    MANIFEST = "manifest"
    TOOL = "tool"
    TRACE = "trace"
    EGRESS = "egress"
    SECCOMP = "seccomp"
    ARGUMENTS = "arguments"
    RESULT = "result"
    NETWORK = "network"


class CanaryForm(_Text):
    """How a canary was seen: its value, or the path of its file."""

    PLAIN = "plain"
    ENCODED = "encoded"
    SPLIT = "split"
    FILE = "file"


class RecordState(_Text):
    """Whether a record of effects is complete."""

    COMPLETE = "complete"
    CUT = "cut"
    LOST = "lost"
    OFF = "off"


class Mode(_Text):
    """Whether monitors only watch, or decide."""

    OBSERVE = "observe"
    ENFORCE = "enforce"


class Stage(_Text):
    """When a monitor judges: a call, its result, the agent's closing words, or the run as a whole."""

    BEFORE = "before"
    AFTER = "after"
    REPLY = "reply"
    END = "end"


class Background(_Text):
    """What happens at the end of a call to processes that it left running."""

    KEEP = "keep"
    STOP = "stop"


class Decision(_Text):
    """What a verdict asks for, from the mildest to the strictest."""

    ALLOW = "allow"
    ALERT = "alert"
    REWRITE = "rewrite"
    ESCALATE = "escalate"
    BLOCK = "block"
    TERMINATE = "terminate"


STRICTNESS = {decision: number for number, decision in enumerate(Decision)}
"""Of several verdicts the strictest decides."""


class Severity(_Text):
    """How bad something is, from the mildest on."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class MonitorFault(_Text):
    """How a monitor came to no verdict."""

    ERROR = "error"
    TIMEOUT = "timeout"
    UNSCORED = "unscored"


class CallStatus(_Text):
    """What became of a call."""

    OK = "ok"
    ERROR = "error"
    INVALID = "invalid"
    BLOCKED = "blocked"
    FAULT = "fault"
    TIMEOUT = "timeout"
    LATE = "late"


class RunStatus(_Text):
    """How far a run is."""

    RUNNING = "running"
    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    PURGED = "purged"


class TaskOutcome(_Text):
    """What became of the task."""

    DONE = "done"
    REFUSED = "refused"
    INCAPABLE = "incapable"
    LIMIT = "limit"
    ERROR = "error"


class SafetyOutcome(_Text):
    """Whether harm was done."""

    SAFE = "safe"
    ATTEMPTED = "attempted"
    UNSAFE = "unsafe"
