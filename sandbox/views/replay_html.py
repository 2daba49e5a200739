"""The replay of one run as one HTML file: no script, no network, nothing but itself.

All text of a trace is data: it is escaped for terminals first (controls show), then for HTML. The page
forbids everything but its own style by a content security policy, so that even a mistake here could
load and run nothing.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from importlib.resources import files
from itertools import islice
from typing import Any, NamedTuple

from markupsafe import Markup

from sandbox.enums import EventKind
from sandbox.trace.events import Event
from sandbox.trace.paging import Pages
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow
from sandbox.views.block import Block
from sandbox.views.details import OF_CALLS, CallDetails, Details
from sandbox.views.replay import outcome
from sandbox.views.templating import environment, quoted_html
from sandbox.views.world_state import CHANGES, differences

MOST = 50_000
"""Characters of one text that the page shows; the trace holds the rest."""
MOST_RUNS = 100
"""Runs that a page for several tells whole."""
_CHANGES = 50
"""Changes of one event that the page shows."""
_FOLDED = frozenset({EventKind.RUN_START, EventKind.CONTAINER_OPEN})
"""Kinds of events of which the reader opens all but the first block."""
_TONES = frozenset({"good", "alert", "bad", "call", "effect", "dim", "key"})


def render(store: Store, run_id: str) -> str:
    """Return the page of a run.

    Args:
        store: Where the run is.
        run_id: Its id, or a beginning of it that is no other's.

    Raises:
        InputError: There is no such run.
    """
    return "".join(pieces(store, store.run(run_id)))


def pieces(store: Store, row: RunRow) -> Iterator[str]:
    """Yield the page of a run in pieces, for runs that are large."""
    return _generate(store, f"{row.scenario} · {row.id}", [row], [])


def together(store: Store, rows: Sequence[RunRow]) -> bytes:
    """Return one page for several runs: a list of them, then each as in its own page.

    Args:
        store: Where the runs are.
        rows: The runs; beyond :data:`MOST_RUNS` they stand in the list only.
    """
    text = "".join(_generate(store, f"{len(rows)} runs", rows[:MOST_RUNS], rows))
    return text.encode("utf-8", "backslashreplace")


def _generate(
    store: Store, title: str, whole: Sequence[RunRow], rows: Sequence[RunRow]
) -> Iterator[str]:
    style = files("sandbox.views").joinpath("page.css").read_text("utf-8")
    template = environment("sandbox.views", quoted_html).get_template("replay.html.j2")
    return template.generate(
        title=title,
        pages=(_RunPage(store, row) for row in whole),
        whole=len(whole),
        rows=rows,
        style=Markup(style),  # noqa: S704 - our own file
        digest=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        outcome=outcome,
        segments=_segments,
        tones=_TONES,
        folded=_FOLDED,
        most=MOST,
    )


class _Step(NamedTuple):
    """One event of the page: a turn's beginning, or blocks of text."""

    event: Event
    seconds: float
    turn: int | str | None
    blocks: Sequence[Block]


