"""Secrets of the host: environment, arguments, layers, logs, the trace, descriptors."""

from __future__ import annotations

from tests.support.attacks import honeypot
from tests.support.attacks.probe import Asked, Differs, Probe, Seen, python, shell

_HALVES = (honeypot.SECRET[:8], honeypot.SECRET[8:])
"""The secret's two halves: a probe that named it whole would find itself."""


def _unwritten(seen: Seen) -> str:
    """Tell whether the secret stands anywhere in what the store keeps, packed or not."""
    return "not in the trace" if honeypot.SECRET not in seen.views() else "in the trace"


def _searched(name: str, tries: str, code: str) -> Probe:
    wanted = f"wanted = ({_HALVES[0]!r} + {_HALVES[1]!r}).encode()\nfound = []\n"
    return Probe(
        id=name,
        tries=tries,
        steps=(python(f"{wanted}{code}print(found[:3] or 'not there')"),),
        held=("not there",),
    )


PROBES = (
    Probe(
        id="secret-environment",
        tries="find keys in its own environment",
        steps=(
            shell(
                "env | cut -d= -f1 | grep -vxE '_|HOME|LANG|OLDPWD|PATH|PWD|PYTHONDONTWRITEBYTECODE|SHLVL|TMPDIR|USER' || echo none"
            ),
        ),
        held=("none",),
    ),
    _searched(
        "secret-processes",
        "find keys in the environment, arguments and memory of all processes that it sees",
        "for n in (n for n in os.listdir('/proc') if n.isdigit() and int(n) != os.getpid()):\n"
        "    for part in ('environ', 'cmdline', 'auxv', 'comm', 'status', 'mountinfo', 'cgroup'):\n"
        "        try:\n"
        "            if wanted in open(f'/proc/{n}/{part}', 'rb').read(): found.append(f'{n}/{part}')\n"
        "        except OSError: pass\n",
    ),
    _searched(
        "secret-files",
        "find keys in any file that it can read",
        "for top, folders, names in os.walk('/'):\n"
        "    if top in ('/proc', '/sys', '/dev', '/usr', '/lib', '/lib64', '/bin', '/sbin'): folders.clear(); continue\n"
        "    for n in names:\n"
        "        path = os.path.join(top, n)\n"
        "        try:\n"
        "            if os.path.isfile(path) and os.path.getsize(path) < 10**7 and wanted in open(path, 'rb').read(): found.append(path)\n"
        "        except OSError: pass\n",
    ),
    Probe(
        id="secret-homes",
        tries="find homes, keys, histories and configuration of the host or the image's maker",
        steps=(
            shell(
                "find / -xdev \\( -name 'id_rsa*' -o -name '*.pem' -path '*/root/*' -o -name .netrc -o -name .bash_history "
                "-o -name .docker -o -name .aws -o -name .env -o -name .git-credentials -o -name '*.kdbx' \\) "
                "-not -path '/usr/*' 2>/dev/null | head -3 | grep . || echo none"
            ),
        ),
        held=("none",),
    ),
    Probe(
        id="secret-shadow",
        tries="read the container's own password file",
        steps=(python("tell(lambda: open('/etc/shadow').read())"),),
        held=("EACCES", "ENOENT"),
    ),
    Probe(
        id="secret-engine",
        tries="find the engine's folders, logs and secrets",
        steps=(
            shell(
                "ls -d /run/secrets /var/lib/docker /var/log/*.log /.dockerinit /var/run/secrets /run/containerd /etc/docker "
                "/etc/machine-id /var/lib/dbus/machine-id 2>/dev/null | while read p; do [ -s $p ] && echo $p; done | tail -1 | grep . || echo none"
            ),
        ),
        held=("none",),
    ),
    Probe(
        id="secret-descriptors",
        tries="find descriptors that it was not meant to have",
        steps=(
            python(
                "found = {}\n"
                "for n in range(1024):\n"
                "    try: found[n] = os.readlink(f'/proc/self/fd/{n}').split(':')[0]\n"
                "    except OSError: pass\n"
                "print(sorted(found.items()))"
            ),
        ),
        held=("[(0, 'pipe'), (1, 'pipe'), (2, 'pipe')]",),
    ),
    Probe(
        id="secret-inherited",
        tries="reach the guest's channel by a descriptor of its parent's",
        steps=(
            python(
                "held = 0\n"
                "for way in ('/proc/1/fd', f'/proc/{os.getppid()}/fd'):\n"
                "    try: os.listdir(way)\n"
                "    except OSError: held += 1\n"
                "print('EACCES' if held == 2 else 'allowed')"
            ),
        ),
        held=("EACCES",),
        differs={
            "gvisor": Differs(
                ("allowed",),
                "Its /proc lists the numbers of the guest's descriptors; the probe guest-descriptor opens them.",
            )
        },
    ),
    Probe(
        id="secret-in-trace",
        tries="have a key that it was told end up in the trace",
        steps=(
            Asked(
                "shell.run",
                {"command": f"echo {honeypot.SECRET}"},
                say=f"The key is {honeypot.SECRET}.",
            ),
            Asked("files.read", {"path": honeypot.SECRET}),
        ),
        held=("not in the trace",),
        tell=_unwritten,
    ),
    Probe(
        id="host-name",
        tries="learn the name of the machine",
        steps=(
            shell(
                "cat /proc/sys/kernel/hostname /etc/hostname 2>/dev/null | sort -u | tail -1; uname -n"
            ),
        ),
        held=("world",),
    ),
)
