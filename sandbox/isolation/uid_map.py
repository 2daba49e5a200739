"""The two uids of a bubblewrap container: the guest's and the agent's, both unprivileged outside."""

from __future__ import annotations

import os
import random
import shutil
from functools import cache
from pathlib import Path

from sandbox.errors import IsolationError
from sandbox.guest.hardening import AGENT_UID
from sandbox.isolation.cgroup import Joining
from sandbox.isolation.zygote_client import GuestRequest

# Above what systemd gives to containers and users (https://systemd.io/UIDS-GIDS), below 2**31.
_ROOT_UIDS = range(0x70000000, 0x7FFF0000, 2)
_MAPPERS = (("newuidmap", "/etc/subuid"), ("newgidmap", "/etc/subgid"))


def problem() -> str | None:
    """Return why no container of this user can have two uids, or None."""
    if os.geteuid() == 0:
        return None
    if not all(shutil.which(command) for command, _ in _MAPPERS):
        return "newuidmap is not installed: apt-get install uidmap"
    if any(_subordinate(file) is None for _, file in _MAPPERS):
        return "no subordinate ids in /etc/subuid and /etc/subgid: usermod --add-subuids … --add-subgids …"
    return None


def request(joining: Joining) -> GuestRequest:
    """Return what to ask the launcher for: a pair of ids that no other container is likely to have.

    Args:
        joining: How the guest gets into its cgroup.
    """
    if os.geteuid() == 0:
        uid = random.SystemRandom().choice(_ROOT_UIDS)
        text = f"0 {uid} 1\n{AGENT_UID} {uid + 1} 1\n"
        return GuestRequest(uid, maps={"uid_map": text, "gid_map": text}, joining=joining)
    mappers = []
    for (command, file), own in zip(_MAPPERS, (os.geteuid(), os.getegid()), strict=True):
        granted = _subordinate(file)
        if granted is None:
            raise IsolationError(f"no subordinate ids in {file}")
        other = random.SystemRandom().choice(granted)
        program = shutil.which(command) or command
        mappers.append((program, "0", str(own), "1", str(AGENT_UID), str(other), "1"))
    return GuestRequest(0, mappers=tuple(mappers), joining=joining)


@cache
def _subordinate(file: str) -> range | None:
    import pwd

    names = {str(os.geteuid()), pwd.getpwuid(os.geteuid()).pw_name}
    try:
        lines = Path(file).read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        parts = line.split(":")
        if len(parts) == 3 and parts[0] in names and int(parts[2]) > 0:
            return range(int(parts[1]), int(parts[1]) + int(parts[2]))
    return None
