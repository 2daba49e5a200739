"""Files: what goes in and out, and which effects a call's files have."""

from __future__ import annotations

import hashlib

import pytest

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


async def test_copy_in_and_out_give_the_same_bytes(rig: Rig) -> None:
    """Any bytes survive the way in and out, below folders that are made on the way."""
    data = bytes(range(256)) * 4096
    await rig.container.copy_in("a/b/c.bin", data)
    assert data == await rig.container.copy_out("a/b/c.bin", len(data))
    said = await rig.shell(f"{_OWNED} a a/b a/b/c.bin")
    assert said.split()[-6::2] == ["1000"] * 3


async def test_copy_in_replaces(rig: Rig) -> None:
    """A file that is copied in takes the place of what it held before."""
    await rig.container.copy_in("readme.txt", b"x")
    assert await rig.container.copy_out("readme.txt", 10) == b"x"


async def test_large_file_comes_out_whole(rig: Rig) -> None:
    """The channel carries the largest file that a message can hold."""
    await rig.shell("head -c 40000000 /dev/zero > big")
    assert len(await rig.container.copy_out("big", 64 * 2**20)) == 40_000_000


_TRAPS = {
    "link": "ln -s /etc/passwd link",
    "dangling": "ln -s nowhere dangling",
    "inside/passwd": "ln -s /etc inside",
    "fifo": "mkfifo fifo",
    "socket": "python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"socket\")'",
    "folder": "mkdir folder",
    "none": "true",
    "/etc/passwd": "true",
    "/dev/null": "true",
    "/proc/self/environ": "true",
    "../etc/passwd": "true",
    "inside/../../etc/passwd": "mkdir inside",
    "closed": "echo secret > closed; chmod 000 closed",
}


async def test_copy_out_refuses_all_but_regular_files_below_the_folder(opener: Opener) -> None:
    """Links, also on the way, pipes, sockets, devices, folders and what is outside are refused at once."""
    rig = await opener()
    for path, trap in _TRAPS.items():
        await rig.shell(f"rm -rf inside; {trap}")
        with pytest.raises(IsolationError, match="refused"):
            await rig.container.copy_out(path, 1_000_000)
    assert (await rig.call("probe.look")).status == "ok"


async def test_copy_in_refuses_the_same(rig: Rig) -> None:
    """Nothing is written through a link, into a pipe or outside the folder."""
    for path in (
        "link",
        "inside/passwd",
        "fifo",
        "folder",
        "/tmp/x",
        "/etc/x",
        "../x",
        "a/../../x",
    ):
        await rig.shell(_TRAPS.get(path, "true"))
        with pytest.raises(IsolationError, match="refused"):
            await rig.container.copy_in(path, b"x")
    assert (await rig.call("probe.look")).status == "ok"


async def test_copy_out_refuses_what_is_too_large(rig: Rig) -> None:
    """A file above the limit is refused, not cut."""
    await rig.container.copy_in("ten", b"x" * 10)
    assert await rig.container.copy_out("ten", 10) == b"x" * 10
    with pytest.raises(IsolationError, match="larger than 9 bytes"):
        await rig.container.copy_out("ten", 9)


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
    found = {
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
    assert "/work/\\xff\n" in [e["target"] for e in result.effects if e["kind"] == "file"]


async def test_deep_folders_do_not_break_the_guest(opener: Opener) -> None:
    """Folders nested deeper than a path can say are borne."""
    rig = await opener()
    said = await rig.python(
        "import os\nfor i in range(1500):\n os.mkdir('d'*9); os.chdir('d'*9)\nprint('made')"
    )
    assert said.strip() == "made"
    assert (await rig.call("files.list", folder=".", recursive=True)).status in {"ok", "error"}
    await rig.container.snapshot(1000)
