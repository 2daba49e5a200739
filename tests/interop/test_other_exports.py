"""OpenTelemetry, Parquet and JSONL: received, read and proved by what others would use."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from sandbox.attestation import event_jsonl
from sandbox.attestation.archives import Archive
from sandbox.enums import Decision, Severity, Stage
from sandbox.errors import EnvironmentFault, InputError
from sandbox.interop.exporters.exporter import exporter
from sandbox.interop.frame_rows import FRAMES
from sandbox.interop.frames import batches
from sandbox.models.base import Usage
from sandbox.monitors.verdict import Verdict
from sandbox.trace.call_events import VerdictEvent
from sandbox.trace.model_events import ModelReplyEvent
from sandbox.trace.recorder import Recorder
from sandbox.trace.run_events import RunStartEvent
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow
from sandbox.trace.verify import Chain
from tests.support.sample_events import START


class Receiver(ThreadingHTTPServer):
    """Takes OTLP over HTTP on loopback and keeps the spans."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.paths: set[str] = set()
        self.status = 200
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.headers["Content-Type"] == "application/x-protobuf"
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                self.server.spans += scope.spans
        self.server.paths.add(self.path)
        answer = ExportTraceServiceResponse().SerializeToString()
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A receiver that listens."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def done(count: int) -> None:
    """Take note of progress."""


def fail(count: int) -> None:
    """Break while it is written."""
    raise ZeroDivisionError


def value(span: Span, name: str) -> Any:
    """Return an attribute of a span."""
    found = next(item.value for item in span.attributes if item.key == name)
    return getattr(found, str(found.WhichOneof("value")))


def count(store: Store, *kinds: str) -> int:
    """Return how many events of some kinds there are."""
    return sum(item.kind in kinds for row in store.runs() for item in store.events(row.id))


def test_spans_nest_run_agent_and_what_it_did(mixed: Store, receiver: Receiver) -> None:
    """A receiver of OTLP gets a workflow for each run, its agents, and chats and tools within them."""
    exporter("otel")(mixed, mixed.runs(), receiver.url, done)
    assert receiver.paths == {"/v1/traces"}
    spans = {span.span_id: span for span in receiver.spans}
    assert len(spans) == len(receiver.spans)
    by_kind: dict[str, list[Span]] = {}
    for span in receiver.spans:
        by_kind.setdefault(value(span, "gen_ai.operation.name"), []).append(span)
    assert len(by_kind["invoke_workflow"]) == len(mixed.runs())
    assert len(by_kind["chat"]) == count(mixed, "model.reply")
    assert len(by_kind["execute_tool"]) == count(mixed, "tool.intent")
    above = {
        "invoke_agent": "invoke_workflow",
        "chat": "invoke_agent",
        "execute_tool": "invoke_agent",
    }
    for kind, parent in above.items():
        for span in by_kind[kind]:
            holder = spans[span.parent_span_id]
            assert value(holder, "gen_ai.operation.name") == parent
            assert holder.trace_id == span.trace_id
            assert holder.start_time_unix_nano <= span.start_time_unix_nano
            assert span.end_time_unix_nano <= holder.end_time_unix_nano
    judged = [event for span in receiver.spans for event in span.events]
    assert len(judged) == count(mixed, "verdict", "gate.decision")
    assert {event.name for event in judged} == {"gen_ai.evaluation.result"}


def test_spans_say_what_was_asked_and_answered(mixed: Store, receiver: Receiver) -> None:
    """Messages, arguments and results stand in the attributes that the conventions name."""
    row = next(row for row in mixed.runs() if row.scenario == "inspect/mailing/s0")
    exporter("otel")(mixed, [row], receiver.url + "/v1/traces", done)
    chats = [s for s in receiver.spans if value(s, "gen_ai.operation.name") == "chat"]
    first = json.loads(value(chats[0], "gen_ai.input.messages"))
    assert [message["role"] for message in first] == ["system", "user"]
    said = json.loads(value(chats[0], "gen_ai.output.messages"))
    assert [part["name"] for part in said[0]["parts"]] == ["read_inbox", "send_email"]
    second = json.loads(value(chats[1], "gen_ai.input.messages"))
    assert [message["role"] for message in second] == ["tool", "tool"]
    assert value(chats[0], "gen_ai.usage.input_tokens") == 10
    tools = [s for s in receiver.spans if value(s, "gen_ai.operation.name") == "execute_tool"]
    assert [value(span, "sandbox.call.status") for span in tools] == ["error", "ok"]
    assert value(tools[0], "error.type") == "error"
    assert json.loads(value(tools[1], "gen_ai.tool.call.arguments"))["to"] == "a@b.c"
    assert value(tools[1], "gen_ai.tool.call.result").startswith("sent xxx")


