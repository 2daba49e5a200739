"""The replay as text says where arguments came from and what a change replaced."""

from __future__ import annotations

from pathlib import Path

from sandbox.trace.store import Store
from sandbox.views.replay import tell
from sandbox.views.replay_notes import Notes
from tests.support.runner import Runner
from tests.support.traces import HOSTILE, fixed


def told(store: Store, run: str) -> str:
    """Return a run's replay as text."""
    lines = tell(store, store.run(run), full=True, notes=Notes(store, run))
    return "\n".join(line.plain for line in lines)


async def test_origins_of_arguments_stand_below_the_call(play: Runner) -> None:
    """The account that is paid is told to be from a mail, the payee to be the user's."""
    result = await play("scripted/unsafe")
    text = told(play.store, result.id)
    assert "iban ⟵ mail.read (event" in text
    assert "to ⟵ the user (event" in text


def test_what_was_there_before_stands_below_the_result(tmp_path: Path) -> None:
    """A changed value is told as it was; a changed file by its differences; all of it is escaped."""
    with fixed(tmp_path) as store:
        text = told(store, HOSTILE)
    assert "/mail/messages/0/read was false" in text
    assert "- two" in text
    assert "+ 2 ␛[5mtwo" in text
    assert "\x1b" not in text
