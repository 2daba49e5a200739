"""The Protocol that every back end fulfils, and what a container is asked to be.

A back end opens containers; a container runs the guest and answers calls. Both pass the contract
suite in ``tests/contract``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sandbox.enums import Background, CallStatus
from sandbox.guest.messages import NetworkMessage
from sandbox.isolation.audit.control import Control
from sandbox.isolation.effect_attribution import CallEffects, LateEffects
from sandbox.scenario.bounds import Bounds
from sandbox.scenario.toolkits import Toolkit
from sandbox.trace.effects import Effect, EgressEffect, Recorded
from sandbox.trace.run_events import ContainerOpenEvent


class NetworkWorld(Protocol):
    """The hosts of a world, as their container reaches them: by messages of its guest."""

    @property
    def certificate(self) -> bytes:
        """The authority that programs in the container are to trust, PEM."""

    def take(self, params: object) -> Sequence[NetworkMessage]:
        """Take what the guest says; return what is to be said to it.

        Raises:
            InvalidMessage: No sound guest says this.
        """

    def call_begins(self) -> None:
        """Put what was seen until now before the call that begins."""

    def drain(self) -> tuple[list[EgressEffect], int]:
        """Return the effects since the last time, and how many more were too many to keep."""

    def close(self) -> None:
        """End all connections. Safe to repeat."""


@dataclass(frozen=True)
class ContainerSpec:
    """What a container is made for."""

    run_id: str
    """The run that owns it; stands in its label."""
    toolkits: tuple[Toolkit, ...]
    tools: tuple[dict[str, Any], ...]
    """Name, description, parameters and annotations of each tool that may be called."""
    now: str
    """The world's date and time, ISO 8601."""
    lang: str
    sections: Mapping[str, Any]
    """World section → data."""
    files: Mapping[str, bytes]
    """Path below the agent's folder → content."""
    bounds: Bounds = field(default_factory=Bounds)
    call_seconds: float = 60.0
    """Most that one call may take; commands get a little less, so that a slow one ends as such."""
    background: Background = Background.KEEP
    """What happens at the end of a call to processes that it left running."""
    network: NetworkWorld | None = None
    """The hosts that exist for it, if there are any."""
    traced: bool = True
    """Whether processes, files and connections of commands are recorded by a tracer."""


@dataclass(frozen=True)
class CallResult:
    """The answer of the guest to one call."""

    text: str
    status: CallStatus
    """``ok``, ``error`` (the tool refused), ``invalid`` (arguments) or ``fault`` (the tool broke)."""
    effects: tuple[Effect, ...]
    """What the call really did; see ``docs/events.md``."""
    dropped: int
    """Effects beyond the limits of one call."""
    seconds: float
    """Time inside the guest."""
    fault: str | None = None
    """End of the tool's traceback, or why the record of its effects is not complete."""
    recorded: Recorded = field(default_factory=dict)
    """Source of effects → whether its record is complete."""
    late: tuple[LateEffects, ...] = ()
    """What earlier calls did since the last result."""


@dataclass(frozen=True)
class Audit:
    """How a container is confined, as found after its start."""

    backend: str
    version: str
    image: str
    """Digest of the image, or what stands in its place."""
    controls: Mapping[str, Control]
    """Control → what was declared and found; all of them hold."""

    def as_data(self) -> ContainerOpenEvent:
        """Return it as JSON data for the trace."""
        return {
            "backend": self.backend,
            "version": self.version,
            "image": self.image,
            "controls": {name: control.as_data() for name, control in self.controls.items()},
        }


class Container(Protocol):
    """One open container."""

    audit: Audit

    async def call(
        self,
        tool: str,
        arguments: Mapping[str, object],
        *,
        agent: str,
        timeout: float,
        call: str = "",
    ) -> CallResult:
        """Execute one tool call inside.

        Args:
            tool: ``toolkit.function``.
            arguments: As the model gave them; the guest checks them.
            agent: Who calls.
            timeout: Seconds; after them the container is closed.
            call: Id of the call, unique in the run: what it still does later is put to it.

        Raises:
            GuestTimeout: It did not come back in time.
            IsolationError: The container broke.
        """

    async def settle(self) -> tuple[CallEffects, tuple[LateEffects, ...]]:
        """End what calls left running; return what was done since the last call.

        What no tracer can put to a call (files that changed, the world) comes first.
        """

    async def snapshot(self, limit: int) -> tuple[dict[str, Any], dict[str, str]]:
        """Return all world sections, and the agent's files as text up to a limit of bytes."""

    async def close(self) -> None:
        """End every process inside and remove all that the container held. Safe to repeat.

        Raises:
            IsolationError: It could not be removed; ``reap`` will, once its owner is gone.
        """


class Backend(Protocol):
    """A way of making containers."""

    name: str

    def unavailable(self) -> str | None:
        """Return why it cannot run here and what to install, or None if it can."""

    async def open(self, spec: ContainerSpec) -> Container:
        """Start a container with its guest and load the world into it.

        Raises:
            IsolationError: It cannot be started, or a control does not hold.
        """

    def reap(self) -> int:
        """Remove what containers of processes that are gone left behind; return how many.

        Raises:
            IsolationError: They could not be looked for or removed.
        """
