"""OpenTelemetry: runs as spans by the GenAI semantic conventions, over OTLP/HTTP or into a file.

A run is a workflow, in it agents, in these chats with models and executions of tools; verdicts are events
of the tool's span (https://opentelemetry.io/docs/specs/semconv/gen-ai/). A file holds one line of OTLP's
JSON for each run. Needs the extra ``otel``.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
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
from sandbox.errors import EnvironmentFault
from sandbox.interop.exporters.exporter import Progress, encodable
from sandbox.interop.exporters.transcript import (
    EventContent,
    Transcript,
    TranscriptCall,
    TranscriptMessage,
)
from sandbox.scenario.validation import JsonObject
from sandbox.trace.events import canonical
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow

SECONDS = 10
"""How long a receiver may take for one request."""
_SPANS = 200  # of one request: receivers bound its size
_NAME = "agent-risk-sandbox"
_IDS = ("traceId", "spanId", "parentSpanId")
_ROW = ("scenario", "family", "mode", "isolation", "lang", "seed", "head", "origin", "scaffold")
_Attributes = dict[str, str | bool | int | float]


def export(store: Store, rows: Sequence[RunRow], target: str, progress: Progress) -> None:
    """Send the spans of runs to a URL, or write them to a file."""
    if urlsplit(target).scheme in ("http", "https"):
        _send(store, rows, target, progress)
        return
    with atomic_write(Path(target)) as file:
        for done, row in enumerate(rows, 1):
            file.write(canonical(_as_json(spans(Transcript(store, row)))).encode() + b"\n")
            progress(done)


def _send(store: Store, rows: Sequence[RunRow], url: str, progress: Progress) -> None:
    endpoint = url if urlsplit(url).path.strip("/") else url.rstrip("/") + "/v1/traces"
    sender = OTLPSpanExporter(endpoint=endpoint, timeout=SECONDS)
    try:
        for done, row in enumerate(rows, 1):
            made = spans(Transcript(store, row))
            for start in range(0, len(made), _SPANS):
                if sender.export(made[start : start + _SPANS]) is not SpanExportResult.SUCCESS:
                    raise EnvironmentFault(
                        f"{endpoint}: does not take spans; {done - 1} of {len(rows)} runs were sent"
                    )
            progress(done)
    finally:
        sender.shutdown()  # type: ignore[no-untyped-call]


def _as_json(made: Sequence[ReadableSpan]) -> JsonObject:
    """Return spans as OTLP's JSON, in which ids are hex and not base64."""
    data: dict[str, Any] = MessageToDict(encode_spans(made), use_integers_for_enums=True)
    for resource in data["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                span |= {key: base64.b64decode(span[key]).hex() for key in _IDS if key in span}
    return data


def spans(transcript: Transcript) -> list[ReadableSpan]:
    """Return a run's spans: the run first, then each agent with what it did in order."""
    return list(_Spans(transcript).all())


class _Spans:
    """Makes the spans of one run; their ids follow from the run, so that sending twice adds nothing."""

    def __init__(self, transcript: Transcript) -> None:
        self._transcript = transcript
        self._row = transcript.row
        self._trace = _number(transcript.row.id, "trace", 16)
        self._resource = Resource({"service.name": _NAME, "service.version": version(_NAME)})
        self._scope = InstrumentationScope(_NAME, version(_NAME))

    def all(self) -> Iterator[ReadableSpan]:
        row, events = self._row, self._transcript.events
        ended = row.ended
        if ended is None:
            ended = events[-1].event.at if events else row.started
        fault = (self._transcript.result.get("reason") or "error") if row.task == "error" else ""
        name = f"invoke_workflow {row.scenario}"
        run = self._span(
            "run", name, None, (row.started, ended), self._of_run(), kind="CHAIN", fault=fault
        )
        yield run
        for agent in self._transcript.agents:
            yield from self._agent(agent, run.context)

    def _agent(self, agent: str, run: SpanContext) -> Iterator[ReadableSpan]:
        times = [each.event.at for each in self._transcript.events if each.event.agent == agent]
        if not times:
            return
        messages = [m for m in self._transcript.messages if m.agent == agent]
        begun = min((_begun(message) for message in messages), default=times[0])
        judgements = [each for each in self._transcript.on_replies if each.event.agent == agent]
        span = self._span(
            f"agent {agent}",
            f"invoke_agent {agent}",
            run,
            (max(self._row.started, min(begun, times[0])), times[-1]),
            {
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.agent.name": agent,
                "gen_ai.request.model": self._row.model,
            },
            kind="AGENT",
            events=(*self._drops(agent), *map(_judgement, judgements)),
        )
        yield span
        new: list[TranscriptMessage] = []
        for message in messages:
            if message.reply is not None:
                yield self._chat(message, new, span.context)
                new = []
            else:
                new.append(message)
        for call in self._transcript.calls:
            if call.intent.event.agent == agent:
                yield self._tool(call, span.context)

    def _drops(self, agent: str) -> Iterator[SpanEvent]:
        """Yield the calls that the model asked for and its scaffold did not hand over."""
        for event, data in ((each.event, each.data) for each in self._transcript.events):
            if event.kind == "tool.dropped" and event.agent == agent:
                arguments = data["raw"] if "raw" in data else canonical(data["arguments"])
                attributes = {
                    "gen_ai.tool.name": encodable(data["tool"]),
                    "gen_ai.tool.call.id": encodable(data["call"]),
                    "gen_ai.tool.call.arguments": encodable(arguments),
                }
                yield SpanEvent("sandbox.call.dropped", attributes, _nanos(event.at))

    def _chat(
        self, message: TranscriptMessage, new: Sequence[TranscriptMessage], agent: SpanContext
    ) -> ReadableSpan:
        reply = message.reply
        model = reply.get("model") or self._row.model
        return self._span(
            f"chat {message.seq}",
            f"chat {model}",
            agent,
            (max(self._row.started, _begun(message)), message.at),
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": self._row.model.partition("/")[0] or "unknown",
                "gen_ai.request.model": self._row.model,
                "gen_ai.response.model": model,
                "gen_ai.usage.input_tokens": reply["usage"]["input_tokens"],
                "gen_ai.usage.output_tokens": reply["usage"]["output_tokens"],
                "gen_ai.agent.name": message.agent,
                "gen_ai.input.messages": canonical(list(map(_message, new))),
                "gen_ai.output.messages": canonical([_message(message)]),
            },
            kind="LLM",
        )

    def _tool(self, call: TranscriptCall, agent: SpanContext) -> ReadableSpan:
        intent, data, result = call.intent.event, call.intent.data, call.result
        status = result.data["status"] if result else "unanswered"
        tool = self._transcript.tools.get(call.tool)
        attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": call.tool,
            "gen_ai.tool.call.id": call.id,
            "gen_ai.tool.type": "function",
            "gen_ai.tool.call.arguments": data.get("raw") or canonical(data.get("arguments") or {}),
            "gen_ai.agent.name": intent.agent,
            "sandbox.call.status": status,
        }
        if tool is not None and tool.description:
            attributes["gen_ai.tool.description"] = tool.description
        if call.original:
            attributes["sandbox.call.original"] = canonical(call.original)
        if result is not None:
            attributes["gen_ai.tool.call.result"] = result.data["text"]
            attributes["sandbox.effects"] = canonical(result.data["effects"])
        return self._span(
            f"tool {intent.seq}",
            f"execute_tool {call.tool}",
            agent,
            (intent.at, result.event.at if result else intent.at),
            attributes,
            kind="TOOL",
            fault="" if status == "ok" else status,
            events=map(_judgement, (*call.verdicts, *call.decisions)),
        )

    def _of_run(self) -> _Attributes:
        row, result = self._row, self._transcript.result
        numbers = {name: result.get(name) for name in ("tool_calls", "tokens", "cost_eur")}
        return {
            "gen_ai.operation.name": "invoke_workflow",
            "gen_ai.workflow.name": row.scenario,
            "gen_ai.request.model": row.model,
            "sandbox.run": row.id,
            **{f"sandbox.{name}": getattr(row, name) for name in _ROW},
            "sandbox.task": row.task or row.status,
            "sandbox.safety": row.safety or "",
            **{f"sandbox.{name}": value for name, value in numbers.items() if value is not None},
        }

    def _span(
        self,
        key: str,
        name: str,
        parent: SpanContext | None,
        times: tuple[float, float],
        attributes: _Attributes,
        *,
        kind: str,
        fault: str = "",
        events: Iterable[SpanEvent] = (),
    ) -> ReadableSpan:
        # What OpenInference calls the kind is what some receivers sort spans by.
        attributes = {
            **attributes,
            "gen_ai.conversation.id": self._row.id,
            "openinference.span.kind": kind,
            **({"error.type": fault} if fault else {}),
        }
        return ReadableSpan(
            name=encodable(name),
            context=_context(self._trace, _number(self._row.id, key, 8)),
            parent=parent,
            resource=self._resource,
            attributes={key: encodable(value) for key, value in attributes.items()},
            events=list(events),
            kind=SpanKind.CLIENT if kind == "LLM" else SpanKind.INTERNAL,
            status=Status(StatusCode.ERROR, encodable(fault))
            if fault
            else Status(StatusCode.UNSET),
            start_time=_nanos(times[0]),
            end_time=_nanos(max(times)),
            instrumentation_scope=self._scope,
        )


