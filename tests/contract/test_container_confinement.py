"""Confinement: what the agent's processes may not reach, ask the kernel for, or get to know."""

from __future__ import annotations

import errno
import json
import os

import pytest

from sandbox.enums import EffectAction
from sandbox.isolation import seccomp_profile
from sandbox.isolation.base import Backend
from sandbox.isolation.seccomp_profile import SystemCall
from tests.support.containers import Opener, Rig

_SYSCALLS = """
import ctypes, errno, json, platform
libc = ctypes.CDLL(None, use_errno=True)
x86 = platform.machine() == 'x86_64'
def call(*numbers_then_arguments):
    (a, b), *rest = numbers_then_arguments
    ctypes.set_errno(0)
    done = libc.syscall(a if x86 else b, *rest)
    return 'allowed' if done >= 0 else errno.errorcode.get(ctypes.get_errno(), '?')
"""

_DENIED = {
    "unshare(NEWUSER)": "(272, 97), 0x10000000",
    "unshare(NEWNET)": "(272, 97), 0x40000000",
    "setns": "(308, 268), 0, 0",
    "clone(NEWUSER)": "(56, 220), 0x10000011, 0, 0, 0, 0",
    "clone3": "(435, 435), 0, 0",
    "mount": "(165, 40), b'none', b'/tmp', b'tmpfs', 0, 0",
    "umount2": "(166, 39), b'/tmp', 2",
    "fsopen": "(430, 430), b'tmpfs', 0",
    "open_tree": "(428, 428), -100, b'/', 1",
    "pivot_root": "(155, 41), b'/tmp', b'/tmp'",
    "chroot": "(161, 51), b'/tmp'",
    "ptrace(TRACEME)": "(101, 117), 0, 0, 0, 0",
    "process_vm_readv": "(310, 270), 1, 0, 0, 0, 0, 0",
    "pidfd_getfd": "(438, 438), 0, 0, 0",
    "keyctl": "(250, 219), 0, -3, 0",
    "add_key": "(248, 217), b'user', b'a', b'b', 1, -3",
    "request_key": "(249, 218), b'user', b'a', 0, 0",
    "io_uring_setup": "(425, 425), 1, ctypes.create_string_buffer(120)",
    "userfaultfd": "(323, 282), 1",
    "bpf": "(321, 280), 0, 0, 0",
    "perf_event_open": "(298, 241), 0, 0, 0, 0, 0",
    "open_by_handle_at": "(304, 265), 0, 0, 0",
    "init_module": "(175, 105), 0, 0, 0",
    "kexec_load": "(246, 104), 0, 0, 0, 0",
    "syslog": "(103, 116), 3, 0, 0",
    "personality": "(135, 92), 0xffffffff",
    "socket(NETLINK)": "(41, 198), 16, 3, 0",
    "socket(PACKET)": "(41, 198), 17, 3, 0",
    "socket(VSOCK)": "(41, 198), 40, 1, 0",
    "socket(ALG)": "(41, 198), 38, 5, 0",
    "socket(raw)": "(41, 198), 2, 3, 1",
    "mknod(device)": "(259, 33), -100, b'/work/kmem', 0o20666, 0x102",
    "ioctl(TIOCSTI)": "(16, 29), 0, 0x5412, b'x'",
}


_NOT_FILTERED = {"uprobe"}
"""Calls that a kernel lets past every filter: they serve its own probes, and fail outside of those."""


async def test_no_network_interface_but_loopback(rig: Rig) -> None:
    """The only interface is lo, and there is no route."""
    said = await rig.shell(
        "tail -n +3 /proc/net/dev | cut -d: -f1; echo routes; tail -n +2 /proc/net/route"
    )
    assert said.split()[4:] == ["lo", "routes"]


async def test_nothing_can_be_connected_to(rig: Rig) -> None:
    """Connections fail at once: there is no way out, to the engine's bridge or a cloud's metadata."""
    said = await rig.python(
        "import socket\n"
        "for host in ('192.0.2.1', '8.8.8.8', '169.254.169.254', '172.17.0.1'):\n"
        "    try: socket.create_connection((host, 80), 2); print('connected', host)\n"
        "    except OSError as error: print('failed')"
    )
    assert said.split() == ["failed"] * 4


async def test_sockets_of_the_host_are_out_of_reach(rig: Rig) -> None:
    """Neither the engine's socket nor any abstract socket of the host is there."""
    said = await rig.python(
        "import os\nprint([p for p in ('/var/run/docker.sock', '/run/docker.sock', '/run/dbus') if os.path.exists(p)])\n"
        "print(len(open('/proc/net/unix').readlines()) - 1)"
    )
    assert said.splitlines()[:2] == ["[]", "0"]


