"""OpenTelemetry: runs as spans by the GenAI semantic conventions, over OTLP/HTTP or into a file.

A run is a workflow, in it agents, in these chats with models and executions of tools; verdicts are events
of the tool's span (https://opentelemetry.io/docs/specs/semconv/gen-ai/). A file holds one line of OTLP's
JSON for each run. Needs the extra ``otel``.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from google.protobuf.json_format import MessageToDict
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event as SpanEvent
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

from sandbox.attestation.atomic_file import atomic_write
from sandbox.enums import CallStatus
from sandbox.errors import EnvironmentFault
from sandbox.interop.exporters.exporter import Progress
from sandbox.interop.exporters.transcript import Call, Message, Story, Told, story
from sandbox.trace.events import canonical
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow

SECONDS = 10
"""How long a receiver may take for one request."""
_SPANS = 200  # of one request: receivers bound its size
_NAME = "agent-risk-sandbox"
_IDS = ("traceId", "spanId", "parentSpanId")
_Attributes = dict[str, str | bool | int | float]


def export(store: Store, rows: Sequence[RunRow], target: str, progress: Progress) -> None:
    """Send the spans of runs to a URL, or write them to a file."""
    if urlsplit(target).scheme in ("http", "https"):
        _send(store, rows, target, progress)
        return
    with atomic_write(Path(target)) as file:
        for done, row in enumerate(rows, 1):
            file.write(canonical(_as_json(spans(story(store, row)))).encode() + b"\n")
            progress(done)


def _send(store: Store, rows: Sequence[RunRow], url: str, progress: Progress) -> None:
    endpoint = url if urlsplit(url).path.strip("/") else url.rstrip("/") + "/v1/traces"
    sender = OTLPSpanExporter(endpoint=endpoint, timeout=SECONDS)
    try:
        for done, row in enumerate(rows, 1):
            made = spans(story(store, row))
            for start in range(0, len(made), _SPANS):
                if sender.export(made[start : start + _SPANS]) is not SpanExportResult.SUCCESS:
                    raise EnvironmentFault(
                        f"{endpoint}: does not take spans; {done - 1} of {len(rows)} runs were sent"
                    )
            progress(done)
    finally:
        sender.shutdown()  # type: ignore[no-untyped-call]


def _as_json(made: Sequence[ReadableSpan]) -> dict[str, object]:
    """Return spans as OTLP's JSON, in which ids are hex and not base64."""
    told: dict[str, Any] = MessageToDict(encode_spans(made), use_integers_for_enums=True)
    for resource in told["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                for name in _IDS:
                    if name in span:
                        span[name] = base64.b64decode(span[name]).hex()
    return told


def spans(told: Story) -> list[ReadableSpan]:
    """Return a run's spans: the run first, then each agent with what it did in order."""
    return list(_Spans(told).all())


class _Spans:
    """Makes the spans of one run; their ids follow from the run, so that sending twice adds nothing."""

    def __init__(self, told: Story) -> None:
        self._story = told
        self._row = told.row
        self._trace = _number(told.row.id, "trace", 16)
        self._resource = Resource({"service.name": _NAME, "service.version": version(_NAME)})
        self._scope = InstrumentationScope(_NAME, version(_NAME))

    def all(self) -> Iterator[ReadableSpan]:
        row = self._row
        last = self._story.events[-1].event.at if self._story.events else row.started
        ended = row.ended if row.ended is not None else last
        run = self._span(
            "run",
            f"invoke_workflow {row.scenario}",
            None,
            row.started,
            ended,
            self._of_run(),
            kind="CHAIN",
            fault=(self._result("reason") or "error") if row.task == "error" else "",
        )
        yield run
        for agent in self._story.agents:
            yield from self._agent(agent, run.context)

    def _agent(self, agent: str, run: SpanContext) -> Iterator[ReadableSpan]:
        times = [told.event.at for told in self._story.events if told.event.agent == agent]
        if not times:
            return
        said: list[Message] = [m for m in self._story.messages if m.agent == agent]
        begun = (
            min(m.at - (m.reply.get("seconds", 0.0) if m.reply else 0.0) for m in said)
            if said
            else times[0]
        )
        told = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": agent,
            "gen_ai.conversation.id": self._row.id,
            "gen_ai.request.model": self._row.model,
        }
        begun = max(self._row.started, min(begun, times[0]))
        span = self._span(
            f"agent {agent}",
            f"invoke_agent {agent}",
            run,
            begun,
            times[-1],
            told,
            kind="AGENT",
            events=[
                *self._drops(agent),
                *(_verdict(each) for each in self._story.spoken if each.event.agent == agent),
            ],
        )
        yield span
        new: list[Message] = []
        for message in said:
            if message.reply is not None:
                yield self._chat(message, new, span.context)
                new = []
            else:
                new.append(message)
        for call in self._story.calls:
            if call.agent == agent:
                yield self._tool(call, span.context)

    def _drops(self, agent: str) -> Iterator[SpanEvent]:
        """Yield the calls that the model asked for and its scaffold did not hand over."""
        for item in self._story.events:
            if item.event.kind == "tool.dropped" and item.event.agent == agent:
                data = item.data
                arguments = data["raw"] if "raw" in data else canonical(data["arguments"])
                attributes = {
                    "gen_ai.tool.name": _sound(data["tool"]),
                    "gen_ai.tool.call.id": _sound(data["call"]),
                    "gen_ai.tool.call.arguments": _sound(arguments),
                }
                yield SpanEvent("sandbox.call.dropped", attributes, _nanos(item.event.at))

    def _chat(self, message: Message, new: Sequence[Message], agent: SpanContext) -> ReadableSpan:
        reply = message.reply
        assert reply is not None
        model = reply.get("model") or self._row.model
        usage = reply["usage"]
        told: _Attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": self._provider(),
            "gen_ai.request.model": self._row.model,
            "gen_ai.response.model": model,
            "gen_ai.usage.input_tokens": usage["input_tokens"],
            "gen_ai.usage.output_tokens": usage["output_tokens"],
            "gen_ai.conversation.id": self._row.id,
            "gen_ai.agent.name": message.agent,
            "gen_ai.input.messages": canonical([_said(each) for each in new]),
            "gen_ai.output.messages": canonical([_said(message)]),
        }
        begun = max(self._row.started, message.at - float(reply.get("seconds") or 0.0))
        return self._span(
            f"chat {message.seq}", f"chat {model}", agent, begun, message.at, told, kind="LLM"
        )

    def _provider(self) -> str:
        return self._row.model.partition("/")[0] or "unknown"

    def _tool(self, call: Call, agent: SpanContext) -> ReadableSpan:
        result = call.result
        status = result.data["status"] if result else "unanswered"
        tool = self._story.tools.get(call.tool)
        told: _Attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": call.tool,
            "gen_ai.tool.call.id": call.id,
            "gen_ai.tool.type": "function",
            "gen_ai.tool.call.arguments": call.raw or canonical(call.arguments),
            "gen_ai.agent.name": call.agent,
            "gen_ai.conversation.id": self._row.id,
            "sandbox.call.status": status,
        }
        if tool is not None and tool.description:
            told["gen_ai.tool.description"] = tool.description
        if call.original:
            told["sandbox.call.original"] = canonical(call.original)
        if result is not None:
            told["gen_ai.tool.call.result"] = result.data["text"]
            told["sandbox.effects"] = canonical(result.data["effects"])
        ended = result.event.at if result else call.intent.at
        return self._span(
            f"tool {call.intent.seq}",
            f"execute_tool {call.tool}",
            agent,
            call.intent.at,
            ended,
            told,
            kind="TOOL",
            fault="" if status == CallStatus.OK else status,
            events=[_verdict(each) for each in (*call.verdicts, *call.decisions)],
        )

    def _of_run(self) -> _Attributes:
        row = self._row
        told: _Attributes = {
            "gen_ai.operation.name": "invoke_workflow",
            "gen_ai.workflow.name": row.scenario,
            "gen_ai.conversation.id": row.id,
            "gen_ai.request.model": row.model,
            "sandbox.run": row.id,
            "sandbox.scenario": row.scenario,
            "sandbox.family": row.family,
            "sandbox.mode": row.mode,
            "sandbox.isolation": row.isolation,
            "sandbox.lang": row.lang,
            "sandbox.seed": row.seed,
            "sandbox.task": row.task or row.status,
            "sandbox.safety": row.safety or "",
            "sandbox.head": row.head,
            "sandbox.origin": row.origin,
            "sandbox.scaffold": row.scaffold,
        }
        numbers = ("tool_calls", "tokens", "cost_eur")
        found = {name: self._result(name) for name in numbers}
        return told | {
            f"sandbox.{name}": value for name, value in found.items() if value is not None
        }

    def _result(self, name: str) -> Any:
        return (self._row.result or {}).get(name)

    def _span(
        self,
        key: str,
        name: str,
        parent: SpanContext | None,
        begun: float,
        ended: float,
        attributes: Mapping[str, Any],
        *,
        kind: str,
        fault: str = "",
        events: Sequence[SpanEvent] = (),
    ) -> ReadableSpan:
        # What OpenInference calls the kind is what some receivers sort spans by.
        told = {**attributes, "openinference.span.kind": kind}
        if fault:
            told["error.type"] = fault
        return ReadableSpan(
            name=_sound(name),
            context=_context(self._trace, _number(self._row.id, key, 8)),
            parent=parent,
            resource=self._resource,
            attributes={key: _sound(value) for key, value in told.items()},
            events=events,
            kind=SpanKind.CLIENT if kind == "LLM" else SpanKind.INTERNAL,
            status=Status(StatusCode.ERROR, _sound(fault)) if fault else Status(StatusCode.UNSET),
            start_time=_nanos(begun),
            end_time=_nanos(max(begun, ended)),
            instrumentation_scope=self._scope,
        )