def test_verdicts_on_closing_words_are_of_the_agent(store: Store, tmp_path: Path) -> None:
    """A verdict of no call is an event of the agent's span, and a report on the agent's message."""
    recorder = Recorder(store, "r1")
    start: RunStartEvent = {**START, "agents": {"clerk": []}}
    recorder.record(RunStartEvent, **start)
    said = recorder.record(
        ModelReplyEvent,
        "clerk",
        turn=0,
        model="m",
        seconds=0.1,
        text="Paid.",
        calls=[],
        finish="stop",
        usage=Usage(1, 1).as_data(),
    )
    verdict = Verdict("m.r", Decision.ALERT, Severity.LOW, "It was not.", 0.5)
    recorder.record(
        VerdictEvent, "clerk", call="", tool="reply", stage=Stage.REPLY, **verdict.as_data()
    )
    recorder.flush()
    row = RunRow(
        id="r1",
        scenario="a/b",
        family="a",
        model="m",
        isolation="bubblewrap",
        mode="observe",
        lang="en",
        seed=0,
        status="interrupted",
        owner="",
        started=1.0,
    )
    exporter("otel")(store, [row], str(tmp_path / "a"), done)
    spans = json.loads((tmp_path / "a").read_text())["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert [span["name"] for span in spans if span.get("events")] == ["invoke_agent clerk"]
    exporter("inspect")(store, [row], str(tmp_path / "a.eval"), done)
    with Archive(tmp_path / "a.eval") as archive:
        events = json.loads(archive.read("samples/a/b_epoch_1.json"))["events"]
    (report,) = [event for event in events if event["event"] == "sentinel"]
    assert (report["stage"], report["step_id"]) == ("model_output", f"r1-{said.seq}")


def test_a_receiver_that_refuses_is_named(mixed: Store, receiver: Receiver) -> None:
    """Whoever does not take spans is named, with how far it came."""
    receiver.status = 400
    with pytest.raises(EnvironmentFault, match=r"127\.0\.0\.1.*0 of 6 runs were sent"):
        exporter("otel")(mixed, mixed.runs(), receiver.url, done)


def test_a_file_of_spans_is_otlp_json(mixed: Store, tmp_path: Path) -> None:
    """Each line is one run's request in OTLP's JSON, with ids in hex; twice gives the same bytes."""
    for name in ("a", "b"):
        exporter("otel")(mixed, mixed.runs(), str(tmp_path / name), done)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    told = [json.loads(line) for line in (tmp_path / "a").read_text().splitlines()]
    assert len(told) == 6
    for request in told:
        spans = request["resourceSpans"][0]["scopeSpans"][0]["spans"]
        assert {len(bytes.fromhex(span["traceId"])) for span in spans} == {16}
        assert {len(bytes.fromhex(span["spanId"])) for span in spans} == {8}
        known = {span["spanId"] for span in spans}
        assert sum("parentSpanId" not in span for span in spans) == 1
        assert all(span.get("parentSpanId", span["spanId"]) in known for span in spans)


def test_parquet_is_the_frames(mixed: Store, tmp_path: Path) -> None:
    """A file for each frame, with the same schema and rows that a notebook gets."""
    folder = tmp_path / "tables"
    exporter("parquet")(mixed, mixed.runs(), str(folder), done)
    assert {path.stem for path in folder.iterdir()} == FRAMES.keys()
    runs = [row.id for row in mixed.runs()]
    for name in FRAMES:
        written = pq.read_table(folder / f"{name}.parquet")
        shown = pa.Table.from_batches(batches(name, mixed, runs))
        assert written.schema == shown.schema
        assert written.to_pylist() == shown.to_pylist()
    with pytest.raises(InputError, match="name a folder"):
        exporter("parquet")(mixed, mixed.runs(), str(tmp_path / "a.parquet"), done)


def test_lines_are_lossless(mixed: Store, tmp_path: Path) -> None:
    """Events read back from lines are those of the store, and their chains hold."""
    path = tmp_path / "events.jsonl"
    exporter("jsonl")(mixed, mixed.runs(), str(path), done)
    texts: dict[str, bytes] = {}

    def keep(raw: bytes, name: str) -> None:
        texts[name] = raw

    read = [event_jsonl.event(line, keep) for line in path.read_text().splitlines()]
    assert read == [item for row in mixed.runs() for item in mixed.events(row.id)]
    for name, raw in texts.items():
        assert mixed.text(name).encode() == raw
    for row in mixed.runs():
        chain = Chain(None, set())
        assert [chain.problem(item) for item in read if item.run == row.id] == [None] * row.events


def test_formats_that_are_not_there_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong name gets the nearest; a missing package how to install it."""
    with pytest.raises(InputError, match="did you mean 'parquet'"):
        exporter("parkett")
    monkeypatch.delitem(sys.modules, "sandbox.interop.exporters.otel", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(EnvironmentFault, match=r"pip install 'agent-risk-sandbox\[otel\]'"):
        exporter("otel")


def test_a_file_that_cannot_be_written_leaves_nothing(mixed: Store, tmp_path: Path) -> None:
    """The error names the file; a broken export leaves neither it nor a half."""
    with pytest.raises(InputError, match="cannot be written"):
        exporter("jsonl")(mixed, mixed.runs(), str(tmp_path / "no" / "a.jsonl"), done)
    with pytest.raises(ZeroDivisionError):
        exporter("jsonl")(mixed, mixed.runs(), str(tmp_path / "a.jsonl"), fail)
    assert [path.name for path in tmp_path.iterdir()] == ["mixed"]
