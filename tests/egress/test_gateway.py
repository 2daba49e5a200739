"""The engine's end: what belongs to which call, what a run may use, what no sound guest says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.egress.gateway import Allowance, Egress
from sandbox.egress.request_log import EFFECTS_LIMIT
from sandbox.guest.messages import InvalidMessage
from sandbox.guest.relay import STREAMS, WINDOW
from tests.support.egress_client import HOSTS, Guest, query

GET = b"GET / HTTP/1.1\r\nHost: paste.example\r\n\r\n"


def test_what_happens_between_calls_is_late(guest: Guest) -> None:
    """It belongs to the next result, and says so; what happens in the call does not."""
    guest.http(GET)
    guest.egress.call_begins()
    guest.http(GET)
    assert [e["detail"].get("late", False) for e in guest.effects()] == [True, False]


def test_effects_are_handed_over_once(guest: Guest) -> None:
    """A second drain has nothing."""
    guest.http(GET)
    assert len(guest.effects()) == 1
    assert guest.egress.drain() == ([], 0)


def test_effects_of_one_call_are_bounded(guest: Guest) -> None:
    """Those beyond the bound are counted."""
    for _ in range(EFFECTS_LIMIT + 3):
        guest.question(query("evil.example"))
    effects, dropped = guest.egress.drain()
    assert (len(effects), dropped) == (EFFECTS_LIMIT, 3)


@pytest.mark.parametrize(
    ("allowance", "reason"),
    [
        (Allowance(bytes_in=100), "more than 100 bytes were sent"),
        (Allowance(streams=3), "3 connections were opened"),
        (Allowance(requests=3), "3 requests were made"),
    ],
)
def test_a_run_uses_up_its_network(allowance: Allowance, reason: str) -> None:
    """Past what a run may use there is no network, and the record says so once."""
    guest = Guest(allowance)
    clients = [guest.open() for _ in range(2)]
    for _ in range(20):
        clients[0].send(GET)
    if not clients[0].stopped:
        clients.append(guest.open())
    assert any(client.stopped for client in clients)
    assert [e["detail"]["reason"] for e in guest.effects() if e["target"] == "*"] == [
        f"the network ends: {reason}"
    ]
    guest.open().send(GET)
    assert guest.effects() == []


def test_a_run_uses_up_its_questions() -> None:
    """Names asked are a channel too, and bounded."""
    egress = Egress(HOSTS, Allowance(questions=2))
    first = {"stream": 1, "event": "dns", "data": ""}
    assert [m["event"] for m in egress.take(first)] == ["dns"]
    assert [m["event"] for m in egress.take({**first, "stream": 2})] == ["dns", "stop"]
    assert egress.take({**first, "stream": 3}) == []


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"event": "open"},
        {"event": "open", "stream": "1", "port": 80},
        {"event": "open", "stream": True, "port": 80},
        {"event": "open", "stream": 2, "port": 22},
        {"event": "open", "stream": 2},
        {"event": "open", "stream": 1, "port": 80},
        {"event": "data", "stream": 1},
        {"event": "data", "stream": 1, "data": "not base64!"},
        {"event": "data", "stream": 1, "data": 5},
        {"event": "taken", "stream": 1, "bytes": 1},
        {"event": "taken", "stream": 1, "bytes": -(10**9)},
        {"event": "taken", "stream": 1, "bytes": "1"},
        {"event": "dns", "stream": 1, "data": "?"},
        {"event": "more", "stream": 1},
        {"event": ["open"], "stream": 1},
    ],
)
def test_what_no_sound_guest_says_is_an_error(guest: Guest, message: dict[str, Any]) -> None:
    """The code of a tool shares the guest's process: its messages are checked."""
    guest.open()
    with pytest.raises(InvalidMessage):
        guest.egress.take(message)


def test_a_guest_keeps_to_its_streams(guest: Guest) -> None:
    """More streams at once than the relay has are a lie."""
    for _ in range(STREAMS):
        guest.open()
    with pytest.raises(InvalidMessage, match="more streams"):
        guest.open()


def test_a_guest_keeps_to_its_windows(guest: Guest) -> None:
    """More bytes than the engine has taken are a lie; a client that does not read stops being read."""
    client = guest.open()
    client.reading = False
    client.send(b"GET /big HTTP/1.1\r\nHost: x.cdn.example\r\n\r\n")
    client._window = 10**9
    client.send(b"x" * WINDOW)
    with pytest.raises(InvalidMessage, match="window"):
        client.send(b"x")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["open", "data", "end", "gone", "taken", "dns"]),
            st.integers(0, 3),
            st.sampled_from([80, 443, 53, 3128]),
            st.sampled_from(["", "R0VUIC8=", "FgMB", "AAA="]),
            st.integers(-5, 5),
        ),
        max_size=30,
    )
)
def test_no_order_of_messages_breaks_it(said: list[tuple[str, int, int, str, int]]) -> None:
    """Messages in any order are taken, or found to be lies."""
    egress = Egress(HOSTS)
    for event, stream, port, data, count in said:
        message = {"event": event, "stream": stream, "port": port, "data": data, "bytes": count}
        try:
            egress.take(message)
        except InvalidMessage:
            continue
    egress.close()
