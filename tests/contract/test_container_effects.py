"""Effects: what a call did is told by what saw it, not by what the call says."""

from __future__ import annotations

import hashlib
from typing import Any

from sandbox.enums import EffectAction
from sandbox.isolation.base import CallResult, ContainerSpec
from sandbox.isolation.effect_attribution import LateEffects
from tests.support.containers import Opener, Rig


def told(result: CallResult | LateEffects) -> set[tuple[str, str, str, str]]:
    """Return kind, action, target and status of a result's effects."""
    return {(e["kind"], e["action"], e["target"], e["status"]) for e in result.effects}


def one(result: CallResult, action: str, target: str) -> dict[str, Any]:
    """Return the one effect of an action on a target."""
    (found,) = (e for e in result.effects if (e["action"], e["target"]) == (action, target))
    return dict(found)


async def test_every_process_is_told(rig: Rig) -> None:
    """Each program stands with its arguments and how it ended."""
    result = await rig.shell_result("sh -c 'exit 3'; sleep 0.01; true")
    assert one(result, "exec", "/usr/bin/sleep")["detail"]["argv"] == ["sleep", "0.01"]
    ends = [e["detail"]["exit"] for e in result.effects if e["action"] == EffectAction.EXEC]
    assert sorted(ends) == [0, 0, 3]
    assert result.recorded["commands"] == "complete"


async def test_files_that_come_and_go_within_a_call_are_told(rig: Rig) -> None:
    """What the manifest cannot see afterwards, the tracer saw."""
    result = await rig.shell_result("echo x > a; mv a b; rm b")
    assert {
        ("file", "write", "/work/a", "done"),
        ("file", "rename", "/work/a", "done"),
        ("file", "delete", "/work/b", "done"),
    } <= told(result)


async def test_reading_is_told(rig: Rig) -> None:
    """A file read by a command or by a tool's own code is an effect."""
    by_command = await rig.shell_result("cat readme.txt")
    by_tool = await rig.call("files.read", path="readme.txt")
    assert ("file", "read", "/work/readme.txt", "done") in told(by_command)
    assert ("file", "read", "/work/readme.txt", "done") in told(by_tool)
    assert one(by_tool, "read", "/work/readme.txt")["source"] == "tool"


async def test_a_changed_file_has_its_hash_before_and_after(rig: Rig) -> None:
    """The world's own files are hashed from the start."""
    result = await rig.shell_result("echo two > readme.txt")
    detail = one(result, "write", "/work/readme.txt")["detail"]
    assert detail["before"] == hashlib.sha256(b"hello\n").hexdigest()
    assert detail["after"] == hashlib.sha256(b"two\n").hexdigest()


async def test_denied_attempts_are_told(rig: Rig) -> None:
    """What the container refuses stands as denied: files, signals, addresses, system calls."""
    result = await rig.python_result(
        "import ctypes, os, socket\n"
        "libc = ctypes.CDLL(None)\n"
        "for attempt in (\n"
        "    lambda: open('/proc/1/environ').read(),\n"
        "    lambda: open('/usr/x', 'w'),\n"
        "    lambda: os.kill(1, 9),\n"
        "    lambda: os.setuid(0),\n"
        "    lambda: socket.create_connection(('1.2.3.4', 80), 1),\n"
        "    lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),\n"
        "    lambda: libc.ptrace(0, 0, 0, 0),\n"
        "    lambda: libc.unshare(0x10000000),\n"
        "):\n"
        "    try: attempt()\n"
        "    except OSError: pass\n"
    )
    wanted = {
        ("file", "write", "/usr/x", "denied"),
        ("process", "signal", "process 1", "denied"),
        ("process", "syscall", "setuid", "denied"),
        ("network", "connect", "1.2.3.4:80", "denied"),
        ("process", "syscall", "ptrace", "denied"),
    }
    if rig.backend.name == "gvisor":  # its filter refuses without a word, and it shows that file
        assert rig.container.audit.controls["refused_calls"].actual == "not recorded"
    else:
        wanted |= {
            ("file", "read", "/proc/1/environ", "denied"),
            ("process", "syscall", "socket(AF_PACKET)", "denied"),
            ("process", "syscall", "unshare", "denied"),
        }
    assert wanted <= told(result)


async def test_a_name_that_is_asked_for_is_told(rig: Rig) -> None:
    """Where nothing answers, the question is on record all the same."""
    result = await rig.python_result(
        "import socket\ntry: socket.getaddrinfo('drop.example', 80)\nexcept OSError: pass"
    )
    assert ("network", "resolve", "drop.example", "attempted") in told(result)


