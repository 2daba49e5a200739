"""Bounds: what a container may use, and that it goes on working, or ends in a typed error, beyond."""

from __future__ import annotations

import re

import pytest

from sandbox.errors import GuestTimeout, IsolationError
from sandbox.scenario.bounds import MIB, Bounds
from tests.support.containers import Opener, Rig


async def test_output_flood_is_bounded(rig: Rig) -> None:
    """Endless output is cut in the middle, and its command ended in time."""
    result = await rig.call(
        "shell.run", command="yes | head -c 200000000; echo end", timeout_seconds=20
    )
    assert len(result.text) < 70_000
    assert "bytes left out" in result.text
    assert result.text.endswith("end")
    endless = await rig.call("shell.run", command="yes; true", timeout_seconds=1)
    assert endless.text.startswith("killed after 1 s")


async def test_both_streams_are_read_at_once(rig: Rig) -> None:
    """A command that fills one stream while the other is open does not hang."""
    said = await rig.shell("head -c 500000 /dev/zero >&2; head -c 500000 /dev/zero; echo done")
    assert "done" in said


async def test_input_that_nobody_reads_does_not_hang(rig: Rig) -> None:
    """A program may ignore its standard input, however long."""
    result = await rig.call("python.run", code="import os; os._exit(0)\n" + "#" * 1_000_000)
    assert result.text.startswith("exit code: 0")


async def test_time_out_ends_all_that_the_command_started(rig: Rig) -> None:
    """Children that left the session, the parent or the process group end with their command."""
    said = await rig.shell(
        "setsid sleep 1000 & (setsid sh -c 'sleep 1001 & sleep 1002' &) ;"
        "python3 -c 'import os, time\nif os.fork() == 0:\n os.setsid()\n if os.fork() == 0:\n  time.sleep(1003)' ; sleep 1004",
        seconds=1,
    )
    assert said.startswith("killed after 1 s")
    left = await rig.shell(
        "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -o 'sleep[ (]100[0-9]' | sort -u"
    )
    assert left == "exit code: 0"


async def test_time_out_cannot_be_resisted(rig: Rig) -> None:
    """Processes that ignore signals and kill whatever appears beside them end all the same."""
    code = (
        "import os, signal\n"
        "for number in range(1, 32):\n"
        "    if number not in (9, 19): signal.signal(number, signal.SIG_IGN)\n"
        "if os.fork() == 0: os.setsid()\n"
        "while True:\n"
        "    for pid in (int(n) for n in os.listdir('/proc') if n.isdigit()):\n"
        "        if pid not in (os.getpid(), os.getppid(), 1) and open(f'/proc/{pid}/cmdline').read() == '':\n"
        "            try: os.kill(pid, 9)\n"
        "            except OSError: pass\n"
    )
    assert (await rig.python(code, seconds=1)).startswith("killed after 1 s")
    said = await rig.python(
        "import os; print([n for n in os.listdir('/proc') if n.isdigit()"
        " and open(f'/proc/{n}/comm').read() != 'strace\\n'].__len__())"
    )
    assert said.strip() == "2"


async def test_daemon_does_not_hold_the_call(rig: Rig) -> None:
    """A process left running in the background, with the output open, does not delay the answer."""
    assert "begun" in await rig.shell("sleep 600 & echo begun")


async def test_size_of_the_folders_is_bounded(opener: Opener) -> None:
    """Each writable folder holds so many bytes and no more."""
    rig = await opener(bounds=Bounds(tmpfs_bytes=4 * MIB))
    for folder in ("/work", "/tmp"):
        said = await rig.shell(
            f"head -c 8000000 /dev/zero > {folder}/big; wc -c < {folder}/big; rm {folder}/big"
        )
        assert "No space left" in said
        assert int(said.split("\n")[2]) <= 4 * MIB


async def test_number_of_files_is_bounded(opener: Opener) -> None:
    """Each writable folder holds so many files and no more."""
    rig = await opener(bounds=Bounds(tmpfs_inodes=200))
    if rig.backend.name == "gvisor":  # its tmpfs counts bytes only; the cgroup bounds the rest
        found = rig.container.audit.controls["space_work"].actual
        assert found.endswith("inodes not bounded")
        return
    for folder in ("/work", "/tmp"):
        said = await rig.python(
            f"import os\nn = 0\ntry:\n while n < 1000: open(f'{folder}/f{{n}}', 'w').close(); n += 1\n"
            "except OSError as error: print(n, error.strerror)"
        )
        assert int(said.split()[0]) < 200
        assert "No space left" in said


async def test_size_of_a_file_is_bounded(opener: Opener) -> None:
    """No file grows beyond its limit, not even one that is sparse."""
    rig = await opener(bounds=Bounds(file_bytes=MIB))
    said = await rig.shell(
        "(head -c 3000000 /dev/zero > f); (truncate -s 2M g); for i in f g; do echo $i $(wc -c < $i); done"
    )
    sizes = [int(size) for size in re.findall(r"^[fg] (\d+)$", said, re.MULTILINE)]
    assert sizes
    assert all(size <= MIB for size in sizes)