def _said(message: Message) -> dict[str, object]:
    """Return a message in the form of ``gen_ai.input.messages``."""
    parts: list[dict[str, Any]] = []
    if message.reply is not None and message.reply.get("reasoning"):
        parts.append({"type": "reasoning", "content": message.reply["reasoning"]})
    if message.result is not None:
        response = {"type": "tool_call_response", "id": message.result["call"]}
        return {"role": "tool", "parts": [{**response, "response": message.text}]}
    if message.text:
        parts.append({"type": "text", "content": message.text})
    if message.reply is None:
        return {"role": message.role, "parts": parts}
    for call in message.reply["calls"]:
        arguments = call.get("arguments", call.get("raw"))
        parts.append(
            {"type": "tool_call", "id": call["id"], "name": call["name"], "arguments": arguments}
        )
    return {"role": "assistant", "parts": parts, "finish_reason": message.reply.get("finish", "")}


def _verdict(told: Told) -> SpanEvent:
    data = told.data
    found: dict[str, Any] = {
        "gen_ai.evaluation.name": data["monitor"],
        "gen_ai.evaluation.score.label": data["verdict"],
        "gen_ai.evaluation.explanation": _sound(data.get("reason", "")),
        "sandbox.stage": data["stage"],
    }
    if isinstance(data.get("score"), (int, float)):
        found["gen_ai.evaluation.score.value"] = float(data["score"])
    if "carried_out" in data:
        found["sandbox.carried_out"] = bool(data["carried_out"])
    return SpanEvent("gen_ai.evaluation.result", found, _nanos(told.event.at))


def _context(trace: int, span: int) -> SpanContext:
    return SpanContext(trace, span, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _number(run: str, key: str, size: int) -> int:
    return (
        int.from_bytes(hashlib.sha256(json.dumps([run, key]).encode()).digest()[:size], "big") or 1
    )


def _nanos(at: float) -> int:
    return int(at * 1e9)


def _sound(value: Any) -> Any:
    """Return a value; a text without the lone surrogates that protobuf cannot hold."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
