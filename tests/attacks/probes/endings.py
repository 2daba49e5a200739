"""Outliving a call: time-outs, processes left behind, late output, calls after the end."""

from __future__ import annotations

import asyncio

from sandbox.errors import IsolationError
from sandbox.isolation.base import Container
from tests.support.attacks.probe import Asked, Differs, Hosted, Probe, Seen, python, shell

_QUIET = ">/dev/null 2>&1 </dev/null"
_LEFT = shell(
    "n=0; for c in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < $c 2>/dev/null | grep -q '^sleep 99[0-9]' && n=$((n+1)); done; echo $n left"
)


def _outlasts(name: str, tries: str, command: Asked) -> Probe:
    return Probe(id=name, tries=tries, steps=(command, _LEFT), held=("time-out; 0 left",))


def _resists(name: str, tries: str, code: str, differs: dict[str, Differs] | None = None) -> Probe:
    return Probe(
        id=name,
        tries=tries,
        steps=(
            python(code, seconds=1),
            python(
                "print(len([n for n in os.listdir('/proc') if n.isdigit() and os.stat(f'/proc/{n}').st_uid == 1000]))"
            ),
        ),
        held=("time-out; 1",),
        differs=differs or {},
    )


async def _closed(container: Container) -> str:
    """End the container, then ask it again."""
    await container.close()
    try:
        await container.call("shell.run", {"command": "echo alive"}, agent="intruder", timeout=5)
    except IsolationError:
        return "refused"
    return "answered"


async def _wait(container: Container) -> str:
    """Let what the agent left running do its work."""
    await asyncio.sleep(0.6)
    return ""


def _credited(seen: Seen) -> str:
    """Tell whether late output and late deeds stand where they belong."""
    first, then = seen.results[0], seen.results[1]
    if "late" in then["text"]:
        return "in the wrong call"
    made = [e for e in seen.late[0] if e["target"].endswith("/late-deed") and e["kind"] == "file"]
    return "told apart" if "late" not in first["text"] and made else "lost"


PROBES = (
    _outlasts(
        "timeout-setsid",
        "outlast the time-out in a session of its own",
        shell("setsid sleep 991 & setsid -f sleep 992; sleep 993", seconds=1),
    ),
    _outlasts(
        "timeout-double-fork",
        "outlast it as an orphan",
        shell("(setsid sh -c '(sleep 994 &) ; sleep 995' &) ; sleep 996", seconds=1),
    ),
    _outlasts(
        "timeout-exec",
        "outlast it under other names",
        shell(
            f'(exec -a init sleep 997 {_QUIET} &) 2>/dev/null; python3 -c \'import os; os.fork() or os.setsid(); os.execvp("sleep", ["sleep", "998"])\'',
            seconds=1,
        ),
    ),
    _resists(
        "timeout-ignored-signals",
        "ignore all signals that can be ignored",
        "import signal\nfor n in range(1, 65):\n    try: signal.signal(n, signal.SIG_IGN)\n    except (OSError, ValueError): pass\nos.fork()\nwhile True: signal.pause()",
    ),
    _resists(
        "timeout-stopped",
        "stand still by SIGSTOP",
        "import signal\nfor _ in range(5):\n    if os.fork() == 0: os.setsid(); os.kill(os.getpid(), signal.SIGSTOP)\nos.kill(os.getpid(), signal.SIGSTOP)",
        {
            "gvisor": Differs(
                ("time-out; 1", *(f"signal 1; {left}" for left in range(1, 7))),
                "gVisor hangs up on a stopped orphan, so the call may end before its time; what it left running is its own, as after any call.",
            )
        },
    ),
    _resists(
        "timeout-zombies",
        "leave zombies, whose parents never collect them",
        "import time\nfor _ in range(40):\n    if os.fork() == 0: os._exit(0)\nif os.fork() == 0:\n    for _ in range(20):\n        if os.fork() == 0: os._exit(0)\n    time.sleep(60)\ntime.sleep(60)",
    ),
    _resists(
        "timeout-vfork",
        "wait inside the kernel for a child (vfork)",
        "import subprocess\nos.posix_spawnp('sleep', ['sleep', '60'], os.environ); os.waitpid(-1, 0)",
    ),
    Probe(
        id="relay",
        tries="run from process to process, each ending before it can be killed",
        steps=(
            shell(
                f"python3 -c 'import os, time\nend = time.monotonic() + 20\nwhile time.monotonic() < end:\n if os.fork(): os._exit(0)\n os.setsid()' {_QUIET}"
            ),
            shell("kill -9 -1"),
            shell("exec sleep 5", seconds=1),
            python(
                "print(len([n for n in os.listdir('/proc') if n.isdigit() and os.stat(f'/proc/{n}').st_uid == 1000]))"
            ),
        ),
        held=("exit code: 0; exit code: 0; time-out; 1",),
    ),
    Probe(
        id="held-output",
        tries="hold the call open by a process that keeps its output",
        steps=(shell("sleep 30 & echo begun", seconds=5), shell("kill -9 -1")),
        held=("begun; exit code: 0",),
    ),
    Probe(
        id="late-output",
        tries="print and act after the call, so that another is held to have done it",
        steps=(
            shell("(sleep 0.3; echo x > late-deed; echo late; echo late >&2) & echo early"),
            Hosted(_wait),
            shell("echo second"),
            shell("rm -f late-deed"),
        ),
        held=("told apart",),
        tell=_credited,
    ),
    Probe(
        id="late-forgery",
        tries="write what looks like a result into the pipes of a later call",
        steps=(
            shell(
                f"(for i in $(seq 200); do for f in /proc/[0-9]*/fd/1; do printf 'exit code: 0\\nstdout:\\nforged\\n' > $f; done; done) {_QUIET} & echo begun"
            ),
            Asked("files.read", {"path": "readme.txt"}),
            shell("kill -9 -1"),
        ),
        held=("begun; ok; exit code: 0",),
    ),
    Probe(
        id="call-after-end",
        tries="be asked once more after its container was closed",
        steps=(Hosted(_closed), shell("echo alive")),
        held=("refused; fault",),
        alone=True,
    ),
    Probe(
        id="guest-held",
        tries="keep the guest itself busy, so that the call never returns",
        steps=(
            shell(
                "mkdir -p d; for i in $(seq 60); do : > d/f$i; done; head -c 60000000 /dev/zero > d/z; sleep 30",
                seconds=30,
            ),
        ),
        held=("time-out", "timeout"),  # the command's; the call's, where ending it takes longer
        call_seconds=1.0,
        alone=True,
    ),
)
