"""The classes of events: every kind has one, and what is derived from their fields."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from typing_extensions import is_typeddict

from sandbox.enums import EffectKind, EventKind
from sandbox.monitors import examples
from sandbox.trace.effects import Effect
from sandbox.trace.event_types import COLUMNS, KIND_OF, KINDS, OUTCOME, of_kind
from sandbox.trace.fields import NAME, VOLATILE, hints, pruner
from sandbox.trace.model_events import MessageEvent
from sandbox.trace.recorder import Recorder
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow
from sandbox.tui import timeline
from tests.support.sample_events import effect, say


def test_every_kind_has_a_class_of_its_own() -> None:
    """A kind without a class, or a class of two kinds, would leave events undescribed."""
    assert list(KINDS) == list(EventKind)
    assert len(KIND_OF) == len(KINDS)
    for known in KINDS.values():
        assert is_typeddict(known.data)
        assert known.data.__doc__


@pytest.mark.parametrize("kind", get_args(Effect), ids=lambda each: each.__name__)
def test_every_class_of_effects_has_the_fields_of_an_effect(kind: type) -> None:
    """Readers take any effect apart by the same six fields."""
    assert list(hints(kind)) == ["kind", "action", "target", "status", "source", "detail"]


def test_tables_by_kind_are_complete() -> None:
    """A kind that is added has a name in the timeline, and effects of a kind can stand in examples."""
    assert set(timeline._LABELS) == set(EventKind)
    assert set(examples._SOURCES) == set(EffectKind)


def test_columns_are_columns() -> None:
    """What is marked as indexed is a column of the run's row."""
    assert {*COLUMNS, *OUTCOME} <= set(RunRow.model_fields)


PRUNED: list[tuple[str, Any, Any]] = [
    ("tool.intent", {"call": "c", "arguments": {"seconds": 1}}, {"arguments": {"seconds": 1}}),
    ("tool.intent", {"arguments": {"owner": "o", "id": 1, "effects": [1]}}, None),
    ("model.reply", {"calls": [{"id": "x", "name": "n"}]}, {"calls": [{"name": "n"}]}),
    ("run.end", {"judges": {"j": {"seconds": 1.0, "asked": 2}}}, {"judges": {"j": {"asked": 2}}}),
    ("run.start", {"owner": "o", "limits": {"seconds": 1}}, {"limits": {"seconds": 1}}),
    ("run.start", "no object", "no object"),
    ("tool.result", {"effects": {"not": "a list"}}, {"effects": {"not": "a list"}}),
    ("tool.result", {"effects": [None, {"kind": "of later"}]}, None),
]


@pytest.mark.parametrize(("kind", "data", "expected"), PRUNED)
def test_what_is_volatile_goes_by_its_place(kind: str, data: Any, expected: Any) -> None:
    """A field goes for what it is, not for what it is called: arguments of tools may have any name."""
    take_out = pruner(KINDS[kind].data, frozenset({VOLATILE, NAME}))
    assert take_out is not None
    assert take_out(data) == (data if expected is None else expected)


def test_what_is_volatile_in_effects() -> None:
    """Ids of processes and headers go; the same names in the world's data stay."""
    patch = [{"op": "add", "path": "/x", "value": {"pid": 1, "headers": 2}}]
    effects = [
        effect("process", "exec", "/bin/a", pid=1, parent=None, argv=["a"]),
        effect("network", "request", "http://a/", source="egress", headers=[["a", "b"]], port=80),
        effect("network", "socket", "AF_INET", pid=7),
        effect("world", "change", "x", source="world", patch=patch),
    ]
    take_out = pruner(KINDS["tool.result"].data, frozenset({VOLATILE}))
    assert take_out is not None
    details = [each["detail"] for each in take_out({"effects": effects})["effects"]]
    assert details == [{"argv": ["a"]}, {"port": 80}, {}, {"patch": patch}]


def test_reading_by_class(store: Store) -> None:
    """What is read by a class is of its kind; another class is refused."""
    recorder = Recorder(store, "r")
    item = say(recorder, "x" * 2000)
    recorder.flush()
    message = store.content(item, MessageEvent)
    assert message["content"] == "x" * 2000
    assert list(of_kind([(item, message)], MessageEvent)) == [(item, message)]
    for kind in (known.data for known in KINDS.values() if known.data is not MessageEvent):
        assert list(of_kind([(item, message)], kind)) == []
        with pytest.raises(ValueError, match="does not describe"):
            store.content(item, kind)
