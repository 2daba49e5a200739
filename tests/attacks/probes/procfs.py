"""What /proc and /sys would give away or let one change."""

from __future__ import annotations

from tests.support.attacks.probe import Differs, Probe, Record, python

_CLOSED = ("EROFS", "EACCES", "EPERM", "ENOENT")


def _written(name: str, tries: str, path: str, text: str = "1") -> Probe:
    return Probe(
        id=name,
        tries=tries,
        steps=(
            python(
                f"def write():\n with open({path!r}, 'w') as file: file.write({text!r})\n"
                "tell(write)"
            ),
        ),
        held=_CLOSED,
        record=(Record("file", "*", path),),
    )


_SHOWN = {
    "gvisor": Differs(
        ("allowed",),
        "Its /proc shows where the guest's memory lies and what the image gives it as environment, nothing of the host.",
    )
}


def _read(name: str, tries: str, path: str, differs: dict[str, Differs] | None = None) -> Probe:
    return Probe(
        id=name,
        tries=tries,
        steps=(python(f"tell(lambda: open({path!r}, 'rb').read(64))"),),
        held=_CLOSED,
        differs=differs or {},
        record=(Record("file", "read", path),),
    )


PROBES = (
    _written(
        "core-pattern",
        "have the kernel start a program on the host at a crash",
        "/proc/sys/kernel/core_pattern",
        "|/work/own",
    ),
    _written(
        "modprobe",
        "have the kernel start another program to load modules",
        "/proc/sys/kernel/modprobe",
        "/work/own",
    ),
    _written("sysrq", "crash the machine", "/proc/sysrq-trigger", "c"),
    _written("sysctl", "open user namespaces again", "/proc/sys/user/max_user_namespaces", "1000"),
    _written(
        "oom-of-the-guest",
        "have the kernel kill the guest when memory runs out",
        "/proc/1/oom_score_adj",
        "1000",
    ),
    _written(
        "release-agent",
        "have the kernel start a program when a cgroup empties",
        "/sys/fs/cgroup/memory/release_agent",
        "/work/own",
    ),
    _written(
        "uevent-helper",
        "have the kernel start a program for a device",
        "/sys/kernel/uevent_helper",
        "/work/own",
    ),
    _written("guest-memory-write", "write into the guest's memory", "/proc/1/mem"),
    _read("guest-environ", "read the guest's environment", "/proc/1/environ", _SHOWN),
    _read("guest-memory", "read the guest's memory", "/proc/1/mem"),
    _read("guest-maps", "read where the guest's memory is", "/proc/1/maps", _SHOWN),
    Probe(
        id="guest-descriptor",
        tries="open any descriptor of the guest but those of /dev/null",
        steps=(
            python(
                "said = {'EACCES'}\n"
                "for n in range(3, 64):\n"
                "    for way in (os.O_RDONLY, os.O_WRONLY):\n"
                "        try:\n                os.close(os.open(f'/proc/1/fd/{n}', way | os.O_NONBLOCK))\n                if os.readlink(f'/proc/1/fd/{n}') != '/dev/null': said.add(f'opened {n}')\n"
                "        except OSError as error: said.add(name(error))\n"
                "print(*sorted(said - {'ENOENT', 'ENXIO'}))"
            ),
        ),
        held=("EACCES",),
    ),
    _read("guest-root", "reach files by way of the guest's root", "/proc/1/root/etc/passwd"),
    Probe(
        id="guest-links",
        tries="learn the guest's program, folder and descriptors",
        steps=(
            python(
                "found = []\n"
                "for name in ('exe', 'cwd', 'root', 'fd/0', 'fd/3', 'ns/user'):\n"
                "    try: found.append(os.readlink('/proc/1/' + name).split(':')[0])\n"
                "    except OSError: pass\n"
                "print(found or 'EACCES')"
            ),
        ),
        held=("EACCES",),
        differs={
            "gvisor": Differs(
                ("['/dev/null', 'host', 'user']",),
                "Its /proc names what the guest has open; none of it can be opened.",
            )
        },
    ),
    Probe(
        id="own-program",
        tries="overwrite the program that it runs in, which the host shares",
        steps=(
            python(
                "tell(os.open, '/proc/self/exe', os.O_WRONLY)\n"
                "tell(os.open, os.path.realpath('/proc/self/exe'), os.O_RDWR | os.O_TRUNC)"
            ),
        ),
        held=("EROFS", "ETXTBSY", "EACCES"),
    ),
    Probe(
        id="kernel-addresses",
        tries="learn where the kernel lies",
        steps=(
            python(
                "try:\n"
                "    with open('/proc/kallsyms') as file: lines = [next(file, '0 ') for _ in range(200)]\n"
                "except OSError as error: print(name(error))\n"
                "else: print('allowed' if any(int(l.split()[0], 16) for l in lines) else 'zeros')"
            ),
        ),
        held=("zeros", *_CLOSED),
    ),
    Probe(
        id="kernel-memory",
        tries="read the kernel's memory and its log",
        steps=(
            python(
                "found = []\n"
                "for path in ('/proc/kcore', '/proc/kmsg', '/dev/kmsg', '/proc/timer_list', '/proc/sched_debug'):\n"
                "    try:\n"
                "        with open(path, 'rb') as file:\n"
                "            if file.read(1): found.append(path)\n"
                "    except OSError: pass\n"
                "print(found or 'nothing')"
            ),
        ),
        held=("nothing",),
    ),
    Probe(
        id="listed-keys",
        tries="list keys of others; an empty keyring of its own session is none",
        steps=(
            python(
                "try: lines = open('/proc/keys').read().splitlines()\n"
                "except OSError: lines = []\n"
                "print([l for l in lines if not l.endswith('keyring   _ses: empty')] or 'none')"
            ),
        ),
        held=("none",),
    ),
    Probe(
        id="kernel-settings",
        tries="write to anything at all below /proc/sys and /sys",
        steps=(
            python(
                "count = 0\n"
                "for top in ('/proc/sys', '/sys', '/proc/irq', '/proc/bus', '/proc/fs', '/proc/acpi', '/proc/scsi'):\n"
                "    for folder, _, names in os.walk(top):\n"
                "        for path in (os.path.join(folder, n) for n in names):\n"
                "            try:\n"
                "                handle = os.open(path, os.O_WRONLY | os.O_NONBLOCK)\n"
                "                os.write(handle, b'1'); count += 1; print(path)\n"
                "            except OSError: pass\n"
                "print('allowed' if count else 'none')",
                seconds=20,
            ),
        ),
        held=("none",),
    ),
    Probe(
        id="other-processes",
        tries="see processes of the host or of other runs",
        steps=(
            python(
                "numbers = [int(n) for n in os.listdir('/proc') if n.isdigit()]\n"
                "def uid(n):\n"
                "    try: return os.stat(f'/proc/{n}').st_uid\n"
                "    except OSError: return 1000\n"
                "own = {n for n in numbers if uid(n) == 1000}\n"
                "print('invisible' if max(numbers) < 100000 and len(set(numbers) - own) <= 4 else sorted(numbers))"
            ),
        ),
        held=("invisible",),
    ),
)
