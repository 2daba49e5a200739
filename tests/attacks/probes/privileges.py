"""Ways to more rights: other users, setuid programs, file capabilities, files that others run."""

from __future__ import annotations

from tests.support.attacks.probe import Probe, Record, call, python, shell

_CLOSED = ("EROFS", "EACCES", "EPERM")


def _written(name: str, tries: str, path: str) -> Probe:
    return Probe(
        id=name,
        tries=tries,
        steps=(python(f"tell(os.open, {path!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)"),),
        held=_CLOSED,
        record=(Record("file", "*", path),),
    )


PROBES = (
    Probe(
        id="setuid",
        tries="become root",
        steps=(python("tell(os.setuid, 0)"),),
        held=("EPERM", "EINVAL"),
        record=(Record("process", "syscall", "setuid"),),
    ),
    Probe(
        id="setresuid",
        tries="become any user of the host",
        steps=(
            python(
                "held = 0\n"
                "for uid in (0, 1, 999, 1001, 65534, 2**31):\n"
                "    for change in (os.setresuid, os.setresgid):\n"
                "        try: change(uid, uid, uid); print(uid)\n"
                "        except OSError as error: held += error.errno in (errno.EPERM, errno.EINVAL)\n"
                "print('EPERM' if held == 12 else 'allowed')"
            ),
        ),
        held=("EPERM",),
        record=(Record("process", "syscall", "setresuid"),),
    ),
    Probe(
        id="groups",
        tries="join groups, such as the one that may use the engine",
        steps=(python("tell(os.setgroups, [0, 6, 999])"),),
        held=("EPERM",),
        record=(Record("process", "syscall", "setgroups"),),
    ),
    Probe(
        id="capabilities",
        tries="take capabilities, or find that it has some",
        steps=(
            python(
                "import struct\n"
                "status = dict(l.split()[:2] for l in open('/proc/self/status') if l.startswith('Cap'))\n"
                "assert {int(status.get(f'Cap{k}:', '0'), 16) for k in ('Inh', 'Prm', 'Eff', 'Amb')} == {0}, status\n"
                "head = struct.pack('=II', 0x20080522, 0)\n"
                "tell(kernel, (126, 91), head, struct.pack('=6I', *[0xffffffff] * 6))"
            ),
        ),
        held=("EPERM",),
        record=(Record("process", "syscall", "capset"),),
    ),
    Probe(
        id="setuid-programs",
        tries="use the setuid programs of the image",
        steps=(
            shell(
                "for p in $(find / -xdev -perm -4000 -type f 2>/dev/null); do "
                "case $p in */su|*/sudo|*/mount|*/newuidmap) $p -c id </dev/null;; esac; done 2>/dev/null | grep -c uid=0"
            ),
        ),
        held=("0",),
    ),
    Probe(
        id="own-setuid-program",
        tries="make a setuid program of its own",
        steps=(shell("cp /usr/bin/id own; chmod 6755 own; ./own -u; rm -f own"),),
        held=("1000",),
    ),
    Probe(
        id="chown-root",
        tries="give a setuid program to root",
        steps=(
            python(
                "open('/work/r', 'w').close(); tell(os.chown, '/work/r', 0, 0); os.remove('/work/r')"
            ),
        ),
        held=("EPERM", "EINVAL"),
    ),
    Probe(
        id="file-capabilities",
        tries="give a program of its own capabilities",
        steps=(
            python(
                "open('/work/c', 'w').close()\n"
                "value = b'\\x01\\0\\0\\2\\xff\\xff\\xff\\xff' + bytes(12)\n"
                "tell(os.setxattr, '/work/c', 'security.capability', value); os.remove('/work/c')"
            ),
        ),
        held=("EPERM", "ENOTSUP", "EOPNOTSUPP"),
    ),
    Probe(
        id="no-new-privileges",
        tries="switch off what keeps setuid programs from working",
        steps=(
            python(
                "done = _libc.prctl(38, 0, 0, 0, 0)\n"
                "print('EINVAL' if done else 'allowed', _libc.prctl(39, 0, 0, 0, 0))"
            ),
        ),
        held=("EINVAL 1",),
    ),
    _written("passwd", "add a user without a password", "/etc/passwd"),
    _written("preload", "have every program load a library of its own", "/etc/ld.so.preload"),
    _written(
        "python-library",
        "change Python's library, which the guest loads from",
        "/usr/lib/python3/dist-packages/own.pth",
    ),
    _written("path-program", "put a program where others look for theirs", "/usr/local/sh"),
    Probe(
        id="planted-modules",
        tries="have the guest load modules from the agent's folders",
        steps=(
            shell(
                "for d in /work /tmp; do for m in json hashlib difflib shutil traceback pathlib; do "
                'echo \'open("/tmp/taken", "w").close(); raise SystemExit(9)\' > $d/$m.py; done; done'
            ),
            # the guest suggests a name, moves, hashes, each with a module that it loads for it
            call("files.read", path="readm.txt"),
            call("files.move", source="notes/plan.txt", destination="notes/plans.txt"),
            python("print('taken' if os.path.exists('/tmp/taken') else 'ignored')"),
            shell("rm -f /work/*.py /tmp/*.py /tmp/taken"),
        ),
        held=("exit code: 0; error; ok; ignored; exit code: 0",),
    ),
    Probe(
        id="writable-places",
        tries="find anything outside /work and /tmp that it can write to",
        steps=(
            python(
                "found = []\n"
                "for top, folders, files in os.walk('/'):\n"
                "    if top in ('/proc', '/work', '/tmp', '/sys'): folders.clear(); continue\n"
                "    if top.count('/') > 2: folders.clear()\n"
                "    for n in ['.'] + files:\n"
                "        path = os.path.join(top, n)\n"
                "        if os.access(path, os.W_OK) and not os.path.islink(path): found.append(path)\n"
                "found = [p for p in found if not p.startswith('/dev/') or os.path.isdir(p) or os.path.isfile(p)]\n"
                "print(found[:5] or 'none')"
            ),
        ),
        held=("none",),
    ),
)
