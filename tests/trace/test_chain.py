"""The chain of events: any change of any field changes the hash, or breaks the chain."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.trace.event_types import KINDS
from sandbox.trace.events import GENESIS, Event, canonical, digest, make

SURROGATES = st.characters(exclude_categories=[])
TEXT = st.text(max_size=40)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(SURROGATES),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(SURROGATES), inner, max_size=4)
    ),
)
HASH = st.binary(min_size=32, max_size=32).map(bytes.hex)
EVENTS = st.builds(
    make,
    run=st.text("0123456789abcdef", min_size=1, max_size=12),
    seq=st.integers(0, 10**6),
    at=st.floats(0, 1e10),
    kind=st.sampled_from(sorted(KINDS)),
    agent=TEXT,
    data=JSON.map(canonical),
    previous=HASH,
)
FIELDS = ("run", "seq", "at", "kind", "agent", "data", "previous")


def rehashed(item: Event, **changes: Any) -> str:
    """Return the hash of an event with some fields changed."""
    return digest(**{name: getattr(item, name) for name in FIELDS} | changes)


@given(EVENTS, EVENTS)
def test_any_other_field_is_another_hash(one: Event, other: Event) -> None:
    """Taking any one field from another event changes the hash, unless it was the same."""
    for field in FIELDS:
        ours, theirs = getattr(one, field), getattr(other, field)
        changed = rehashed(one, **{field: theirs}) != one.hash
        assert changed == (repr(ours) != repr(theirs))


@given(EVENTS, st.data())
def test_one_sign_of_the_data_is_enough(item: Event, data: st.DataObject) -> None:
    """Changing, adding or removing one character of the data changes the hash."""
    at = data.draw(st.integers(0, len(item.data) - 1))
    sign = data.draw(st.characters(codec="ascii").filter(lambda found: found != item.data[at]))
    assert rehashed(item, data=item.data[:at] + sign + item.data[at + 1 :]) != item.hash
    assert rehashed(item, data=item.data[:at] + sign + item.data[at:]) != item.hash
    assert rehashed(item, data=item.data[:at] + item.data[at + 1 :]) != item.hash


@given(TEXT, TEXT, TEXT)
def test_text_cannot_move_between_fields(kind: str, agent: str, data: str) -> None:
    """Moving a character from one field to its neighbour changes the hash."""
    hashed = digest("r", 0, 0.0, kind, agent + "x", data, GENESIS)
    assert hashed != digest("r", 0, 0.0, kind, agent, "x" + data, GENESIS)
    assert digest("r", 0, 0.0, kind + "x", agent, data, GENESIS) != digest(
        "r", 0, 0.0, kind, "x" + agent, data, GENESIS
    )


@given(JSON)
def test_the_canonical_form_is_one(value: Any) -> None:
    """The canonical form reads back as the same data and is a fixed point, in plain ASCII."""
    text = canonical(value)
    assert json.loads(text) == value
    assert canonical(json.loads(text)) == text
    assert text.isascii()


@given(st.dictionaries(st.text(), st.integers(), min_size=2))
def test_the_order_of_keys_does_not_count(value: dict[str, int]) -> None:
    """Two dicts of other order have one canonical form."""
    assert canonical(value) == canonical(dict(reversed(value.items())))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_json_cannot_hold_is_refused(value: float) -> None:
    """NaN and Infinity are no JSON: they raise instead of being written."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical({"x": value})
