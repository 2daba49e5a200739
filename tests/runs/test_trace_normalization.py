"""What of a trace must come out the same when the same is done again."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.runs.trace_normalization import stable
from tests.support.sample_events import effect


def intent(**arguments: Any) -> Any:
    """Return what is compared of a call."""
    return stable("tool.intent", {"call": "c", "tool": "t.f", "arguments": arguments})


@pytest.mark.parametrize("name", ["owner", "seconds", "started", "headers", "versions"])
def test_arguments_are_compared_whatever_they_are_called(name: str) -> None:
    """A replay that asks for something else is noticed, even if the argument is called as times are."""
    assert intent(**{name: "one"}) != intent(**{name: "other"})


def test_an_argument_may_be_called_effects() -> None:
    """Effects of a call are those of its result; an argument of this name is an argument."""
    assert intent(effects=["rain", 1])["arguments"] == {"effects": ["rain", 1]}


def test_effects_are_compared_in_any_order() -> None:
    """Processes of one call run side by side; their ids, and files of a moment, are not compared."""

    def result(pid: int, name: str) -> Any:
        effects = [
            effect("process", "exec", "/bin/a", pid=pid, argv=["a", "0.2 s"]),
            effect("file", "write", f"/tmp/{name}"),
            effect("file", "delete", f"/tmp/{name}"),
        ]
        return {"call": "c", "tool": "t.f", "seconds": pid / 7, "effects": effects}

    one, other = result(7, "x1"), result(8, "y2")
    other["effects"].reverse()
    assert stable("tool.result", one) == stable("tool.result", other)
    other["effects"][0]["target"] = "/work/kept"
    assert stable("tool.result", one) != stable("tool.result", other)


def test_nothing_is_changed() -> None:
    """What is compared is a copy: the data itself is still to be used."""
    data = {"call": "c", "tool": "t.f", "effects": [effect("file", "write", "/tmp/x")]}
    data["effects"] = [*data["effects"], effect("file", "delete", "/tmp/x")]
    stable("tool.result", data)
    assert [each["target"] for each in data["effects"]] == ["/tmp/x", "/tmp/x"]
