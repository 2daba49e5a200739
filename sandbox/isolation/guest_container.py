"""What containers of all back ends share: requests to a guest, and an end when it cannot be asked again."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from sandbox.enums import CallStatus, RecordState
from sandbox.errors import GuestTimeout, InternalError, IsolationError
from sandbox.guest.messages import (
    CallRecords,
    InvalidMessage,
    Schema,
    Snapshot,
    ToolResult,
    validate,
)
from sandbox.isolation import guest_payload
from sandbox.isolation.audit.reports import GuestReport, validate_report
from sandbox.isolation.base import Audit, CallResult, ContainerSpec, NetworkWorld
from sandbox.isolation.cgroup import Cgroup
from sandbox.isolation.confinement import Confinement
from sandbox.isolation.effect_attribution import CallEffects, EffectRecord, LateEffects
from sandbox.isolation.jsonrpc import JsonRpcConnection
from sandbox.isolation.transport import SocketWire

START_SECONDS = 30.0
"""Until a guest must have greeted and taken its world."""


class GuestContainer(ABC):
    """One open container; see :class:`sandbox.isolation.base.Container`.

    Not for concurrent use: the gate lets one call through at a time.
    """

    audit: Audit
    _record: EffectRecord
    _network: NetworkWorld | None = None
    _closed = False

    def __init__(self, wire: SocketWire, group: Cgroup | None) -> None:
        self._wire = wire
        self._group = group
        self._connection = JsonRpcConnection(wire)

    async def start(
        self, spec: ContainerSpec, confinement: Confinement, *, preloaded: bool = False
    ) -> GuestReport:
        """Send code and world; return what the guest finds about its confinement.

        Args:
            spec: What the container is made for.
            confinement: What the guest is to confine itself.
            preloaded: Whether the guest's own modules are there already.

        Raises:
            IsolationError: The guest did not start, or refused to serve unconfined.
        """
        try:
            async with asyncio.timeout(START_SECONDS):
                greeting = (await self._wire.read_line()).decode("ascii", "replace").strip()
                if not greeting or greeting.startswith("!"):
                    raise IsolationError(
                        greeting[1:] or "the container ended before its guest spoke"
                    )
                await self._wire.write(
                    guest_payload.message(spec, greeting, confinement, preloaded=preloaded)
                )
                reply = self._connection.parse(await self._wire.read_line())
                result = self._connection.result(reply, "to serve")
                self._network = spec.network
                self._connection.listen(spec.network)
                files = {n: base64.b64encode(data).decode() for n, data in spec.files.items()}
                hashes = {n: hashlib.sha256(data).hexdigest() for n, data in spec.files.items()}
                world = {"sections": spec.sections, "files": files, "hashes": hashes}
                await self._connection.request("sandbox/load", world)
        except TimeoutError as error:
            raise IsolationError(f"the guest did not start within {START_SECONDS:.0f} s") from error
        except (OSError, EOFError, ValueError) as error:
            raise IsolationError(f"the channel to the guest broke: {error}") from error
        report = validate_report(GuestReport, result, "the guest's audit")
        self._record = EffectRecord(
            traced=spec.traced,
            denials=report["denials"] == "recorded",
            machine=report["machine"],
        )
        return report

    async def call(
        self,
        tool: str,
        arguments: Mapping[str, object],
        *,
        agent: str,
        timeout: float,
        call: str = "",
    ) -> CallResult:
        """Execute one tool call inside."""
        if self._network:
            self._network.call_begins()
        params = {
            "name": tool,
            "arguments": arguments,
            "_meta": {"agent": agent, "call": call},
        }
        result = await self._request(ToolResult, "tools/call", params, timeout)
        records = result["_meta"]
        effects, late = self._record.of(call, records)
        effects = self._with_network(effects)
        return CallResult(
            text=result["content"][0]["text"],
            status=CallStatus(records["status"]),
            effects=effects.effects,
            dropped=effects.dropped,
            seconds=records["seconds"],
            fault=records["fault"],
            recorded=effects.recorded,
            late=late,
        )

    async def settle(self) -> tuple[CallEffects, tuple[LateEffects, ...]]:
        """End what calls left running; return what was done since the last call."""
        records = await self._request(CallRecords, "sandbox/settle", {}, START_SECONDS)
        effects, late = self._record.of("", records)
        if self._network:
            self._network.call_begins()
            self._network.close()  # every process that had a connection has been ended
        return self._with_network(effects), late

    async def snapshot(self, limit: int) -> tuple[dict[str, Any], dict[str, str]]:
        """Return world sections and text files."""
        answer = await self._request(Snapshot, "sandbox/snapshot", {"limit": limit}, START_SECONDS)
        return answer["sections"], answer["files"]

    async def close(self) -> None:
        """End every process inside and remove all that the container held.

        Raises:
            IsolationError: It could not be removed. It is not tried again here: see ``reap``.
        """
        if not self._closed:
            self._closed = True
            self._connection.close()
            self._wire.close()
            await self._remove()

    @abstractmethod
    async def _remove(self) -> None:
        """End and remove it; called once."""

    async def _ran_out_of_memory(self) -> bool:
        """Close it, and return whether the kernel had ended something inside to free memory."""
        killed = bool(self._group and self._group.out_of_memory())
        await self.close()
        return killed

    def _with_network(self, effects: CallEffects) -> CallEffects:
        if self._network is None:
            return effects
        requests, dropped = self._network.drain()
        state = RecordState.CUT if dropped else RecordState.COMPLETE
        recorded = {**effects.recorded, "network": state}
        return CallEffects((*effects.effects, *requests), effects.dropped + dropped, recorded)

    async def _request(
        self, schema: type[Schema], method: str, params: object, timeout: float
    ) -> Schema:
        """Return what the guest answers; close the container if it cannot be asked again."""
        connection = self._connection
        try:
            try:
                async with asyncio.timeout(timeout):
                    answer = await connection.request(method, params)
                return validate(schema, answer, f"the guest's answer to {method}")
            except TimeoutError as error:
                connection.broken = GuestTimeout(
                    f"the guest did not answer {method} within {timeout:g} s"
                )
                raise connection.broken from error
            except InvalidMessage as error:
                connection.broken = IsolationError(str(error))
                raise connection.broken from error
        except (IsolationError, InternalError) as error:
            if not connection.broken or self._closed:
                raise
            note = ""
            try:
                if await self._ran_out_of_memory() and not isinstance(error, GuestTimeout):
                    note = " (the kernel ended a process to free memory)"
            except IsolationError as problem:  # it is left behind; the first fault comes first
                note = f" ({problem})"
            if isinstance(error, InternalError):
                raise
            raise type(error)(f"{self.audit.backend}: {error}{note}") from error
