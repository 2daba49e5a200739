"""The replay of one run as one HTML file: no script, no network, nothing but itself.

All text of a trace is data: it is escaped for terminals first (controls show), then for HTML. The page
forbids everything but its own style by a content security policy, so that even a mistake here could
load and run nothing.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cached_property
from importlib.resources import files
from typing import Any

from sandbox.terminal_escape import plain
from sandbox.trace.events import Event
from sandbox.trace.paging import Pages
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow
from sandbox.views.block import Block
from sandbox.views.details import OF_CALLS, Call, Details
from sandbox.views.replay import outcome
from sandbox.views.world_state import CHANGES, differences

MOST = 50_000
"""Characters of one text that the page shows; the trace holds the rest."""
MOST_RUNS = 100
"""Runs that a page for several tells whole."""
_CHANGES = 50
"""Changes of one event that the page shows."""
_FOLDED = frozenset({"run.start", "container.open"})
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
    yield _top(f"{row.scenario} · {row.id}")
    yield from _Page(store, row).all()
    yield _BOTTOM


def together(store: Store, rows: Sequence[RunRow]) -> bytes:
    """Return one page for several runs: a list of them, then each as in its own page.

    Args:
        store: Where the runs are.
        rows: The runs; beyond :data:`MOST_RUNS` they stand in the list only.
    """
    told = rows[:MOST_RUNS]
    page = [_top(f"{len(rows)} runs"), f"<h1>{len(rows)} runs</h1>\n"]
    page.append(
        _table(
            (
                f'<a href="#r{n}">{shown(row.id)}</a>' if n < len(told) else shown(row.id),
                f"{shown(row.scenario)} · {shown(row.model)} · {shown(outcome(row))}",
            )
            for n, row in enumerate(rows)
        )
    )
    if len(rows) > len(told):
        page.append(f'<p class="dim">The first {len(told)} are told below.</p>\n')
    for n, row in enumerate(told):
        page.append(f'<section id="r{n}">\n')
        page += _Page(store, row, f"r{n}-").all()
        page.append("</section>\n")
    return "".join([*page, _BOTTOM]).encode("utf-8", "backslashreplace")


_BOTTOM = "</body>\n</html>\n"


def _top(title: str) -> str:
    style = files("sandbox.views").joinpath("page.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="referrer" content="no-referrer">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{shown(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
    )


def shown(text: object) -> str:
    """Return a text made harmless for a terminal and for HTML."""
    return html.escape(plain(str(text)))


class _Page:
    """The parts of one run's page."""

    def __init__(self, store: Store, row: RunRow, prefix: str = "") -> None:
        self._prefix = prefix
        self._row = row
        self._pages = Pages(store, row.id)
        self._details = Details(self._pages)
        self._world = self._details.worlds.start()
        self._first = self._world.copy()

    def all(self) -> Iterator[str]:
        """Yield all of them."""
        yield from self.head()
        yield from self.verdicts()
        yield from self.events()
        yield from self.end()

    def head(self) -> Iterator[str]:
        """Yield what was run and what came of it."""
        row = self._row
        first = self._pages.page(0, 1)
        said = self._details.data(first[0]) if first else {}
        title = said.get("title")
        if isinstance(title, dict):
            title = title.get(row.lang) or next(iter(title.values()), "")
        yield f"<h1>{shown(title or row.scenario)}</h1>\n"
        tone = {"safe": "good", "unsafe": "bad"}.get(row.safety or "", "alert")
        yield f'<p class="{tone}"><strong>{shown(outcome(row))}</strong></p>\n'
        started = datetime.fromtimestamp(row.started, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        facts: dict[str, object] = {
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
            "started": started,
            "events": row.events,
            "head": row.head or "–",
        }
        facts |= {
            "scenario sha256": said.get("scenario_sha256", "–"),
            "monitors": _pairs(said.get("monitors"), names=True),
            "limits": _pairs(said.get("limits")),
            "versions": _pairs(said.get("versions")),
        }
        yield _table((key, shown(value)) for key, value in facts.items() if value != "")

    def verdicts(self) -> Iterator[str]:
        """Yield what monitors said, with links to where."""
        result = self._row.result or {}
        told = [each for each in result.get("verdicts") or () if isinstance(each, dict) and each]
        if not told:
            return
        yield "<h2>Verdicts</h2>\n"
        yield _table(
            (self._link(each), f"{shown(each.get('monitor'))}: {shown(each.get('reason'))}")
            for each in told
        )

    def _link(self, verdict: dict[str, Any]) -> str:
        """Return a link to the call that a verdict is about."""
        number = verdict.get("event")
        if not isinstance(number, int):
            return shown(verdict.get("verdict"))
        of = self._calls.get(number)
        target = of if isinstance(of, int) else number
        return f'<a href="#{self._prefix}e{target}">{number}</a> {shown(verdict.get("verdict"))}'

    def events(self) -> Iterator[str]:
        """Yield all events; those of a call stand together, where it begins."""
        yield "<h2>What happened</h2>\n"
        began: float | None = None
        for item in self._pages.each():
            began = item.at if began is None else began
            if item.kind == "model.request":
                yield self._turn(item)
                continue
            call = self._calls.get(item.seq)
            if isinstance(call, int):
                said = self._changed(item)
            else:
                said = self._details.told(call) if call else self._details.single(item)
            if said:
                yield f'<article id="{self._prefix}e{item.seq}"><div class="where">{_where(item, began)}</div>\n'
                yield _folded(said) if item.kind in _FOLDED else "".join(map(_block, said))
                yield "</article>\n"

    def end(self) -> Iterator[str]:
        """Yield how world and files differ from the start at last."""
        yield "<h2>World and files at the end, against the start</h2>\n"
        changes = list(differences(self._first, self._world))
        if not changes:
            yield '<p class="dim">They are as they were.</p>\n'
        for change in changes[: _CHANGES * 10]:
            yield _block(self._details.change(change))
        yield "".join(f'<p class="bad">{shown(each)}</p>\n' for each in self._world.problems[:20])

    @cached_property
    def _calls(self) -> dict[int, Call | int]:
        """For each event of a call: the call where it begins, the number of its intent where it goes on."""
        found: dict[int, Call | int] = {}
        going: dict[tuple[str, str], Call] = {}
        for item in self._pages.each():
            if item.kind not in OF_CALLS:
                continue
            data = self._details.data(item)
            key = item.agent, str(data.get("call"))
            if item.kind == "tool.intent":
                going[key] = found[item.seq] = Call(item)
            elif key in going:
                call = going[key]
                call.add(item)
                found[item.seq] = call.intent.seq if call.intent else item.seq
        return found

    def _changed(self, item: Event) -> list[Block]:
        """Return what an event changed, in the order in which things happened."""
        if item.kind not in CHANGES.kinds or CHANGES.without in item.data:
            return []
        before = self._world.copy()
        self._world.apply(self._details.worlds.effects(item.seq), item.seq)
        changes = list(differences(before, self._world))
        told = [self._details.change(change) for change in changes[:_CHANGES]]
        if len(changes) > _CHANGES:
            told.append(Block(f"… {len(changes) - _CHANGES} more changes", tone="dim"))
        return told

    def _turn(self, item: Event) -> str:
        turn = self._details.data(item).get("turn")
        number = turn + 1 if isinstance(turn, int) else "–"
        agent = f" · {shown(item.agent)}" if item.agent else ""
        return f'<div class="turn" id="{self._prefix}e{item.seq}">Turn {number}{agent}</div>\n'


def _where(item: Event, began: float) -> str:
    agent = f' <span class="lane">{shown(item.agent)}</span>' if item.agent else ""
    return f"{item.seq} · {shown(item.kind)} · {item.at - began:+.3f} s{agent}"


def _block(block: Block) -> str:
    tone = block.tone if block.tone in _TONES else ""
    title = f'<p class="title {tone}">{shown(block.title)}</p>\n' if block.title else ""
    if not block.text:
        return title
    more = len(block.text) - MOST
    note = f'<p class="dim">… {more:,} characters more, in the trace</p>\n' if more > 0 else ""
    return f"{title}<pre>{_text(block)}</pre>\n{note}"


def _folded(blocks: list[Block]) -> str:
    """Return blocks of which the reader opens all but the first."""
    first, rest = blocks[:1], blocks[1:]
    inner = "".join(map(_block, rest))
    return (
        "".join(map(_block, first)) + f"<details><summary>all of it</summary>\n{inner}</details>\n"
    )


def _text(block: Block) -> str:
    text = block.text[:MOST]
    if block.is_diff:
        return "\n".join(map(_diff_line, text.split("\n")))
    made, at = [], 0
    for start, stop, tone in block.marks:
        if at <= start < stop <= len(text):
            name = "untrusted" if tone == "untrusted" else "source"
            made += [
                shown(text[at:start]),
                f'<mark class="{name}">{shown(text[start:stop])}</mark>',
            ]
            at = stop
    return "".join([*made, shown(text[at:])])


def _diff_line(line: str) -> str:
    name = {"+": "ins", "-": "del"}.get(line[:1])
    return f"<{name}>{shown(line)}</{name}>" if name else shown(line)


def _table(rows: Iterable[tuple[str, str]]) -> str:
    cells = "".join(f"<tr><th>{key}</th><td>{value}</td></tr>\n" for key, value in rows)
    return f"<table>\n{cells}</table>\n"


def _pairs(value: Any, *, names: bool = False) -> str:
    if not isinstance(value, dict):
        return ""
    return ", ".join(str(k) if names else f"{k} {v}" for k, v in value.items())