async def test_root_is_read_only(rig: Rig) -> None:
    """All that the agent can write to is /work and /tmp."""
    said = await rig.python(
        "import os\n"
        "found = []\n"
        "for top, folders, files in os.walk('/'):\n"
        "    if top.startswith(('/proc', '/work', '/tmp')): folders.clear(); continue\n"
        "    for name in ['.'] + files:\n"
        "        path = os.path.join(top, name)\n"
        "        if os.access(path, os.W_OK) and not os.path.islink(path): found.append(path)\n"
        "print(sorted(p for p in found if not p.startswith('/dev/') or os.path.isdir(p) or os.path.isfile(p)))"
    )
    assert said.strip() == "[]"


async def test_devices_are_the_harmless_ones(rig: Rig) -> None:
    """No disk, no memory, no terminal of the host: only what every program expects.

    gVisor's own kernel also has FUSE, which leads nowhere without the right to mount.
    """
    said = await rig.python(
        "import os, stat\n"
        "for n in os.listdir('/dev'):\n"
        "    mode = os.lstat('/dev/' + n).st_mode\n"
        "    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode): print(n)"
    )
    usual = {"console", "full", "null", "random", "tty", "urandom", "zero"}
    assert set(said.split()) <= usual | ({"fuse"} if rig.backend.name == "gvisor" else set())


