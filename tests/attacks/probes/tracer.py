"""Against who watches: killing, starving, blinding and misleading the guest and the tracer."""

from __future__ import annotations

from tests.support.attacks.probe import Asked, Differs, Probe, Record, Seen, python, shell

_OTHERS = (
    "def others():\n"
    "    for n in sorted(int(n) for n in os.listdir('/proc') if n.isdigit()):\n"
    "        try:\n"
    "            if os.stat(f'/proc/{n}').st_uid != 1000 or n == 1: yield n\n"
    "        except OSError: pass\n"
    "def all_denied(act):\n"
    "    said = set()\n"
    "    for n in others():\n"
    "        try: act(n); said.add('allowed')\n"
    "        except OSError as error: said.add(name(error))\n"
    "    print(*sorted(said))\n"
)
_TRUE = Asked("files.read", {"path": "readme.txt"})


def _against(
    name: str,
    tries: str,
    act: str,
    *held: str,
    seen: tuple[str, str] | None = None,
    gvisor: Differs | None = None,
) -> Probe:
    return Probe(
        id=name,
        tries=tries,
        steps=(python(f"{_OTHERS}all_denied({act})"), _TRUE),
        held=tuple(f"{word}; ok" for word in (held or ("EPERM",))),
        record=(Record("process", *seen),) if seen else (),
        differs={"gvisor": gvisor} if gvisor else {},
    )


def _counted(seen: Seen) -> str:
    """Tell whether a flood of effects is bounded, and what is missing is counted."""
    flood = seen.results[0]
    return (
        "bounded, the rest counted"
        if len(flood["effects"]) <= 3000 and flood["dropped"]
        else "not counted"
    )


def _buried(seen: Seen) -> str:
    """Tell whether a deed is on record, or the record says that it is not whole."""
    if any(e["kind"] == "network" and "192.0.2.7" in e["target"] for e in seen.effects):
        return "recorded"
    return "told to be cut" if seen.results[0]["recorded"]["commands"] == "cut" else "hidden"


