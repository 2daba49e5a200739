"""Cgroups as the kernel's files: what is written where, and that nothing is left where it refuses."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.isolation import cgroup
from sandbox.isolation.cgroup import Joining

LIMITS = {"memory": 2**28, "processes": 40, "cpu": 50_000}
FILES = ("memory.max", "memory.swap.max", "pids.max", "cpu.max", "cgroup.procs")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Put a folder in the place of the kernel's, in which this process's own group is ``app/own``."""
    (tmp_path / "app" / "own").mkdir(parents=True)
    monkeypatch.setattr(cgroup, "ROOT", tmp_path)
    monkeypatch.setattr(cgroup, "_own_v2", lambda: tmp_path / "app" / "own")
    cgroup._parent_v2.cache_clear()
    yield tmp_path
    cgroup._parent_v2.cache_clear()


def version_2(root: Path, monkeypatch: pytest.MonkeyPatch, files: tuple[str, ...]) -> None:
    """Let the folder be of version 2: each new group has files, and ``app`` hands controllers down."""
    usual = os.mkdir
    (root / "cgroup.controllers").touch()
    (root / "app" / "cgroup.subtree_control").touch()

    def mkdir(path: str) -> None:
        usual(path)
        for file in files:
            (Path(path) / file).touch()

    monkeypatch.setattr(os, "mkdir", mkdir)


def test_a_group_of_version_2(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stands beside this process's own, with all limits; whoever may move a process writes its pid."""
    version_2(root, monkeypatch, FILES)
    made = cgroup.make("one", LIMITS)
    assert made is not None
    (folder,) = made.folders
    assert folder == root / "app" / f"{cgroup.PREFIX}one"
    found = {file: (folder / file).read_text() for file in FILES[:-1]}
    assert found == {
        "memory.max": str(2**28),
        "memory.swap.max": "0",
        "pids.max": "40",
        "cpu.max": "50000 100000",
    }
    assert made.joining() == Joining(procs=(f"{folder}/cgroup.procs",))
    assert (root / "app" / "cgroup.subtree_control").read_text() == "+memory +pids +cpu"


def test_a_kernel_without_bounds_on_swap(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be bounded need not be: a group is made all the same."""
    version_2(root, monkeypatch, tuple(file for file in FILES if "swap" not in file))
    made = cgroup.make("one", LIMITS)
    assert made is not None
    assert not (made.folders[0] / "memory.swap.max").exists()


def test_a_group_that_cannot_be_bounded_is_not_left(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the kernel refuses a limit, there is no group, not even an empty one."""
    version_2(root, monkeypatch, ())
    assert cgroup.make("one", LIMITS) is None
    assert cgroup.leftovers() == []


def test_nobody_hands_controllers_down(root: Path) -> None:
    """Without a delegated parent there is no group, and no error."""
    (root / "cgroup.controllers").touch()
    assert cgroup.make("one", LIMITS) is None


def test_version_1_leaves_nothing_either(root: Path) -> None:
    """The second hierarchy refuses: the folder in the first is removed."""
    for controller in ("memory", "pids", "cpu"):
        (root / controller).mkdir()
    assert cgroup.make("one", LIMITS) is None
    assert cgroup.leftovers() == []
