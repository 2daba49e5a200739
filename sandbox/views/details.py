"""What is known of one event, as blocks of text: the whole call it belongs to, or what it changed.

Texts in a block are as they were written; they become harmless where they become lines.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sandbox.enums import CallStatus, EventKind
from sandbox.errors import StoreError
from sandbox.trace import blobs
from sandbox.trace.call_events import ToolIntentEvent
from sandbox.trace.events import Event, canonical
from sandbox.trace.paging import Pages, Wanted
from sandbox.views.block import Block, Mark, difference, pretty
from sandbox.views.replay import ODD, describe, original_call
from sandbox.views.world_state import MISSING, File, WorldChange, Worlds, WorldState

if TYPE_CHECKING:
    from sandbox.views.provenance import Provenance, Source

_REACH = 400
"""Events before and after one among which the rest of its call is looked for."""
OF_CALLS = frozenset(
    {
        EventKind.TOOL_INTENT,
        EventKind.TOOL_RESULT,
        EventKind.TOOL_LATE,
        EventKind.VERDICT,
        EventKind.GATE_DECISION,
        EventKind.MONITOR_ERROR,
    }
)
"""Kinds of the events that belong to a call."""
_BLOCKS = 200
_NAMED = 4
"""Sources of one argument that are named."""


@dataclass
class CallDetails:
    """One call, put together from its events."""

    intent: Event | None = None
    verdicts: list[Event] = field(default_factory=list)
    result: Event | None = None
    late: list[Event] = field(default_factory=list)

    def add(self, item: Event) -> bool:
        """Take an event in; return False where it begins another call of the same name."""
        if item.kind == EventKind.TOOL_DROPPED:
            return False
        if item.kind == EventKind.TOOL_INTENT:
            if self.intent is not None and item.seq != self.intent.seq:
                return False
            self.intent = item
        elif item.kind == EventKind.TOOL_RESULT:
            self.result = self.result or item
        elif item.kind == EventKind.TOOL_LATE:
            self.late.append(item)
        else:
            self.verdicts.append(item)
        return True


class Details:
    """Says what there is to say of the events of one run."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages
        self.worlds = Worlds(pages)

    @cached_property
    def _provenance(self) -> Provenance:
        """Of the run; loaded for the first call: it is half of what opening a run would load."""
        from sandbox.views.provenance import Provenance

        return Provenance(self.pages, self.content)

    def event(self, seq: int) -> list[Block]:
        """Return the blocks of an event; for one of a call, those of the whole call."""
        item = self._one(seq)
        if item is None:
            return []
        if item.kind in OF_CALLS:
            call = self.call(item)
            if call.intent is not None:
                return [self._head(item), *self.told(call)]
        return [self._head(item), *self.single(item)]

    def changes(self, seq: int) -> list[Block]:
        """Return what the call of an event, or the event itself, changed in world and files."""
        item = self._one(seq)
        call = self.call(item) if item is not None else CallDetails()
        told = [each for each in (call.result, *call.late) if each is not None]
        numbers = [each.seq for each in told] or [seq]
        blocks = [
            block
            for number in numbers
            for change in self.worlds.by(number)
            for block in [self.change(change)]
        ]
        return self._bounded(blocks) or [
            Block("nothing changed in the world or its files", tone="dim")
        ]

    def since_start(self, seq: int) -> list[Block]:
        """Return how world and files after an event differ from those at the start."""
        blocks = [self.change(change) for change in self.worlds.since_start(seq)]
        nothing = "world and files are as they were at the start"
        return self._bounded(blocks) or [Block(nothing, tone="dim")]

    def world(self, seq: int) -> list[Block]:
        """Return world and files as an event left them."""
        world = self.worlds.after(seq)
        blocks = [Block(f"world.{name}", pretty(value)) for name, value in world.sections.items()]
        blocks += [
            Block(f"{path}  {_known(known)}", self._content(known))
            for path, known in sorted(world.files.items())
        ]
        blocks += _problems(world)
        return self._bounded(blocks) or [Block("the world is empty", tone="dim")]

    def call(self, item: Event) -> CallDetails:
        """Return the call that an event belongs to."""
        name = self.data(item).get("call")
        found = CallDetails()
        if not isinstance(name, str):
            return found
        named = '"call":' + canonical(name)
        near = self.pages.page(max(item.seq - _REACH, 0), item.seq + _REACH)
        own = [each for each in near if named in each.data and self._of(each, item.agent, name)]
        begins = [e for e in own if e.kind == EventKind.TOOL_INTENT and e.seq <= item.seq]
        found.intent = begins[-1] if begins else None
        after = found.intent.seq if found.intent else item.seq
        for each in own:
            if each.seq >= after and not found.add(each):
                break  # a model that gives two calls one name
        if found.result is None:
            far = Wanted(frozenset({EventKind.TOOL_RESULT}), agent=item.agent, holds=named)
            number = self.pages.find(far, item.seq)
            found.result = self._one(number) if number is not None else None
        return found

    def _of(self, item: Event, agent: str, call: str) -> bool:
        return item.agent == agent and self.data(item).get("call") == call

    def _one(self, seq: int) -> Event | None:
        found = self.pages.page(seq, seq + 1)
        return found[0] if found else None

    def data(self, item: Event) -> dict[str, object]:
        """Return an event's data, stored texts not in place; nothing where it is no JSON object."""
        try:
            data = json.loads(item.data)
        except ODD:
            return {}
        return data if isinstance(data, dict) else {}

    def content(self, item: Event) -> Any:
        """Return an event's data; a text that is missing is told in its place."""

        def fetch(sha256: str) -> str:
            try:
                return self.pages.store.text(sha256)
            except StoreError as error:
                return f"[{error}]"

        return blobs.put_back(json.loads(item.data), fetch)

    def _head(self, item: Event) -> Block:
        agent = f"  {item.agent}" if item.agent else ""
        return Block(f"event {item.seq}  {item.kind}{agent}")

    def single(self, item: Event) -> list[Block]:
        """Return what an event says that belongs to no call."""
        return self._safely(item, self._single)

    def told(self, call: CallDetails) -> list[Block]:
        """Return what there is to say of a call: arguments, verdicts, result, effects."""
        assert call.intent is not None
        blocks = self._safely(call.intent, self._intent)
        for verdict in call.verdicts:
            blocks += self._safely(verdict, self._verdict)
        for told in (call.result, *call.late):
            blocks += self._safely(told, self._result) if told is not None else []
        return blocks if call.result is not None else [*blocks, Block("no result yet", tone="dim")]

    def _safely(self, item: Event, say: Callable[[Event], Iterable[Block]]) -> list[Block]:
        """Return what is said of an event, or its data where it is not as this version writes it."""
        try:
            return list(say(item))
        except ODD as error:
            title = f"event {item.seq} is not as this version writes it ({type(error).__name__})"
            return [Block(title, item.data, "bad")]

    def _single(self, item: Event) -> Iterator[Block]:
        data = self.content(item)
        head, *rest = describe(item.kind, data)
        if head:
            yield Block(head, tone="")
        yield from (Block("", text) for text in rest if text)
        if item.kind == EventKind.RUN_START:
            yield from (Block(name, pretty(value)) for name, value in data.items())

    def _intent(self, item: Event) -> Iterator[Block]:
        data = self.content(item)
        yield Block(f"→ {data.get('tool')}", tone="call")
        yield from (Block(text, tone="alert") for text in original_call(data))
        yield from self._arguments(item, data)

    def _verdict(self, item: Event) -> Iterator[Block]:
        said = describe(item.kind, self.content(item))
        mild = item.kind == EventKind.VERDICT and said[0].startswith(("ALERT", "ALLOW", "REWRITE"))
        tone = "alert" if mild else "bad"
        yield Block(f"{item.seq}  {item.kind}", "\n".join(said), tone=tone)

    def origins(self, intent: Event) -> Iterator[tuple[str, str]]:
        """Yield the arguments of a call that came from earlier texts, each with what it came from."""
        arguments = self.content(intent).get("arguments")
        told = self._provenance.of(intent.seq, arguments) if isinstance(arguments, dict) else []
        for name in arguments if told else ():
            if text := _origin([each for each in told if _within(each, name)]):
                yield name, text.strip()

    def _arguments(self, intent: Event, data: ToolIntentEvent) -> Iterator[Block]:
        arguments = data.get("arguments", data.get("raw"))
        if not isinstance(arguments, dict):
            yield Block("arguments, no JSON object", pretty(arguments), tone="alert")
            return
        told = self._provenance.of(intent.seq, arguments)
        for name, value in arguments.items():
            own = [each for each in told if _within(each, name)]
            text = pretty(value)
            marks = tuple(_marks(own, text, whole=isinstance(value, str)))
            tone = "alert" if any(each.untrusted for each in own) else "key"
            yield Block(f"{name}:{_origin(own)}", text, tone, marks)

    def _result(self, item: Event) -> Iterator[Block]:
        data = self.content(item)
        status = data.get("status", "after it had returned")
        tone = "good" if status == CallStatus.OK else "alert"
        yield Block(f"← {status}  event {item.seq}", str(data.get("text", "")), tone)
        if data.get("fault"):
            yield Block("fault", str(data["fault"]), "bad")
        _, *said = describe(EventKind.TOOL_LATE, {"tool": "", "effects": data.get("effects", [])})
        count = len(said) and len(data["effects"])
        if said:
            yield Block(f"± {count} effect{'s' if count > 1 else ''}", "\n".join(said), "effect")
        gaps = {
            k: v for k, v in (data.get("recorded") or {}).items() if v not in ("complete", "off")
        }
        if gaps or data.get("dropped"):
            yield Block(
                "record of effects not complete",
                f"{pretty(gaps)}\ndropped: {data.get('dropped', 0)}",
                "alert",
            )

    def change(self, change: WorldChange) -> Block:
        """Return a change of the world or of a file, before and after."""
        if change.is_file:
            return self._file_change(change)
        before, after = _written(change.before), _written(change.after)
        return Block(f"world{change.place}", difference(before, after), "effect", is_diff=True)

    def _file_change(self, change: WorldChange) -> Block:
        sides = [
            None if side is MISSING else (side, self.worlds.content(side))
            for side in (change.before, change.after)
        ]
        if any(side is not None and side[1] is None for side in sides):
            told = [
                f"{sign} {'no such file' if side is None else _known(side[0])}"
                for sign, side in zip("-+", sides, strict=True)
            ]
            told.append("  (a content that the trace does not hold, only its hash)")
            return Block(change.place, "\n".join(told), "effect", is_diff=True)
        before, after = ("" if side is None else side[1] or "" for side in sides)
        return Block(change.place, difference(before, after), "effect", is_diff=True)

    def _content(self, known: File) -> str:
        text = self.worlds.content(known)
        return "(the trace does not hold this content)" if text is None else text

    def _bounded(self, blocks: Sequence[Block]) -> list[Block]:
        more = len(blocks) - _BLOCKS
        shown = list(blocks[:_BLOCKS])
        return [*shown, Block(f"… {more} more", tone="dim")] if more > 0 else shown