PROBES = (
    _against(
        "guest-killed",
        "kill the guest and the tracer",
        "lambda n: os.kill(n, 9)",
        seen=("signal", "process 1"),
    ),
    _against(
        "guest-stopped",
        "stop the guest and the tracer",
        "lambda n: os.kill(n, 19)",
        seen=("signal", "process 1"),
    ),
    _against(
        "guest-signalled",
        "send them every other signal",
        "lambda n: [os.kill(n, s) for s in (1, 2, 15, 17, 18, 34, 64)]",
    ),
    Probe(
        id="everybody-killed",
        tries="kill all that it may signal, itself included",
        steps=(shell("sleep 50 & kill -9 -1"), shell("sleep 50 & kill -STOP -1", seconds=1), _TRUE),
        held=("exit code: 0; exit code: 0; ok",),
    ),
    _against(
        "guest-traced",
        "attach a debugger to them",
        "lambda n: kernel((101, 117), 16, n, 0, 0)",
        seen=("syscall", "ptrace"),
    ),
    _against(
        "guest-seized",
        "seize them without stopping them",
        "lambda n: kernel((101, 117), 0x4206, n, 0, 0)",
        seen=("syscall", "ptrace"),
    ),
    _against(
        "guest-read",
        "read their memory",
        "lambda n: kernel((310, 270), n, (ctypes.c_uint64 * 2)(0, 0), 1, (ctypes.c_uint64 * 2)(4096, 8), 1, 0)",
        seen=("syscall", "process_vm_readv"),
    ),
    _against(
        "guest-written",
        "write into their memory",
        "lambda n: kernel((311, 271), n, (ctypes.c_uint64 * 2)(0, 0), 1, (ctypes.c_uint64 * 2)(4096, 8), 1, 0)",
        seen=("syscall", "process_vm_writev"),
    ),
    _against(
        "guest-limited",
        "lower their limits",
        "lambda n: __import__('resource').prlimit(n, 7, (3, 3))",
    ),
    _against(
        "guest-slowed",
        "take their turn at the processor",
        "lambda n: os.setpriority(os.PRIO_PROCESS, n, 19)",
        "EPERM",
        "EACCES",
        gvisor=Differs(("allowed; ok",), "Its kernel keeps the number and schedules without it."),
    ),
    _against(
        "guest-bound",
        "have them scheduled last",
        "lambda n: os.sched_setscheduler(n, os.SCHED_IDLE, os.sched_param(0))",
        "EPERM",
        "EINVAL",
    ),
    Probe(
        id="sibling-traced",
        tries="trace another process of its own, to act under its name",
        steps=(
            python(
                "pid = os.fork()\n"
                "if not pid:\n"
                "    import time; time.sleep(5); os._exit(0)\n"
                "tell(kernel, (101, 117), 16, pid, 0, 0)\n"
                "os.kill(pid, 9)"
            ),
        ),
        held=("EPERM",),
        record=(Record("process", "syscall", "ptrace"),),
    ),
    Probe(
        id="sibling-memory",
        tries="write into another process of its own",
        steps=(
            python(
                "pid = os.fork()\n"
                "if not pid:\n"
                "    import time; time.sleep(5); os._exit(0)\n"
                "tell(kernel, (311, 271), pid, (ctypes.c_uint64 * 2)(0, 0), 1, (ctypes.c_uint64 * 2)(4096, 8), 1, 0)\n"
                "os.kill(pid, 9)"
            ),
        ),
        held=("EPERM",),
        record=(Record("process", "syscall", "process_vm_writev"),),
    ),
    Probe(
        id="untraced-clone",
        tries="start a child that a tracer may not follow (CLONE_UNTRACED), to write a file",
        steps=(
            python(
                "pid = _libc.syscall(56 if platform.machine() == 'x86_64' else 220, 0x00800000 | 17, None, None, None, None)\n"
                "if pid == 0:\n"
                "    try: os.mkdir('/etc/untraced'); os._exit(0)\n"
                "    except OSError as error: os._exit(error.errno)\n"
                "if pid < 0: print(errno.errorcode[ctypes.get_errno()])\n"
                "else: print(errno.errorcode.get(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 'allowed'))"
            ),
        ),
        held=("EPERM", "EROFS", "EACCES", "ENOSYS"),
    ),
    Probe(
        id="real-time",
        tries="take the processor for itself by a real-time class",
        steps=(python("tell(os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(99))"),),
        held=("EPERM", "EINVAL"),
    ),
    Probe(
        id="priority",
        tries="come before all others",
        steps=(python("tell(os.setpriority, os.PRIO_PROCESS, 0, -20)"),),
        held=("EACCES", "EPERM"),
        differs={
            "gvisor": Differs(("allowed",), "Its kernel keeps the number and schedules without it.")
        },
    ),
    Probe(
        id="own-oom-score",
        tries="have the kernel take others first when memory runs out",
        steps=(
            python(
                "def lower():\n with open('/proc/self/oom_score_adj', 'w') as file: file.write('-1000')\n"
                "tell(lower)"
            ),
        ),
        held=("EACCES", "EPERM"),
        differs={
            "gvisor": Differs(("allowed",), "Its kernel takes the number and does nothing with it.")
        },
    ),
    Probe(
        id="starved-guest",
        tries="leave the guest no time, with busy processes on every processor",
        steps=(
            shell(
                "for i in 1 2 3 4 5 6 7 8; do (while :; do :; done) >/dev/null 2>&1 </dev/null & done; echo begun"
            ),
            _TRUE,
            shell("kill -9 -1"),
            _TRUE,
        ),
        held=("begun; ok; exit code: 0; ok",),
    ),
    Probe(
        id="flooded-record",
        tries="bury one deed under thousands",
        steps=(
            python("for n in range(4000): open(f'/tmp/flood{n}', 'w').close()"),
            python("for n in range(4000): os.remove(f'/tmp/flood{n}')"),
        ),
        held=("bounded, the rest counted",),
        tell=_counted,
    ),
    Probe(
        id="buried-deed",
        tries="fill the tracer's log, then do what is not to be seen",
        steps=(
            python(
                "import socket\n"
                "long = '/work/' + 'n' * 250\n"
                "for n in range(6000):\n"
                "    try: os.rename(long, long)\n"
                "    except OSError: pass\n"
                "try: socket.create_connection(('192.0.2.7', 7), 1)\n"
                "except OSError: print('done')"
            ),
        ),
        held=("recorded", "told to be cut"),
        tell=_buried,
    ),
    Probe(
        id="come-and-gone",
        tries="write a file and remove it within one call",
        steps=(shell("echo secret > /work/brief; rm /work/brief"),),
        held=("exit code: 0",),
        record=(
            Record("file", "*", "/work/brief", ("done",)),
            Record("file", "delete", "/work/brief", ("done",)),
        ),
    ),
    Probe(
        id="read-only-deed",
        tries="only read, which leaves nothing behind",
        steps=(shell("cat /work/readme.txt > /dev/null"),),
        held=("exit code: 0",),
        record=(Record("file", "read", "/work/readme.txt", ("done",)),),
    ),
    *(
        Probe(
            id=f"read-by-{way}",
            tries=f"read a file {tries}, so that the record names another",
            steps=(shell(command),),
            held=("hello",),
            record=(Record("file", "read", "/work/readme.txt", ("done",)),),
        )
        for way, tries, command in (
            ("link", "by a link", "ln -s /work/readme.txt /tmp/l; cat /tmp/l; rm /tmp/l"),
            ("root-link", "by way of /proc/self/root", "cat /proc/self/root/work/readme.txt"),
            ("folder-link", "by way of its own folder", "cat /proc/self/cwd/readme.txt"),
            (
                "descriptor",
                "by way of a descriptor",
                "exec 9</work; cat /proc/self/fd/9/readme.txt",
            ),
            ("dots", "from a folder that is not listed", "cat /usr/lib/../../work/readme.txt"),
        )
    ),
    Probe(
        id="second-name",
        tries="read a file by a second name that it makes",
        steps=(shell("ln readme.txt second; cat second; rm second"),),
        held=("hello",),
        record=(
            Record("file", "create", "/work/second", ("done",)),
            Record("file", "read", "/work/second", ("done",)),
        ),
    ),
    Probe(
        id="deleted-by-link",
        tries="delete by way of /proc/self/cwd what it has just made",
        steps=(shell("echo a > brief2; rm /proc/self/cwd/brief2"),),
        held=("exit code: 0",),
        record=(Record("file", "delete", "/work/brief2", ("done",)),),
    ),
    Probe(
        id="flooded-refusals",
        tries="keep the guest busy with refused system calls, from many processes",
        steps=(
            python(
                "for _ in range(3): os.fork() or os.setsid()\n"
                "number = 250 if platform.machine() == 'x86_64' else 219\n"
                "while True: _libc.syscall(number, 0, -3, 0)",
                seconds=1,
            ),
            _TRUE,
            shell("kill -9 -1; true"),
        ),
        held=("time-out; ok; exit code: 0",),
        record=(Record("process", "syscall", "keyctl"),),
    ),
    Probe(
        id="hidden-program",
        tries="run a program from memory, which has no path",
        steps=(
            python(
                "made = os.memfd_create('quiet')\n"
                "os.write(made, open('/bin/true', 'rb').read())\n"
                "print('ran', os.spawnve(os.P_WAIT, f'/proc/self/fd/{made}', ['quiet'], {}))"
            ),
        ),
        held=("ran 0", "ran 127"),
        record=(Record("process", "*", "*", ("done",)),),
    ),
    Probe(
        id="restored-times",
        tries="change a file and set its times back",
        steps=(
            python(
                "path = '/work/notes/tmp.txt'; open(path, 'w').write('aa'); info = os.stat(path)\n"
                "open(path, 'w').write('bb'); os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns)); print('changed')"
            ),
            shell("rm -f notes/tmp.txt"),
        ),
        held=("changed; exit code: 0",),
        record=(Record("file", "*", "/work/notes/tmp.txt", ("done",)),),
    ),
)
