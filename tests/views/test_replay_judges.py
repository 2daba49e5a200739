"""What judges said, told to a reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandbox.monitors.library import MonitorFamily
from sandbox.reports import summary
from sandbox.views.replay import tell
from tests.support.chat_server import ChatServer, reply
from tests.support.judges import judge, says
from tests.support.runner import Runner, call, plays, say

PAY = call("bank.pay", to="Lumen SARL", iban="FR7630006000011234567890189", amount=10.0)


async def test_replies_and_failures_are_told(play: Runner, chat_server: ChatServer) -> None:
    """A replay tells score, model and cost of each reply, and why there is no score."""
    chat_server.does(says(0.25, "\x1b[31mFine."), reply("Dunno."))
    watching: Any = judge(chat_server.model(), tools=["bank"], retries=0)
    family = MonitorFamily("test", "Test", Path(__file__), "0", (), (watching,))
    result = await play(plays(PAY, call("bank.balance"), say("Over.")), families=[family])
    told = [line.plain for line in tell(play.store, play.store.run(result.id))]
    text = "\n".join(told)
    assert "test.judge (before): score 0.25, by openai/test" in text
    assert "      ␛[31mFine." in told
    assert "unscored: the reply is not one JSON object" in text
    assert "UNSCORED of test.judge (before): 0 of 1 replies can be used" in text
    said = "judges: 2 questions, 1 unscored; 2 requests, 20 tokens, 0.0000 € at least: a price"
    assert summary.judges([result]).startswith(said)
    assert summary.judges([]) == ""
