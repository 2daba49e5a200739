"""The recorder: events in order, chained, without the host's secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sandbox.models.secrets import scrubber
from sandbox.trace.events import GENESIS
from sandbox.trace.model_events import MessageEvent
from sandbox.trace.recorder import Recorder
from sandbox.trace.store import Store
from tests.support.sample_events import say

SECRET = "sk-host-0123456789abcdef"  # noqa: S105 - of no one
DATA: dict[str, Any] = {
    "plain": SECRET,
    "inside": f"Bearer {SECRET}!",
    "list": [SECRET, 1],
    SECRET: "as a key",
    "deep": {"x": (SECRET,)},
}


def test_events_are_chained(store: Store) -> None:
    """Positions count from 0, and each event holds the hash of the one before."""
    recorder = Recorder(store, "r")
    made = [say(recorder, str(number)) for number in range(4)]
    recorder.flush()
    assert [item.seq for item in made] == [0, 1, 2, 3]
    assert [item.previous for item in made] == [GENESIS, *(item.hash for item in made[:3])]
    assert list(store.events("r")) == made


def test_a_later_recorder_goes_on(store: Store) -> None:
    """A recorder that is given the last event continues its chain."""
    first = Recorder(store, "r")
    last = say(first)
    first.flush()
    item = say(Recorder(store, "r", after=last))
    assert (item.seq, item.previous) == (1, last.hash)


def test_nothing_before_the_flush(store: Store) -> None:
    """Events wait in memory until they are flushed."""
    recorder = Recorder(store, "r")
    say(recorder)
    assert list(store.events("r")) == []


def test_an_unknown_kind(store: Store) -> None:
    """An event of a kind that is not described is refused."""
    with pytest.raises(ValueError, match="no kind of event"):
        Recorder(store, "r").record(dict)


def test_secrets_do_not_reach_the_store(store: Store, tmp_path: Path) -> None:
    """A secret of the host is taken out of every text and key, in large texts too."""
    recorder = Recorder(store, "r", scrub=scrubber({"OPENAI_API_KEY": SECRET}))
    recorder.record(MessageEvent, role="user", content=[DATA], name=(SECRET + " ") * 500)
    recorder.flush()
    shown = str([store.content(item) for item in store.events("r")])
    assert SECRET not in shown
    assert "[secret OPENAI_API_KEY]" in shown
    assert SECRET.encode() not in b"".join(path.read_bytes() for path in tmp_path.glob("runs.db*"))


def test_secrets_do_not_reach_listeners(store: Store) -> None:
    """Whoever watches a run live sees what the trace says, not the secret."""
    heard: list[Any] = []
    scrub = scrubber({"OPENAI_API_KEY": SECRET})
    recorder = Recorder(store, "r", scrub=scrub, listeners=(lambda _, data: heard.append(data),))
    recorder.record(MessageEvent, role="user", content=[DATA])
    assert SECRET not in str(heard)


@pytest.mark.parametrize(
    ("environment", "hidden"),
    [
        ({"MISTRAL_API_KEY": SECRET}, True),
        ({"github_token": SECRET}, True),
        ({"DB_PASSWORD": SECRET}, True),
        ({"AWS_SECRET_ACCESS_KEY": SECRET}, True),
        ({"MY_CREDENTIALS": SECRET}, True),
        ({"HOME": SECRET}, False),
        ({"KEYBOARD": SECRET}, False),
        ({}, False),
    ],
)
def test_which_variables_are_secret(environment: dict[str, str], hidden: bool) -> None:
    """Variables named like keys, tokens and passwords are secret; others are not."""
    scrub = scrubber(environment)
    assert (scrub is not None and SECRET not in scrub(f"a {SECRET} b")) == hidden


def test_short_values_are_left(store: Store) -> None:
    """A value as short as a word hides no words."""
    assert scrubber({"API_KEY": "token"}) is None


def test_a_secret_inside_another() -> None:
    """Where one secret begins with another, the longer one is taken out whole."""
    scrub = scrubber({"A_KEY": "abcdefgh", "B_KEY": "abcdefghijkl"})
    assert scrub is not None
    assert scrub("x abcdefghijkl y abcdefgh") == "x [secret B_KEY] y [secret A_KEY]"