class _RunPage:
    """What a page shows of one run."""

    def __init__(self, store: Store, row: RunRow) -> None:
        self.row = row
        self._pages = Pages(store, row.id)
        self._details = Details(self._pages)
        self._world = self._details.worlds.start()
        self._first = self._world.copy()
        first = self._pages.page(0, 1)
        self._start: dict[str, Any] = self._details.data(first[0]) if first else {}
        self.tone = {"safe": "good", "unsafe": "bad"}.get(row.safety or "", "alert")
        results = (row.result or {}).get("verdicts") or ()
        self.verdicts = [each for each in results if isinstance(each, dict) and each]

    @property
    def title(self) -> str:
        title = self._start.get("title")
        if isinstance(title, dict):
            title = title.get(self.row.lang) or next(iter(title.values()), "")
        return str(title or self.row.scenario)

    def facts(self) -> dict[str, object]:
        """Return what was run, and with what."""
        row, start = self.row, self._start
        started = datetime.fromtimestamp(row.started, UTC)
        facts = {
            "run": row.id,
            "scenario": row.scenario,
            "family": row.family,
            "model": row.model,
            "origin": row.origin,
            "scaffold": row.scaffold,
            "mode": row.mode,
            "isolation": row.isolation,
            "language": row.lang,
            "seed": row.seed,
            "started": started.strftime("%Y-%m-%d %H:%M:%S UTC"),
            "events": row.events,
            "head": row.head or "–",
            "scenario sha256": start.get("scenario_sha256", "–"),
            "monitors": ", ".join(map(str, _items(start.get("monitors")))),
            "limits": _pairs(start.get("limits")),
            "versions": _pairs(start.get("versions")),
        }
        return {name: value for name, value in facts.items() if value != ""}

    def call_of(self, verdict: Mapping[str, object]) -> int | None:
        """Return the event at which the call begins that a verdict is about."""
        number = verdict.get("event")
        if not isinstance(number, int):
            return None
        call = self._calls.get(number)
        return call if isinstance(call, int) else number

    def steps(self) -> Iterator[_Step]:
        """Yield all events; those of a call stand together, where it begins."""
        began: float | None = None
        for event in self._pages.each():
            began = event.at if began is None else began
            seconds, turn, blocks = event.at - began, None, list[Block]()
            call = self._calls.get(event.seq)
            if event.kind == EventKind.MODEL_REQUEST:
                number = self._details.data(event).get("turn")
                turn = number + 1 if isinstance(number, int) else "–"
            elif isinstance(call, int):
                blocks = self._changed(event)
            else:
                blocks = self._details.told(call) if call else self._details.single(event)
            if blocks or turn is not None:
                yield _Step(event, seconds, turn, blocks)

    def changes(self) -> Iterator[Block]:
        """Yield how world and files differ from the start at last."""
        changes = differences(self._first, self._world)
        return map(self._details.change, islice(changes, _CHANGES * 10))

    def problems(self) -> list[str]:
        """Return what could not be followed of the world."""
        return self._world.problems[:20]

    @cached_property
    def _calls(self) -> dict[int, CallDetails | int]:
        """For each event of a call: the call where it begins, the number of its intent where it goes on."""
        calls: dict[int, CallDetails | int] = {}
        open_calls: dict[tuple[str, str], CallDetails] = {}
        for event in self._pages.each():
            if event.kind not in OF_CALLS:
                continue
            key = event.agent, str(self._details.data(event).get("call"))
            if event.kind == EventKind.TOOL_INTENT:
                open_calls[key] = calls[event.seq] = CallDetails(event)
            elif key in open_calls:
                call = open_calls[key]
                call.add(event)
                calls[event.seq] = call.intent.seq if call.intent else event.seq
        return calls

    def _changed(self, event: Event) -> list[Block]:
        """Return what an event changed, in the order in which things happened."""
        if event.kind not in CHANGES.kinds or CHANGES.without in event.data:
            return []
        before = self._world.copy()
        self._world.apply(self._details.worlds.effects(event.seq), event.seq)
        changes = list(differences(before, self._world))
        blocks = [self._details.change(change) for change in changes[:_CHANGES]]
        if len(changes) > _CHANGES:
            blocks.append(Block(f"… {len(changes) - _CHANGES} more changes", tone="dim"))
        return blocks


def _segments(block: Block) -> Iterator[tuple[str, str]]:
    """Yield the pieces of a block's text, each with its mark; empty for none."""
    text = block.text[:MOST]
    if block.is_diff:
        for number, line in enumerate(text.split("\n")):
            yield "", "\n" if number else ""
            yield {"+": "ins", "-": "del"}.get(line[:1], ""), line
        return
    at = 0
    for start, stop, tone in block.marks:
        if at <= start < stop <= len(text):
            yield "", text[at:start]
            yield "untrusted" if tone == "untrusted" else "source", text[start:stop]
            at = stop
    yield "", text[at:]


def _items(value: object) -> dict[object, object]:
    return value if isinstance(value, dict) else {}


def _pairs(value: object) -> str:
    return ", ".join(f"{name} {each}" for name, each in _items(value).items())
