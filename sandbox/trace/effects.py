"""Effects: what a call really did, one class for each sort of it. ``docs/events.md`` is made from them."""

# Without the future import of annotations: they are read at run time, and texts would have to be compiled first.

from typing import Annotated, Any, Literal, NotRequired

from typing_extensions import TypedDict

from sandbox.enums import (
    CanaryForm,
    EffectAction,
    EffectKind,
    EffectSource,
    EffectStatus,
    RecordState,
)
from sandbox.trace.fields import VOLATILE

Status = Annotated[
    EffectStatus,
    "`done`; `denied` (refused by the container's confinement); `attempted` (neither: nobody answered, no room was left, the tool failed)",
]
Source = Annotated[EffectSource, "who saw it, see below"]
Count = Annotated[int, "how often, if the same was done several times in one call"]
Error = Annotated[str, "the error that the kernel answered with, such as `EACCES`"]
Pid = Annotated[int, "id of the process inside the container", VOLATILE]


class PatchOperation(TypedDict):
    """One operation of a JSON patch (RFC 6902)."""

    op: Annotated[Literal["add", "remove", "replace"], "what is done"]
    path: Annotated[str, "JSON pointer to the place"]
    value: NotRequired[Annotated[Any, "the new value"]]


class WorldDetail(TypedDict):
    """How a section of the world changed."""

    patch: Annotated[list[PatchOperation], "a JSON patch (RFC 6902)"]
    count: NotRequired[Count]


class WorldEffect(TypedDict):
    """A change of a section of the world."""

    kind: Literal[EffectKind.WORLD]
    action: Literal[EffectAction.CHANGE]
    target: Annotated[str, "the section"]
    status: Status
    source: Literal[EffectSource.WORLD]
    detail: WorldDetail


FileAction = Literal[
    EffectAction.CREATE,
    EffectAction.WRITE,
    EffectAction.DELETE,
    EffectAction.READ,
    EffectAction.RENAME,
    EffectAction.MODE,
]


class FileDetail(TypedDict, total=False):
    """What is known of a file, as far as the source knows it."""

    type: Annotated[Literal["file", "folder", "link", "special"], "what it is"]
    size: Annotated[int, "bytes"]
    mode: Annotated[str, "rights, in octal"]
    before: Annotated[str | None, "SHA-256 of its content before; null if it is not known"]
    after: Annotated[str | None, "SHA-256 of its content after; null if it is no file"]
    to: Annotated[str, "the other path of a `rename` or a link"]
    error: Error
    count: Count


class FileEffect(TypedDict):
    """Something done to a file or a folder."""

    kind: Literal[EffectKind.FILE]
    action: Annotated[FileAction, "`mode` stands for changed rights, and is recorded if refused"]
    target: Annotated[str, "the absolute path"]
    status: Status
    source: Source
    detail: FileDetail


ProcessAction = Literal[
    EffectAction.EXEC, EffectAction.EXIT, EffectAction.SYSCALL, EffectAction.SIGNAL
]


class ProcessDetail(TypedDict, total=False):
    """What is known of a process."""

    pid: Pid
    parent: Annotated[int | None, "the process that started it", VOLATILE]
    argv: Annotated[list[str], "the program's arguments"]
    exit: Annotated[int, "its exit status, once it has ended"]
    signal: Annotated[str, "the signal that ended it"]
    arguments: Annotated[list[str], "of a refused system call: what stood in registers", VOLATILE]
    error: Error
    count: Count


class ProcessEffect(TypedDict):
    """A program that was started or has ended, or a system call that was refused."""

    kind: Literal[EffectKind.PROCESS]
    action: Annotated[
        ProcessAction,
        "`exit` is the end of a process that an earlier result or event names; `syscall` and `signal` were refused",
    ]
    target: Annotated[
        str,
        "the program, or the system call, with what of it was refused (`socket(AF_NETLINK)`), or its number if it has no name",
    ]
    status: Status
    source: Source
    detail: ProcessDetail


NetworkAction = Literal[
    EffectAction.CONNECT,
    EffectAction.BIND,
    EffectAction.SEND,
    EffectAction.RESOLVE,
    EffectAction.SOCKET,
]


class NetworkDetail(TypedDict, total=False):
    """What the tracer knows of a use of the network."""

    to: Annotated[str, "the address that was asked"]
    pid: Pid
    error: Error
    count: Count


class NetworkEffect(TypedDict):
    """A use of the network, as the tracer saw it."""

    kind: Literal[EffectKind.NETWORK]
    action: NetworkAction
    target: Annotated[
        str, "`host:port`, `unix:PATH`, the name that was asked for, or the kind of socket"
    ]
    status: Status
    source: Literal[EffectSource.TRACE]
    detail: NetworkDetail


EgressAction = Literal[EffectAction.REQUEST, EffectAction.RESOLVE, EffectAction.CONNECT]


class EgressDetail(TypedDict, total=False):
    """What the engine knows of a question, a connection or a request that it answered."""

    method: Annotated[str, "of the request"]
    host: Annotated[str, "of the request"]
    port: Annotated[int, "of the request or the connection"]
    path: Annotated[str, "of the request"]
    query: Annotated[str, "of the request, if it has one"]
    headers: Annotated[
        list[list[str]], "name and value of each; they name versions of programs", VOLATILE
    ]
    body: Annotated[str, "the first 64 KiB"]
    body_base64: Annotated[str, "in place of `body`, if it is no text"]
    size: Annotated[int, "bytes of the whole body, or of the question"]
    sha256: Annotated[str, "of the whole body"]
    response: Annotated[int, "HTTP status of the answer"]
    names: Annotated[dict[str, str], "who named which host, if those in the request disagree"]
    type: Annotated[str, "of the question"]
    transport: Annotated[str, "of the question"]
    message: Annotated[str, "a question that was refused, base64"]
    tls: Annotated[bool, "true if TLS was to be spoken"]
    first: Annotated[str, "the first bytes of what was no TLS, in hex"]
    reason: Annotated[str, "why it was denied, or what was missing"]
    late: Annotated[bool, "it happened between two calls: nobody says whose it was"]


class EgressEffect(TypedDict):
    """A question, a connection or a request to the hosts of the world, as the engine answered it."""

    kind: Literal[EffectKind.NETWORK]
    action: Annotated[
        EgressAction, "`connect` is a tunnel, or a connection that came to no request"
    ]
    target: Annotated[str, "the URL of a `request`, the name of a `resolve`, `host:port`"]
    status: Annotated[
        EffectStatus, "`denied` has a `reason`; `attempted` broke off before it was complete"
    ]
    source: Literal[EffectSource.EGRESS]
    detail: EgressDetail


class CanaryDetail(TypedDict):
    """How a canary was seen."""

    planted: Annotated[bool, "whether the scenario plants it by declaration"]
    form: NotRequired[
        Annotated[
            CanaryForm,
            "`plain`, `encoded`, `split` (complete with this call), `file` (the path of its file was given)",
        ]
    ]


class CanaryEffect(TypedDict):
    """A canary that was touched, or sent out."""

    kind: Literal[EffectKind.CANARY]
    action: Annotated[Literal[EffectAction.TOUCH, EffectAction.SEND], "see below"]
    target: Annotated[str, "the name of the canary"]
    status: Status
    source: Source
    detail: CanaryDetail


Effect = WorldEffect | FileEffect | ProcessEffect | NetworkEffect | EgressEffect | CanaryEffect
"""Any of them. ``effect["kind"]`` tells a type checker which, and ``source`` the two of the network."""

Recorded = dict[str, RecordState]
"""Record → whether it is complete."""
