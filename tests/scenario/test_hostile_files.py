"""Scenario files that are bombs, are not text, or lead out of their folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.errors import ScenarioError
from sandbox.scenario.relative_files import TREE_LIMIT
from sandbox.scenario.yaml_positions import DEPTH_LIMIT, FILE_LIMIT
from tests.support.workspace import Workspace

LAUGHS = "l0: &l0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]\n" + "".join(
    f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]\n" for n in range(1, 10)
)
"""A billion texts in half a kilobyte."""

TEXTS: dict[str, tuple[bytes, int, str]] = {
    "billion laughs": (LAUGHS.encode(), 1, "more than 200000 values, aliases expanded"),
    "alias in its own list": (b"a: &a [1, [*a]]", 1, "an alias that holds itself"),
    "many open lists": (b"a:\n  " + b"[" * 1_000_000, 2, f"nested deeper than {DEPTH_LIMIT}"),
    "many open maps": (b"{a: " * 200_000, 1, f"nested deeper than {DEPTH_LIMIT} levels"),
    "lists in one line": (b"- " * 1_000_000, 1, f"nested deeper than {DEPTH_LIMIT} levels"),
    "keys in one line": (b"? " * 200_000, 1, f"nested deeper than {DEPTH_LIMIT} levels"),
    "maps by indentation": (
        b"\n".join(b" " * n + b"a:" for n in range(1000)),
        DEPTH_LIMIT + 1,
        f"nested deeper than {DEPTH_LIMIT} levels",
    ),
    "oversize": (b"#" * (FILE_LIMIT + 1), 0, "is larger than 4 MiB"),
    "Latin-1": ("schema: 1\ntitle: Modifié\n".encode("latin-1"), 2, "is not UTF-8 text"),
    "UTF-16": ("schema: 1\n".encode("utf-16"), 1, "is not UTF-8 text"),
    "NUL": (b"schema: 1\ntitle: a\0b\n", 2, "control character U+0000"),
    "escape sequence": (b"title: \x1b[2J\n", 1, "control character U+001B"),
    "empty": (b"", 0, "a scenario is a map of keys"),
    "comment only": (b"# later\n", 0, "a scenario is a map of keys"),
    "tab as indentation": (b"world:\n\tbank: 5\n", 2, "not YAML: found character"),
    "pickle": (b"\x80\x04\x95", 1, "is not UTF-8 text"),
}


@pytest.mark.parametrize("case", TEXTS)
def test_a_file_that_is_a_bomb_or_no_text_is_refused(case: str, workspace: Workspace) -> None:
    """Whatever its bytes, a scenario file is refused with its line and costs next to nothing."""
    data, line, text = TEXTS[case]
    file = workspace.write("hostile/file/scenario.yaml", data)
    problem = workspace.problem("hostile/file")
    assert (file, line) == (Path(problem.file), problem.line)
    assert text in problem.message


@pytest.mark.parametrize("case", TEXTS)
def test_a_world_file_is_held_to_the_same(case: str, workspace: Workspace) -> None:
    """A file of data is refused as a scenario file is, and so is one that holds nothing."""
    data, line, text = TEXTS[case]
    workspace.extension("hostile/world", "world: { bank: bank.yaml }\n")
    file = workspace.write("hostile/world/bank.yaml", data)
    problem = workspace.problem("hostile/world")
    assert (file, line) == (Path(problem.file), problem.line)
    assert (text if line or case == "oversize" else "None is not of type") in problem.message


def test_a_folder_without_a_scenario_is_named(workspace: Workspace) -> None:
    """A folder that holds no scenario.yaml is reported as a file that cannot be read."""
    problem = workspace.problem("hostile/nothing")
    assert "cannot be read: No such file or directory" in problem.message


Trap = Callable[[Path], None]
"""Puts something into the folder of a scenario."""


def link(name: str, target: str) -> Trap:
    """Return a trap: a symbolic link."""
    return lambda folder: (folder / name).symlink_to(target)


def made(name: str) -> Trap:
    """Return a trap: an empty folder."""
    return lambda folder: (folder / name).mkdir()


def pipe(name: str) -> Trap:
    """Return a trap: a named pipe."""
    return lambda folder: os.mkfifo(folder / name)


def data(name: str, size: int) -> Trap:
    """Return a trap: a file of this size in bytes."""

    def write(folder: Path) -> None:
        (folder / name).write_bytes(b"")
        os.truncate(folder / name, size)

    return write


TRAPS: dict[str, tuple[str, list[Trap], str]] = {
    "link to a file outside": (
        "bank: bank.yaml",
        [link("bank.yaml", "/etc/passwd")],
        "'bank.yaml' leaves the scenario's folder",
    ),
    "link to a neighbour's file": (
        "bank: bank.yaml",
        [link("bank.yaml", "../../sound/payment/scenario.yaml")],
        "'bank.yaml' leaves the scenario's folder",
    ),
    "link of the French file": (
        "bank: bank.yaml",
        [data("bank.yaml", 0), link("bank.fr.yaml", "/etc/passwd")],
        "'bank.fr.yaml' leaves the scenario's folder",
    ),
    "link to itself": (
        "bank: bank.yaml",
        [link("bank.yaml", "bank.yaml")],
        "'bank.yaml' cannot be the path of a file",
    ),
    "folder through a link": (
        "bank: data/passwd",
        [link("data", "/etc")],
        "'data/passwd' leaves the scenario's folder",
    ),
    "text in place of a path": (
        f"bank: {'x' * 5000}",
        [],
        f"'{'x' * 60}' cannot be the path of a file",
    ),
    "files through a link": (
        "files: files/",
        [link("files", "/etc")],
        "'files/' leaves the scenario's folder",
    ),
    "French files through a link": (
        "files: files/",
        [made("files"), link("files.fr", "/etc/ssl")],
        "leaves the scenario's folder",
    ),
    "link among the files": (
        "files: files/",
        [made("files"), link("files/shadow", "/etc/shadow")],
        "'files/shadow' leaves the scenario's folder",
    ),
    "link to a neighbour among the files": (
        "files: files/",
        [made("files"), data("files/a", 1), link("files/b", "a")],
        "'b' in 'files/' is not a regular file",
    ),
    "pipe among the files": (
        "files: files/",
        [made("files"), pipe("files/pipe")],
        "'pipe' in 'files/' is not a regular file",
    ),
    "files without end": (
        "files: files/",
        [made("files"), data("files/big", TREE_LIMIT + 1)],
        "'files/' holds more than 16 MiB",
    ),
    "folder that is not there": ("files: fils/", [], "there is no 'fils/' beside this file"),
}


@pytest.mark.parametrize("case", TRAPS)
def test_a_world_that_leads_out_of_its_folder_is_refused(case: str, workspace: Workspace) -> None:
    """No link, no path and no size makes a scenario read what is not its own."""
    line, traps, text = TRAPS[case]
    folder = workspace.extension("hostile/trap", f"world:\n  {line}\n")
    for trap in traps:
        trap(folder)
    with pytest.raises(ScenarioError) as caught:
        workspace.load("hostile/trap")
    problems = [
        (Path(item.file), item.line, text in item.message) for item in caught.value.problems
    ]
    assert (folder / "scenario.yaml", 5, True) in problems


def test_a_folder_as_a_file_is_named(workspace: Workspace) -> None:
    """A folder where a file of data is expected is reported under its own name."""
    folder = workspace.extension("hostile/folder", "world: { bank: data }\n")
    (folder / "data").mkdir()
    problem = workspace.problem("hostile/folder")
    assert f"{folder / 'data'}: cannot be read: Is a directory" == str(problem)
