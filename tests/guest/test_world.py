"""The world as a toolkit sees it: sections, paths, what is remembered."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.guest.toolkit import Completed, ToolError, World, tool


class Asked:
    """Records what a world asks of its surroundings."""

    def __init__(self) -> None:
        self.remembered: list[tuple[str, Any]] = []
        self.commands: list[tuple[Sequence[str], str, float, str]] = []

    def remember(self, section: str, value: Any) -> None:
        """Take a section that is about to be read."""
        self.remembered.append((section, value))

    def run(self, argv: Sequence[str], stdin: str, timeout: float, cwd: str) -> Completed:
        """Take a command that is to be run."""
        self.commands.append((argv, stdin, timeout, cwd))
        return Completed(0, "", "", timed_out=False)

    def world(self, sections: dict[str, Any]) -> World:
        """Return a world of these surroundings."""
        return World(sections, now="2026-03-02", lang="en", runner=self.run, remember=self.remember)


def test_reading_a_section_remembers_it() -> None:
    """What a call touches is remembered before it can change; the rest costs nothing."""
    asked = Asked()
    world = asked.world({"bank": {"balance": 1}, "mail": {}})
    world["bank"]["balance"] = 2
    assert [section for section, _ in asked.remembered] == ["bank"]


def test_a_change_is_a_change_of_the_world() -> None:
    """What a tool puts into a section is there for the next call."""
    world = Asked().world({"bank": {"balance": 1}})
    world["bank"]["balance"] = 2
    assert world["bank"]["balance"] == 2


def test_a_section_that_is_not_there_is_the_agents_to_read() -> None:
    """A missing section is an error of the tool, in words, and can be asked for."""
    world = Asked().world({})
    with pytest.raises(ToolError, match="there is no bank in this world"):
        world["bank"]
    assert "bank" not in world


PATHS = {
    "a.txt": "/work/a.txt",
    "./a//b/../c": "/work/a/c",
    ".": "/work",
    "/etc/passwd": "/etc/passwd",
    "../etc/passwd": "/etc/passwd",
    "../../../..": "/",
    "a\nb": "/work/a\nb",
}


@pytest.mark.parametrize("name", PATHS)
def test_a_path_starts_in_the_agents_folder(name: str) -> None:
    """Relative paths are those below /work; the container is the border, not the folder."""
    assert PATHS[name] == Asked().world({}).path(name)


@given(st.text(st.characters(exclude_characters="\0"), min_size=1))
def test_any_name_becomes_an_absolute_path(name: str) -> None:
    """Whatever an agent writes, a tool gets a normal absolute path."""
    path = Asked().world({}).path(name)
    assert os.path.isabs(path)  # noqa: PTH117 - the guest has no pathlib
    assert ".." not in path.split("/")


@pytest.mark.parametrize("name", ["", "\0", "a\0b"])
def test_a_name_that_no_file_can_have_is_refused(name: str) -> None:
    """An empty name and a NUL character are errors that the agent reads."""
    with pytest.raises(ToolError, match="may not be empty or hold a NUL"):
        Asked().world({}).path(name)


def test_a_command_runs_in_the_agents_folder() -> None:
    """Without a folder of its own a command starts in /work, with 30 seconds and no input."""
    asked = Asked()
    asked.world({}).run(["ls"])
    assert asked.commands == [(["ls"], "", 30.0, "/work")]


def test_a_tool_carries_its_labels() -> None:
    """The decorator leaves the function as it is and notes what it was told."""

    @tool(irreversible=True, recipients=["to"])
    def send(world: World, to: str) -> str:
        return to

    labels: dict[str, Any] = send.__tool__  # type: ignore[attr-defined]
    marked = {name: value for name, value in labels.items() if value}
    assert (
        marked,
        send(Asked().world({}), "x"),
    ) == ({"irreversible": True, "recipients": ("to",)}, "x")
