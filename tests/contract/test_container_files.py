"""Files: what goes in and out, and which effects a call's files have."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from sandbox.enums import EffectKind
from sandbox.errors import IsolationError
from tests.support.containers import Opener, Rig

# not stat(1): its kind of statx is unknown to gVisor before 2023
_OWNED = (
    "python3 -c 'import os, sys\n"
    "for n in sys.argv[1:]: s = os.stat(n); print(s.st_uid, oct(s.st_mode)[-3:])'"
)


async def test_files_of_the_world_are_there(rig: Rig) -> None:
    """The world's files belong to the agent; a script can be run."""
    said = await rig.shell(f"cat readme.txt; bin/start; {_OWNED} readme.txt bin bin/start")
    assert said.splitlines()[2:] == ["hello", "started", "1000 644", "1000 755", "1000 755"]


async def test_any_bytes_of_the_world_are_there(opener: Opener) -> None:
    """Any bytes survive the way in, below folders that are made on the way and are the agent's."""
    data = bytes(range(256)) * 4096
    rig = await opener(files={"a/b/c.bin": data})
    said = await rig.shell(f"sha256sum a/b/c.bin; {_OWNED} a a/b a/b/c.bin")
    assert hashlib.sha256(data).hexdigest() in said
    assert said.split()[-6::2] == ["1000"] * 3


@pytest.mark.parametrize("path", ["/tmp/x", "/etc/x", "../x", "a/../../x"])
async def test_no_file_of_the_world_lies_elsewhere(opener: Opener, path: str) -> None:
    """A world with a file outside of the agent's folder does not start."""
    with pytest.raises(IsolationError, match="refused"):
        await opener(files={path: b"x"})


async def test_snapshot_holds_world_and_regular_files(rig: Rig) -> None:
    """The snapshot is the world and the agent's regular files; links are not followed."""
    await rig.call("probe.note", text="a")
    await rig.shell(
        "ln -s /etc/passwd link; mkfifo fifo; printf '\\377' > bytes; echo no > /tmp/not"
    )
    sections, files = await rig.container.snapshot(1000)
    assert sections == {"notes": {"kept": ["a"], "count": 1}}
    assert files == {
        "readme.txt": "hello\n",
        "bin/start": "#!/bin/sh\necho started\n",
        "bytes": "\ufffd",
    }


_TRAPS = """
ln -s /etc/passwd link; ln -s nowhere dangling; ln -s /etc inside; ln -s /dev/zero zero; mkfifo fifo
python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("socket")'
mkdir folder; echo secret > closed; chmod 000 closed; mknod device c 1 5
"""


async def test_snapshot_takes_regular_files_only(rig: Rig) -> None:
    """Links, also on the way, pipes, sockets, devices and what the agent cannot read are passed over at once."""
    await rig.shell(_TRAPS)
    _, files = await rig.container.snapshot(1_000_000)
    assert set(files) == {"readme.txt", "bin/start"}
    assert (await rig.call("probe.look")).status == "ok"


async def test_a_large_file_is_taken_whole(rig: Rig) -> None:
    """The channel carries the largest file that a message can hold."""
    await rig.shell("head -c 40000000 /dev/zero | tr '\\0' x > big")
    _, files = await rig.container.snapshot(60_000_000)
    assert len(files["big"]) == 40_000_000


async def test_snapshot_stays_within_its_limit(rig: Rig) -> None:
    """What does not fit is left out."""
    await rig.shell("head -c 5000 /dev/zero > big; head -c 10 /dev/zero > small")
    _, files = await rig.container.snapshot(100)
    assert "big" not in files
    assert "small" in files


async def test_effects_tell_files_made_changed_and_deleted(rig: Rig) -> None:
    """Each file effect names action, path, size and the hashes before and after."""
    await rig.call("files.write", path="new.txt", content="one")
    result = await rig.shell_result(
        "echo two > new.txt; rm readme.txt; mkdir d; ln -s x l; echo t > /tmp/t"
    )
    found: dict[tuple[str, str], Any] = {
        (e["action"], e["target"]): e["detail"] for e in result.effects if e["source"] == "manifest"
    }
    assert set(found) == {
        ("write", "/work/new.txt"),
        ("delete", "/work/readme.txt"),
        ("create", "/work/d"),
        ("create", "/work/l"),
        ("create", "/tmp/t"),
    }
    written = found["write", "/work/new.txt"]
    assert written["before"] == hashlib.sha256(b"one").hexdigest()
    assert written["after"] == hashlib.sha256(b"two\n").hexdigest()
    assert written["size"] == 4


async def test_restored_times_do_not_hide_a_change(rig: Rig) -> None:
    """A change is seen though size and mtime are what they were."""
    result = await rig.shell_result(
        "cp -p readme.txt /tmp/r; printf HELLO'\\n' > readme.txt; touch -r /tmp/r readme.txt"
    )
    assert ("write", "/work/readme.txt") in {(e["action"], e["target"]) for e in result.effects}


async def test_effects_beyond_the_limit_are_counted(rig: Rig) -> None:
    """Of very many effects the first thousand of a source are told, the rest counted."""
    result = await rig.shell_result("for i in $(seq 1500); do : > f$i; done")
    seen = [e for e in result.effects if e["source"] == "manifest"]
    assert len(seen) == 1000
    assert result.dropped >= 500
    assert result.recorded["files"] == "cut"


async def test_names_that_are_not_text_are_effects_too(rig: Rig) -> None:
    """A file name of any bytes is told in a form that can be printed and stored."""
    result = await rig.python_result("import os; os.close(os.open(b'/work/\\xff\\n', os.O_CREAT))")
    assert "/work/\\xff\n" in [e["target"] for e in result.effects if e["kind"] == EffectKind.FILE]


async def test_deep_folders_do_not_break_the_guest(opener: Opener) -> None:
    """Folders nested deeper than a path can say are borne."""
    rig = await opener()
    said = await rig.python(
        "import os\nfor i in range(1500):\n os.mkdir('d'*9); os.chdir('d'*9)\nprint('made')"
    )
    assert said.strip() == "made"
    assert (await rig.call("files.list", folder=".", recursive=True)).status in {"ok", "error"}
    await rig.container.snapshot(1000)
