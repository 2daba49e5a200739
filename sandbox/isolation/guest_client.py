"""The engine's end of the control channel: what a guest can be asked, one call at a time."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Mapping
from typing import Any

from sandbox.enums import CallStatus, RecordState
from sandbox.errors import GuestTimeout, IsolationError
from sandbox.isolation import guest_payload
from sandbox.isolation.base import CallResult, ContainerSpec, NetworkWorld
from sandbox.isolation.effect_attribution import Deeds, Late, Record
from sandbox.isolation.jsonrpc import Exchange, Wire

START_SECONDS = 30.0
"""Until a guest must have greeted and taken its world."""


MEMORY_NOTE = " (the kernel ended a process for want of memory)"
"""Added to the fault of a container whose cgroup ran out of memory."""


STATUSES = (CallStatus.OK, CallStatus.ERROR, CallStatus.INVALID, CallStatus.FAULT)


class Channel:
    """Calls to one guest. Not for concurrent use: the gate lets one call through at a time."""

    def __init__(self, wire: Wire) -> None:
        self._exchange = Exchange(wire)
        self._network: NetworkWorld | None = None
        self._record = Record(traced=False, denials=False)

    async def start(
        self, spec: ContainerSpec, confine: dict[str, Any], *, preloaded: bool = False
    ) -> dict[str, Any]:
        """Send code and world; return what the guest found to be in force.

        Args:
            spec: What the container is made for.
            confine: What the guest is to put in force itself.
            preloaded: Whether the guest's own modules are there already.

        Raises:
            IsolationError: The guest did not start, or refused to serve unconfined.
        """
        try:
            async with asyncio.timeout(START_SECONDS):
                greeting = (await self._exchange.line()).decode("ascii", "replace").strip()
                if not greeting:
                    raise IsolationError("the container ended before its guest spoke")
                if greeting.startswith("!"):
                    raise IsolationError(greeting[1:])
                code = guest_payload.message(spec, greeting, confine, preloaded=preloaded)
                await self._exchange.write(code)
                answer = self._exchange.parsed(await self._exchange.line())
                if "error" in answer:
                    raise IsolationError(
                        f"the guest refuses to serve: {answer['error']['message']}"
                    )
                self._network = spec.network
                self._exchange.listen(spec.network)
                files = {n: base64.b64encode(data).decode() for n, data in spec.files.items()}
                hashes = {n: hashlib.sha256(data).hexdigest() for n, data in spec.files.items()}
                world = {"sections": spec.sections, "files": files, "hashes": hashes}
                await self._exchange.request("sandbox/load", world)
        except TimeoutError as error:
            raise IsolationError(f"the guest did not start within {START_SECONDS:.0f} s") from error
        except (OSError, EOFError, ValueError) as error:
            raise IsolationError(f"the channel to the guest broke: {error}") from error
        audit: dict[str, Any] = answer["result"]["audit"]
        denials = audit["denials"] == "recorded"
        self._record = Record(traced=spec.traced, denials=denials, machine=str(audit["machine"]))
        return audit

    @property
    def broken(self) -> bool:
        """True where the guest cannot be asked any more."""
        return self._exchange.broken is not None

    def close(self) -> None:
        """Listen to the guest no more."""
        self._exchange.close()

    async def call(
        self,
        tool: str,
        arguments: Mapping[str, Any],
        *,
        agent: str,
        timeout: float,
        call: str,
    ) -> CallResult:
        """Execute one tool call; see :meth:`sandbox.isolation.base.Container.call`."""
        meta = {"agent": agent, "call": call}
        params = {"name": tool, "arguments": arguments, "_meta": meta}
        if self._network:
            self._network.call_begins()
        answer = await self._bounded("tools/call", params, timeout)
        try:
            return self._result(call, answer)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            self._exchange.broken = "the guest sent what is no result of a call"
            raise IsolationError(self._exchange.broken) from error

    async def settle(self) -> tuple[Deeds, tuple[Late, ...]]:
        """End what calls left running; return what was done since the last call."""
        answer = await self._bounded("sandbox/settle", {}, START_SECONDS)
        try:
            deeds, late = self._record.of("", answer)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            self._exchange.broken = "the guest sent what is no record"
            raise IsolationError(self._exchange.broken) from error
        if self._network:
            self._network.call_begins()
            self._network.close()  # every process that had a connection has been ended
        return self._with_network(deeds), late

    def _with_network(self, deeds: Deeds) -> Deeds:
        if self._network is None:
            return deeds
        effects, dropped = self._network.drain()
        state = RecordState.CUT if dropped else RecordState.COMPLETE
        recorded = {**deeds.recorded, "network": state}
        return Deeds((*deeds.effects, *effects), deeds.dropped + dropped, recorded)

    def _result(self, call: str, answer: dict[str, Any]) -> CallResult:
        """Return a call's result; a tool shares the guest's process, so its shape is not taken on trust."""
        meta = answer["_meta"]
        deeds, late = self._record.of(call, meta)
        deeds = self._with_network(deeds)
        made = CallResult(
            text=answer["content"][0]["text"],
            status=meta["status"],
            effects=deeds.effects,
            dropped=deeds.dropped,
            seconds=float(meta["seconds"]),
            fault=meta["fault"],
            recorded=deeds.recorded,
            late=late,
        )
        texts = (made.text, made.fault or "")
        if made.status not in STATUSES or not all(isinstance(text, str) for text in texts):
            raise ValueError("not the result of a call")
        return made

    async def snapshot(self, limit: int) -> tuple[dict[str, Any], dict[str, str]]:
        """Return world sections and text files."""
        answer = await self._bounded("sandbox/snapshot", {"limit": limit}, START_SECONDS)
        return answer["sections"], answer["files"]

    async def _bounded(self, method: str, params: Any, timeout: float) -> Any:
        try:
            async with asyncio.timeout(timeout):
                return await self._exchange.request(method, params)
        except TimeoutError as error:
            self._exchange.broken = f"the guest did not answer {method} within {timeout:g} s"
            raise GuestTimeout(self._exchange.broken) from error