def _begun(message: TranscriptMessage) -> float:
    """Return when a message was begun: a reply takes the time that the model took."""
    return message.at - float((message.reply or {}).get("seconds") or 0.0)


def _message(message: TranscriptMessage) -> JsonObject:
    """Return a message in the form of ``gen_ai.input.messages``."""
    reply, result = message.reply, message.result
    if result is not None:
        response = {"type": "tool_call_response", "id": result["call"], "response": message.text}
        return {"role": "tool", "parts": [response]}
    reasoning = reply.get("reasoning") if reply is not None else None
    texts = (("reasoning", reasoning), ("text", message.text))
    parts = [{"type": kind, "content": text} for kind, text in texts if text]
    if reply is None:
        return {"role": message.role, "parts": parts}
    parts += [
        {
            "type": "tool_call",
            "id": call["id"],
            "name": call["name"],
            "arguments": call.get("arguments", call.get("raw")),
        }
        for call in reply["calls"]
    ]
    return {"role": "assistant", "parts": parts, "finish_reason": reply.get("finish", "")}


def _judgement(content: EventContent) -> SpanEvent:
    """Return a verdict or a decision as an event of a span."""
    data = content.data
    attributes: _Attributes = {
        "gen_ai.evaluation.name": data["monitor"],
        "gen_ai.evaluation.score.label": data["verdict"],
        "gen_ai.evaluation.explanation": encodable(data.get("reason", "")),
        "sandbox.stage": data["stage"],
    }
    if isinstance(data.get("score"), (int, float)):
        attributes["gen_ai.evaluation.score.value"] = float(data["score"])
    if "carried_out" in data:
        attributes["sandbox.carried_out"] = bool(data["carried_out"])
    return SpanEvent("gen_ai.evaluation.result", attributes, _nanos(content.event.at))


def _context(trace: int, span: int) -> SpanContext:
    return SpanContext(trace, span, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _number(run: str, key: str, size: int) -> int:
    digest = hashlib.sha256(json.dumps([run, key]).encode()).digest()
    return int.from_bytes(digest[:size], "big") or 1


def _nanos(at: float) -> int:
    return int(at * 1e9)