async def test_agent_has_its_own_uid_and_no_rights(rig: Rig) -> None:
    """Commands run as uid 1000 without capabilities, groups or a way to new privileges."""
    said = await rig.shell("id -u; id -G; grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status")
    lines = said.split("\n")[2:]
    assert lines[:2] == ["1000", "1000"]
    status = dict(line.split(":\t") for line in lines[2:])
    if rig.backend.name == "gvisor":  # its status tells of neither; the audit asked by prctl
        status |= {
            "CapAmb": "0" * 16,
            "NoNewPrivs": rig.container.audit.controls["no_new_privs"].actual,
        }
    assert {status[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Amb")} == {"0" * 16}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


async def test_setuid_programs_give_nothing(rig: Rig) -> None:
    """A setuid program runs with the agent's own rights, and none can be made root's."""
    said = await rig.shell(
        "cp /usr/bin/id own; chmod u+s own; ./own -u; find /usr -perm -4000 -name su -exec {} -c id ';' 2>&1"
    )
    assert said.split("\n")[2] == "1000"
    assert "uid=0" not in said


async def test_system_calls_are_denied(rig: Rig) -> None:
    """What opens other namespaces, the kernel or the guest is refused, not just without effect."""
    calls = "\n".join(f"print(call({arguments}))" for arguments in _DENIED.values())
    said = dict(zip(_DENIED, (await rig.python(f"{_SYSCALLS}{calls}")).split(), strict=True))
    assert {
        name: code for name, code in said.items() if code not in {"EPERM", "ENOSYS", "EACCES"}
    } == {}


async def test_every_call_that_the_list_refuses_is_refused(rig: Rig) -> None:
    """All that the list refuses, and numbers that no kernel knows: with its error, and on record."""
    machine = os.uname().machine
    refused = {n: c for n, c in seccomp_profile.by_number(machine).items() if c.error}
    refused |= {n: seccomp_profile.find(machine, n) for n in (500, 4095, 0x3FFFFFFF)}
    refused = {n: c for n, c in refused.items() if c.name not in _NOT_FILTERED}
    tried = {number: _refused_arguments(call) for number, call in refused.items()}
    result = await rig.python_result(
        f"{_SYSCALLS}for number, given in {tried}.items():\n"
        "    print(number, call((number, number), *map(ctypes.c_long, given)))"
    )
    found = dict(line.split() for line in result.text.splitlines()[2:])
    errors = {str(n): errno.errorcode[c.answer(tried[n])] for n, c in refused.items()}
    assert found == errors
    if rig.backend.name != "gvisor":  # its kernel has no seccomp user notification
        expected = {c.label(tried[n]) for n, c in refused.items() if not c.silent}
        assert {e["target"] for e in result.effects if e["status"] == "denied"} == expected


def _refused_arguments(call: SystemCall) -> tuple[int, ...]:
    """Return arguments with which a call is refused; to a kernel without a filter they make no sense."""
    if call.condition is None:
        return (-1,) * 6
    value = next(v for v in (0x10000000, 0x5412, 16, 0x2000) if call.answer((v,) * 6))
    return (value,) * 6


async def test_foreign_system_call_table_kills(rig: Rig) -> None:
    """The x32 table, whose numbers the filter does not list, is closed."""
    if os.uname().machine != "x86_64":
        pytest.skip("x32 is of x86_64")
    said = (await rig.python(f"{_SYSCALLS}print(call((0x40000000 + 101, 0), 0, 0, 0, 0))")).strip()
    assert said in ("ENOSYS", "exit code: -31")  # the engine's own filter ends it by SIGSYS


async def test_ordinary_programs_still_work(rig: Rig) -> None:
    """Threads, subprocesses, pipes, sockets on loopback and SQLite work under the filter."""
    said = await rig.python(
        "import socket, sqlite3, subprocess, threading\n"
        "t = threading.Thread(target=print, args=('thread',)); t.start(); t.join()\n"
        "print(subprocess.run('echo a | tr a b', shell=True, capture_output=True, text=True).stdout.strip())\n"
        "s = socket.create_server(('127.0.0.1', 0)); c = socket.create_connection(s.getsockname()); print('lo')\n"
        "print(sqlite3.connect('/work/x.db').execute('select 1').fetchone())"
    )
    assert said.split("\n")[:4] == ["thread", "b", "lo", "(1,)"]


_PYTHON = """
import asyncio, multiprocessing, subprocess, threading
def double(wire):
    wire.send(wire.recv() * 2)
async def main():
    await (await asyncio.create_subprocess_exec("true")).wait()
    await asyncio.to_thread(subprocess.run, ["true"], check=True)
if __name__ == "__main__":
    asyncio.run(main())
    for way in ("fork", "spawn"):
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context(way).Process(target=double, args=(theirs,))
        process.start()
        ours.send(2)
        assert ours.recv() == 4
        process.join()
"""
_PROGRAMS = {
    "git": "git init -q r && cd r && echo a >f && git add f && git -c user.name=a -c user.email=a@b commit -qm a"
    " && git gc -q && git clone -q . /tmp/clone && git log --oneline",
    "tar": "tar czf /tmp/a.tgz bin && tar xzf /tmp/a.tgz -C /tmp && cp -r /tmp/bin /tmp/copied && mv /tmp/copied /tmp/moved",
    "sqlite3": "sqlite3 x.db 'pragma journal_mode=wal; create table t(a); insert into t values (1); select * from t'",
    "curl": "curl -s file:///work/readme.txt",
    "gcc": "printf '#include <pthread.h>\\nvoid *f(void *p) { return p; }\\nint main() { pthread_t t;"
    " return pthread_create(&t, 0, f, 0) || pthread_join(t, 0); }' >a.c && gcc -pthread a.c -o a && ./a",
    "node": "node -e \"require('child_process').execSync('true'); new (require('worker_threads').Worker)('1', {eval: true})"
    ".on('exit', () => require('fs').promises.readFile('readme.txt').then(process.exit.bind(0, 0)))\"",
    "pip": "python3 -m venv --without-pip v && v/bin/python -c 'import sys' && python3 -m pip --version",
    "python3": f"cat >p.py <<'END'\n{_PYTHON}END\npython3 p.py",
}


@pytest.mark.parametrize("program", _PROGRAMS)
async def test_programs_of_agents_are_refused_nothing(rig: Rig, program: str) -> None:
    """What agents use day by day makes no call that the list refuses, so its record has none either."""
    name = "pip3" if program == "pip" else program
    if "exit code: 0" not in await rig.shell(f"command -v {name}"):
        pytest.skip(f"{rig.backend.name}: {name} is not in the container")
    result = await rig.shell_result(_PROGRAMS[program])
    assert result.text.startswith("exit code: 0\n") or result.text == "exit code: 0"
    assert [effect for effect in result.effects if effect["action"] == EffectAction.SYSCALL] == []


async def test_guest_cannot_be_signalled_or_traced(rig: Rig) -> None:
    """No signal of the agent's reaches process 1, and no debugger attaches to it."""
    said = await rig.python(
        "import os\nfor signal in (9, 15, 19, 0):\n"
        "    try: os.kill(1, signal); print('signalled')\n"
        "    except PermissionError: print('denied')\n"
        + _SYSCALLS
        + "print(call((101, 117), 16, 1, 0, 0))"
    )
    assert said.split() == ["denied"] * 4 + ["EPERM"]
    assert (await rig.call("probe.look")).status == "ok"


async def test_agent_cannot_end_the_guest_with_a_storm_of_signals(rig: Rig) -> None:
    """kill(-1) ends the agent's own processes only."""
    await rig.shell("kill -9 -1")
    assert (await rig.call("probe.look")).status == "ok"


async def test_guest_cannot_be_looked_into(rig: Rig) -> None:
    """Nothing of the guest's process can be read by the agent.

    gVisor shows the names of descriptors, addresses and the first environment, which holds what the
    image gives; memory and the pipes to the engine it keeps shut as Linux does.
    """
    said = await rig.python(
        "import os\n"
        "ways = {os.listdir: ['fd', 'map_files'], os.readlink: ['fd/0', 'root', 'cwd', 'exe'],\n"
        "        lambda path: open(path, 'rb').read(64): "
        "['environ', 'mem', 'maps', 'stack', 'syscall', 'io', 'auxv', 'pagemap', 'fd/0']}\n"
        "for read, names in ways.items():\n"
        "    for name in names:\n"
        "        try: read('/proc/1/' + name); print(name)\n"
        "        except (PermissionError, FileNotFoundError): pass\n"
        "print('end')"
    )
    shown = {"fd", "fd/0", "environ", "maps", "auxv"} if rig.backend.name == "gvisor" else set()
    assert set(said.split()) <= {"end", *shown}


async def test_pipes_to_the_engine_cannot_be_opened(rig: Rig) -> None:
    """No descriptor of the guest but /dev/null can be opened by way of /proc: no frame is forged."""
    said = await rig.python(
        "import os\n"
        "for number in range(64):\n"
        "    for flags in (os.O_RDONLY, os.O_WRONLY):\n"
        "        try: handle = os.open(f'/proc/1/fd/{number}', flags | os.O_NONBLOCK)\n"
        "        except OSError: continue\n"
        "        if os.fstat(handle).st_rdev != os.stat('/dev/null').st_rdev: print(number)\n"
        "print('end')"
    )
    assert said.strip() == "end"


async def test_commands_get_a_fixed_environment(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands see six variables, whatever the host's environment holds."""
    said = await rig.python("import json, os; print(json.dumps(dict(os.environ)))")
    assert json.loads(said) == {
        "HOME": "/work",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "USER": "agent",
        "TMPDIR": "/tmp",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


async def test_environment_of_the_host_stays_outside(
    opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key in the host's environment is in no process of the container."""
    monkeypatch.setenv("PROBE_API_KEY", "sk-of-the-host")
    rig = await opener()
    said = (await rig.call("probe.environment")).text
    said += await rig.shell(
        "env; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '"
    )
    assert "of-the-host" not in said
    assert "PROBE_API_KEY" not in said


async def test_files_of_the_host_stay_outside(rig: Rig) -> None:
    """Homes, the repository, secrets and the host's configuration are not there."""
    said = await rig.python(
        "import glob\n"
        "for pattern in ('root/*', 'home/*', 'etc/shadow', 'etc/ssh', 'etc/machine-id', 'run/*', 'var/run/*', 'work/*'):\n"
        "    print(*glob.glob('/' + pattern), sep='\\n')"
    )
    images = {"/etc/shadow", "/run/lock", "/var/run/lock", "/run/world", "/var/run/world"}
    assert set(said.split()) - images == {"/work/bin", "/work/readme.txt"}


async def test_commands_inherit_no_descriptor(rig: Rig) -> None:
    """A command starts with its three streams and nothing else."""
    said = await rig.python(
        "import os\nprint([(n, os.readlink(f'/proc/self/fd/{n}')[:4]) for n in os.listdir('/proc/self/fd') if int(n) < 3 or os.path.exists(f'/proc/self/fd/{n}')])"
    )
    assert said.strip() == "[('0', 'pipe'), ('1', 'pipe'), ('2', 'pipe')]"


async def test_other_processes_of_the_host_are_invisible(rig: Rig) -> None:
    """The process list holds the guest and the agent's own."""
    said = await rig.python(
        "import os; print(sorted(int(n) for n in os.listdir('/proc') if n.isdigit())[0], len([n for n in os.listdir('/proc') if n.isdigit()]))"
    )
    first, count = said.split()
    assert first == "1"
    assert int(count) <= 3


async def test_kernel_settings_cannot_be_changed(rig: Rig) -> None:
    """Nothing below /proc/sys or /sys can be written."""
    said = await rig.python(
        "import os\n"
        "for top, _, files in [*os.walk('/proc/sys'), *os.walk('/sys')]:\n"
        "    for path in (os.path.join(top, name) for name in files):\n"
        "        try:\n"
        "            handle = os.open(path, os.O_WRONLY | os.O_NONBLOCK)\n"
        "            os.write(handle, b'1'); print('wrote', path)\n"
        "        except OSError: pass\n"
        "print('end')"
    )
    assert said.strip() == "end"


async def test_containers_do_not_see_each_other(opener: Opener, backend: Backend) -> None:
    """Two containers share neither files nor sockets nor processes."""
    one, two = await opener(run_id="one"), await opener(run_id="two")
    await one.shell(
        "echo secret > /tmp/shared; (python3 -c \"import socket,time; s=socket.socket(socket.AF_UNIX); s.bind('\\0meet'); time.sleep(30)\" >/dev/null 2>&1 &)"
    )
    said = await two.shell("cat /tmp/shared; cat /proc/net/unix; ps aux 2>/dev/null | grep -c meet")
    assert "secret" not in said
    assert "@meet" not in said
