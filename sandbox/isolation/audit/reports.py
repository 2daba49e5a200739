"""The schema of what an engine and a guest report: looked at before it is judged."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired  # pydantic wants its own before Python 3.12

from pydantic import Field
from typing_extensions import TypedDict

from sandbox.errors import IsolationError
from sandbox.guest.messages import InvalidMessage, Schema, validate

Texts = list[str]
Pair = Annotated[list[int], Field(min_length=2, max_length=2)]


class ProcessReport(TypedDict):
    """What the kernel says of one process."""

    inheritable: str
    capabilities: str
    effective: str
    bounding: str
    ambient: str
    seccomp: str
    filters: Annotated[str, Field(pattern=r"^\d*$")]
    no_new_privs: str


class AgentReport(ProcessReport):
    """A process of the agent, and what it found about itself."""

    uids: Texts
    gids: Texts
    groups: Texts
    limits: dict[str, Pair]
    mounts: str
    writable: Texts
    space: dict[str, Pair]
    namespaces: dict[str, str]
    descriptors: list[int]
    trials: list[int]
    environment: Texts
    guest_environment: Texts
    interfaces: Texts
    devices: Texts
    keys: Texts
    processes: int
    user_namespaces: str
    host: str
    kernel: str


class GuestReport(ProcessReport):
    """The guest, and the agent's process that it asked."""

    machine: Literal["x86_64", "aarch64"]
    denials: str
    notices: list[int]
    agent: AgentReport


class EngineLimit(TypedDict):
    """One of an engine's limits."""

    Name: str
    Soft: int
    Hard: int


class HostConfig(TypedDict):
    """``HostConfig``, as far as it must be there."""

    NetworkMode: str
    CapAdd: Texts | None
    CapDrop: Texts | None
    SecurityOpt: Texts | None
    MaskedPaths: Texts | None
    ReadonlyPaths: Texts | None
    Ulimits: list[EngineLimit] | None
    ReadonlyRootfs: bool
    Tmpfs: dict[str, str] | None
    IpcMode: str
    PidsLimit: int | None
    Memory: int
    MemorySwap: int
    NanoCpus: int
    AutoRemove: bool
    Dns: Texts | None
    PublishAllPorts: bool
    Runtime: NotRequired[str]
    CgroupnsMode: NotRequired[str]


class ContainerConfig(TypedDict):
    """``Config``."""

    Volumes: dict[str, Any] | None
    User: str
    Tty: bool
    Env: Texts | None


class NetworkSettings(TypedDict):
    """``NetworkSettings``."""

    Networks: dict[str, Any] | None


class ContainerInspection(TypedDict):
    """What ``docker inspect`` tells of a container."""

    HostConfig: HostConfig
    Config: ContainerConfig
    NetworkSettings: NetworkSettings
    Image: str
    Mounts: list[Any]


def validate_report(schema: type[Schema], report: object, what: str) -> Schema:
    """Return a report as it is, if it has its schema.

    Raises:
        IsolationError: It has not.
    """
    try:
        return validate(schema, report, what)
    except InvalidMessage as error:
        raise IsolationError(str(error)) from None