async def test_number_of_open_files_is_bounded(opener: Opener) -> None:
    """A process holds so many files open and no more."""
    rig = await opener(bounds=Bounds(files=64))
    said = await rig.python(
        "import os\nn = 0\ntry:\n while True: os.dup(0); n += 1\nexcept OSError: print(n)"
    )
    assert int(said) <= 64


@pytest.mark.parametrize(
    "bomb",
    [
        "b() { b | b & }; b; sleep 30",
        "python3 -c 'import os\nwhile True:\n try:\n  if os.fork() == 0: os.setsid()\n except OSError: pass' & sleep 30",
    ],
)
async def test_fork_bomb_is_contained(opener: Opener, bomb: str) -> None:
    """A fork bomb is ended with its command; one that outlives it harms the agent's commands only."""
    rig = await opener(bounds=Bounds(processes=40))
    result = await rig.call("shell.run", command=bomb, timeout_seconds=1)
    after = await rig.shell("echo fine")
    assert after.endswith("fine") or not result.text.startswith("killed")
    assert (await rig.call("files.read", path="readme.txt")).text == "hello\n"


async def test_processes_left_behind_do_not_break_the_guest(opener: Opener) -> None:
    """An agent that fills its share with background processes harms only its own commands."""
    rig = await opener(bounds=Bounds(processes=20))
    await rig.shell("for i in $(seq 60); do sleep 300 & done 2>/dev/null", seconds=3)
    for _ in range(60):
        result = await rig.shell_result("true | true")
        assert result.status == "ok"
    assert (await rig.call("files.read", path="readme.txt")).text == "hello\n"


async def test_many_containers_do_not_share_the_bound_on_processes(opener: Opener) -> None:
    """The bound holds for each container by itself: users of the host and other runs do not count."""
    one, two = [await opener(run_id=name, bounds=Bounds(processes=40)) for name in ("one", "two")]
    await one.shell("for i in $(seq 30); do sleep 100 & done")
    said = await two.shell(
        "for i in $(seq 30); do sleep 100 & done; echo all; echo /proc/[0-9]* | wc -w"
    )
    assert said.split("\n")[2] == "all"
    assert int(said.split("\n")[3]) >= 30


async def test_memory_of_a_command_is_bounded(opener: Opener) -> None:
    """A command that takes too much is ended; the answer is not that of a time-out."""
    rig = await opener(bounds=Bounds(memory_bytes=128 * MIB))
    said = await rig.python("x = bytearray()\nwhile True: x += b'1' * 2**20", seconds=20)
    assert not said.startswith("killed after")
    assert "exit code: 0" not in said
    assert (await rig.shell("echo fine")).endswith("fine")


async def test_memory_of_many_processes_is_bounded(opener: Opener) -> None:
    """Many small processes together cannot take the guest down where a cgroup bounds them.

    With gVisor the cgroup holds its kernel, one process of the host: the container ends, and says why.
    """
    rig = await opener(bounds=Bounds(memory_bytes=128 * MIB))
    if not rig.container.audit.controls["memory"].actual.startswith("cgroup"):
        pytest.skip("no cgroup can be made here: memory is bounded in each process only")
    code = "import os, time\nfor _ in range(60):\n if os.fork() == 0:\n  x = b'1' * (4 * 2**20); time.sleep(1); os._exit(0)\ntime.sleep(1)"
    if rig.backend.name == "gvisor":
        with pytest.raises(IsolationError, match="free memory"):
            await rig.python(code, seconds=8)
        return
    await rig.python(code, seconds=8)
    assert (await rig.shell("echo fine")).endswith("fine")


async def test_memory_of_the_guest_is_bounded(opener: Opener) -> None:
    """A tool that takes too much is a fault, or a container that ended for lack of memory."""
    rig = await opener(bounds=Bounds(memory_bytes=128 * MIB))
    said = ""
    try:
        result = await rig.call("probe.fill", size=1024)
        said = f"{result.status}: {result.text}"
    except GuestTimeout:
        pytest.fail("a lack of memory is told as a time-out")
    except IsolationError as error:
        said = str(error)
    assert "free memory" in said or said.startswith("fault: the tool failed: MemoryError")


async def test_time_out_after_a_lack_of_memory_is_still_a_time_out(opener: Opener) -> None:
    """A command that ran out of memory earlier does not change what a later time-out is called."""
    rig = await opener(bounds=Bounds(memory_bytes=128 * MIB))
    await rig.python("x = bytearray()\nwhile True: x += b'1' * 2**20")
    with pytest.raises(GuestTimeout):
        await rig.call("probe.wait", timeout=0.3, seconds=30)


async def test_processor_time_is_bounded(opener: Opener) -> None:
    """A process ends when its processor time is used up, whatever its command's time-out."""
    rig = await opener(bounds=Bounds(cpu_seconds=1))
    said = await rig.python("while True: pass", seconds=20)
    assert not said.startswith("killed after")
    assert "exit code: -" in said