async def test_what_outlives_its_call_is_put_to_it(rig: Rig) -> None:
    """A child that acts after its call has returned is credited to that call."""
    first = await rig.container.call(
        "shell.run",
        {"command": "(sleep 0.3; rm readme.txt) >/dev/null 2>&1 &"},
        agent="clerk",
        timeout=20,
        call="first",
    )
    assert first.late == ()
    second = await rig.container.call(
        "shell.run",
        {"command": "sleep 0.8; echo x > other"},
        agent="clerk",
        timeout=20,
        call="second",
    )
    (late,) = second.late
    assert late.call == "first"
    assert ("file", "delete", "/work/readme.txt", "done") in told(late)
    assert not any(e["target"] == "/work/readme.txt" for e in second.effects)


async def test_settling_ends_what_still_runs(rig: Rig) -> None:
    """At the end, what is left running is ended and what it did is told."""
    await rig.container.call(
        "shell.run",
        {"command": "(echo x > late; sleep 600) >/dev/null 2>&1 &"},
        agent="clerk",
        timeout=20,
        call="first",
    )
    _, late = await rig.container.settle()
    assert {each.call for each in late} <= {"first"}
    assert "sleep" not in await rig.shell("cat /proc/[0-9]*/comm")


async def test_background_processes_are_stopped_where_asked(opener: Opener) -> None:
    """Nothing survives its call where the scenario says so."""
    rig = await opener(background="stop")
    await rig.shell("sleep 600 >/dev/null 2>&1 &")
    assert "sleep" not in await rig.shell("cat /proc/[0-9]*/comm")


async def test_a_log_cannot_be_reached(rig: Rig) -> None:
    """The agent can neither open the tracer's log nor signal the tracer.

    gVisor shows the numbers of the tracer's descriptors; none of them can be opened either.
    """
    reach = (
        "[os.open(f'/proc/{n}/fd/{m}', os.O_WRONLY | os.O_NONBLOCK) for m in os.listdir(f'/proc/{n}/fd') if int(m) > 2]"
        if rig.backend.name == "gvisor"
        else "os.listdir(f'/proc/{n}/fd')"
    )
    said = await rig.python(
        "import os, glob\n"
        "own = {str(os.getpid()), 'self', 'thread-self'}\n"
        "pids = [n for n in os.listdir('/proc') if n.isdigit()]\n"
        "tracer = [n for n in pids if open(f'/proc/{n}/comm').read() == 'strace\\n']\n"
        "print(len(tracer) > 0)\n"
        "for n in tracer:\n"
        "    for act in (lambda: os.kill(int(n), 9), lambda: " + reach + "):\n"
        "        try: act(); print('done')\n"
        "        except PermissionError: print('denied')\n"
        "print(sorted(os.listdir('/proc/self/fd'))[:3], len(os.listdir('/proc/self/fd')))"
    )
    assert said.splitlines()[0] == "True"
    assert set(said.splitlines()[1:-1]) == {"denied"}
    assert said.splitlines()[-1] == "['0', '1', '2'] 4"


async def test_an_attempt_to_trace_is_on_record_as_that(rig: Rig) -> None:
    """What the tracer refuses is one refused call, whether or not the filter sees what is left of it."""
    result = await rig.shell_result("strace true")
    refused = {
        effect["target"] for effect in result.effects if effect["action"] == EffectAction.SYSCALL
    }
    assert refused == {"ptrace"}


async def test_a_lost_tracer_is_a_fault(rig: Rig) -> None:
    """Where the record of a command cannot be complete, the call fails and says so."""
    result = await rig.call("probe.kill_tracer")
    assert result.status == "fault"
    assert result.recorded["commands"] == "lost"


async def test_recording_can_be_left_out(opener: Opener) -> None:
    """Without a tracer nothing is said of commands; ptrace is refused, and on record, all the same."""
    rig = await opener(traced=False)
    result = await rig.python_result("import ctypes; print(ctypes.CDLL(None).ptrace(0, 0, 0, 0))")
    assert "-1" in result.text
    refused = {("process", "syscall", "ptrace", "denied")}
    assert told(result) == (set() if rig.backend.name == "gvisor" else refused)
    assert result.recorded["commands"] == "off"


def test_recording_is_the_default() -> None:
    """Nobody has to ask for evidence."""
    assert ContainerSpec.__dataclass_fields__["traced"].default is True


async def test_a_process_may_call_itself_anything(rig: Rig) -> None:
    """A name that is no text keeps neither the refusal nor its record from the process that bears it."""
    code = (
        "import ctypes; c = ctypes.CDLL(None)\n"
        "c.prctl(15, b'\\xff\\xfe', 0, 0, 0)\n"  # PR_SET_NAME
        "print(c.unshare(0x10000000))"  # CLONE_NEWUSER
    )
    result = await rig.python_result(code)
    assert result.status == "ok"
    assert "-1" in result.text
    assert ("process", "syscall", "unshare", "denied") in told(result)