def _within(source: Source, argument: str) -> bool:
    return source.path == argument or source.path.startswith(f"{argument}.")


def _origin(told: Sequence[Source]) -> str:
    names = list(dict.fromkeys(each.label for each in told))
    more = [f"{len(names) - _NAMED} more"] if len(names) > _NAMED else []
    return f"  ⟵ {'; '.join([*names[:_NAMED], *more])}" if names else ""


def _marks(told: Sequence[Source], text: str, *, whole: bool) -> Iterator[Mark]:
    """Yield the pieces of a shown argument that came from elsewhere, in order.

    Args:
        told: The pieces, in the order of the argument's values.
        text: The argument as it is shown.
        whole: Whether it is one value; otherwise values are looked for in its JSON.
    """
    marks = []
    base = after = 0
    last = ""
    for each in told:
        if not whole and each.path != last:
            written = json.dumps(each.value, ensure_ascii=False)[1:-1]
            base = text.find(written, after)
            after, last = max(base, 0) + len(written), each.path
            if base < 0 or written != each.value:
                base = len(text)
        if each.stop > each.start and base + each.stop <= len(text):
            tone = "untrusted" if each.untrusted else "source"
            marks.append((base + each.start, base + each.stop, tone))
    end = 0
    for start, stop, tone in sorted(marks):
        if start >= end:
            yield start, stop, tone
            end = stop


def _written(value: Any) -> str:
    return "" if value is MISSING else pretty(value)


def _known(known: File) -> str:
    size = "" if known.size is None else f"{known.size:,} bytes"
    return f"{size} sha256 {known.sha256[:12]}…" if known.sha256 else size or "content not recorded"


def _problems(world: WorldState) -> list[Block]:
    told = "\n".join(world.problems[:20])
    return [Block("changes that do not fit what was there", told, "bad")] if told else []
