"""The manifest in folders made to confuse it: names and depths beyond what programs expect."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.guest.file_snapshot import FileSnapshot

NAMES = [
    b"\xff\xfe",
    b"new\nline",
    b"\x1b[2Jclear",
    "é\u202egpj.exe".encode(),
    b" ",
    b"-rf",
    b"..x",
    b"x" * 255,
    b"'\"`$(id)",
]


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_any_name_is_reported_as_text(name: bytes, tmp_path: Path) -> None:
    """Whatever bytes make a name, it is reported in text that can be stored."""
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(b"")
    ((effect,), _) = FileSnapshot((str(tmp_path),)).look()
    shown = name.decode("utf-8", "backslashreplace")
    assert f"{tmp_path}/{shown}".encode() == effect["target"].encode()


class Deep:
    """A chain of folders, entered one by one: its path may be longer than the kernel takes."""

    def __init__(self, top: Path) -> None:
        self._here = os.open(top, os.O_RDONLY)
        self.path = str(top)

    def enter(self, name: str) -> None:
        """Make a folder in the innermost one and go into it."""
        os.mkdir(name, dir_fd=self._here)
        below = os.open(name, os.O_RDONLY, dir_fd=self._here)
        os.close(self._here)
        self._here = below
        self.path += f"/{name}"

    def reach(self, length: int) -> None:
        """Go deeper until the path has this length."""
        while (left := length - len(self.path)) > 1:
            self.enter("d" * (min(left - 1, 200) if left != 202 else 100))

    def write(self, name: str, text: str) -> None:
        """Write a file in the innermost folder."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        with os.fdopen(os.open(name, flags, dir_fd=self._here), "w") as file:
            file.write(text)

    def close(self) -> None:
        """Let go of the innermost folder."""
        os.close(self._here)


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Deep]:
    """A chain of folders that starts in ``tmp_path``."""
    chain = Deep(tmp_path)
    yield chain
    chain.close()
    # pytest's own cleaning recurses and would fail on it at some later session's end
    subprocess.run(["rm", "-rf", *tmp_path.iterdir()], check=True)


def test_deep_folders_do_not_exhaust_the_stack(deep: Deep, tmp_path: Path) -> None:
    """A thousand folders in each other are scanned, and the file at the end is seen."""
    for _ in range(1000):
        deep.enter("d")
    deep.write("end", "x")
    looked = FileSnapshot((str(tmp_path),))
    looked.look()
    deep.write("end", "y")
    ((effect,), _) = looked.look()
    assert f"{deep.path}/end" == effect["target"]


def test_a_path_beyond_the_kernels_limit_does_not_end_the_guest(deep: Deep, tmp_path: Path) -> None:
    """What lies deeper than a path can say is left out; the rest is seen."""
    deep.reach(5000)
    deep.write("hidden", "x")
    looked = FileSnapshot((str(tmp_path),))
    looked.look()
    (tmp_path / "seen").write_text("x")
    ((effect,), _) = looked.look()
    assert str(tmp_path / "seen") == effect["target"]


def test_one_name_too_long_to_reach_does_not_hide_its_neighbours(
    deep: Deep, tmp_path: Path
) -> None:
    """Files beside one whose path is too long for the kernel are seen, whatever the order."""
    deep.reach(4090)
    for number in range(5):
        deep.write("x" * (50 + number), "too far")
    for name in "abcdefg":
        deep.write(name, "near")
    effects, _ = FileSnapshot((str(tmp_path),)).look()
    near = {effect["target"][-1] for effect in effects if effect["detail"]["type"] == "file"}
    assert set("abcdefg") == near


def test_a_root_that_is_not_there_is_empty(tmp_path: Path) -> None:
    """A folder that does not exist, or was deleted, holds nothing."""
    assert FileSnapshot((str(tmp_path / "none"),)).look() == ([], 0)


def test_a_folder_that_cannot_be_read_is_still_seen(tmp_path: Path) -> None:
    """Closing a folder to all is a change of the folder itself."""
    (tmp_path / "sub").mkdir()
    looked = FileSnapshot((str(tmp_path),))
    looked.look()
    (tmp_path / "sub").chmod(0)
    effects, _ = looked.look()
    (tmp_path / "sub").chmod(0o700)
    assert [effect["detail"]["mode"] for effect in effects] == ["0o0"]
