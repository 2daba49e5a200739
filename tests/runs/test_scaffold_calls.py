"""What a scaffold hands over of a reply's calls: properties over any replies and any messages."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sandbox.errors import ScaffoldError
from sandbox.models.base import Message, ToolCall
from sandbox.runs.scaffold_calls import as_message, read, with_results

LEAVES = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=3)
JSON = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2)
    ),
    max_leaves=4,
)
ARGUMENTS = st.dictionaries(st.text(max_size=2), JSON, max_size=2)
CALLS = st.lists(
    st.builds(ToolCall, st.text(max_size=3), st.text(max_size=3), ARGUMENTS | st.none()),
    max_size=4,
    unique_by=lambda call: call.id,
)
MESSAGES = st.recursive(
    LEAVES | st.sampled_from(["assistant", "a"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["role", "tool_calls", "id", "function", "name", "arguments", "additional_kwargs"]
            ),
            inner,
        )
    ),
)


@given(CALLS)
def test_an_answer_entries_over_as_it_is(calls: list[ToolCall]) -> None:
    """Every call comes back as the very call that the model asked for, also one that is unsound."""
    result = read(calls, as_message("", calls))
    assert all(one is other for one, other in zip(result.calls, calls, strict=True))
    assert result.dropped == ()


@given(CALLS, st.data())
def test_any_choice_in_any_order(calls: list[ToolCall], data: st.DataObject) -> None:
    """What is executed and what is dropped are together the reply; an edit names its original."""
    message = as_message("", calls)
    entries = data.draw(st.permutations(message.get("tool_calls", ())))
    entries = entries[: data.draw(st.integers(0, len(entries)))]
    edits = data.draw(st.sets(st.sampled_from(range(len(entries))))) if entries else set()
    for place in edits:
        entries[place]["function"]["name"] += "!"
    result = read(calls, {**message, "tool_calls": entries})
    assert [call.id for call in result.calls] == [entry["id"] for entry in entries]
    assert {place for place, call in enumerate(result.calls) if call.original} == edits
    originals = [call.original or call for call in result.calls]
    assert {call.id for call in (*originals, *result.dropped)} == {call.id for call in calls}
    assert len(originals) + len(result.dropped) == len(calls)
    assert all(any(call is each for each in calls) for call in (*originals, *result.dropped))


@given(ARGUMENTS, ARGUMENTS)
def test_an_edit_is_what_json_tells_apart(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Arguments are the model's exactly where they are the same JSON."""
    (call,) = read([ToolCall("a", "t", one)], as_message("", [ToolCall("a", "t", other)])).calls
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (call.original is None) == same
    assert json.dumps(call.arguments, sort_keys=True) == json.dumps(other, sort_keys=True)


@given(CALLS, MESSAGES)
def test_hostile_messages(calls: list[ToolCall], message: Any) -> None:
    """Whatever is handed over, it is either understood or the scaffold's fault."""
    with contextlib.suppress(ScaffoldError):
        read(calls, message)


@given(CALLS, st.data())
def test_every_call_of_a_conversation_has_one_result(
    calls: list[ToolCall], data: st.DataObject
) -> None:
    """Each call has one result behind it, its own or a note; a second time nothing is added."""
    notes: dict[str, Message] = {
        call.id: {"role": "tool", "tool_call_id": call.id, "content": "-"} for call in calls
    }
    executed = data.draw(st.lists(st.sampled_from(calls), unique_by=id)) if calls else []
    results: list[Message] = [{**notes[call.id], "content": "executed"} for call in executed]
    said: list[Message] = [as_message("", calls), *results, {"role": "user", "content": "and"}]
    result = with_results(said, notes)
    between = result[1:-1]
    assert sorted(m["tool_call_id"] for m in between) == sorted(call.id for call in calls)
    assert [m for m in between if m["content"] == "executed"] == results
    assert list(with_results(result, notes)) == list(result)
