"""gVisor: Docker's containers under ``runsc``, a kernel of their own between the agent and the host's.

What the engine is told is what Docker's back end tells it; only the runtime differs. A runtime that
was registered with ``--ignore-cgroups`` leaves memory and processes unbounded as a whole: the guest
then bounds them in each process, and all of gVisor is put into a cgroup from here where one can be
made.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from sandbox.errors import IsolationError
from sandbox.guest.relay import CERTIFICATE_FOLDER
from sandbox.isolation import cgroup
from sandbox.isolation.audit import inside
from sandbox.isolation.audit.mounts import MountRule, kernel_made
from sandbox.isolation.base import ContainerSpec
from sandbox.isolation.cgroup import Cgroup
from sandbox.isolation.docker import Docker
from sandbox.isolation.docker_requests import asking
from sandbox.isolation.process_identity import Owner
from sandbox.scenario.bounds import MIB, Bounds

RUNTIME = "runsc"
VARIABLE = "SANDBOX_GVISOR_RUNTIME"
"""Names the engine's runtime, where it is not called ``runsc``."""

_MOUNTS = (
    *(MountRule(path) for path in ("/", "/etc/resolv.conf", "/etc/hostname", "/etc/hosts")),
    kernel_made("/proc", "proc"),
    kernel_made("/dev", "tmpfs", "dev"),
    kernel_made("/dev/pts", "devpts"),
    MountRule("/dev/mqueue", frozenset({"tmpfs"})),
    MountRule("/sys", frozenset({"sysfs"})),
    MountRule("/sys/fs/cgroup*", frozenset({"tmpfs", "cgroup"})),
    kernel_made(CERTIFICATE_FOLDER, "tmpfs"),
    kernel_made("/work", "tmpfs"),
    kernel_made("/tmp", "tmpfs"),
)
_DEVICES = frozenset(
    {
        "fd",
        "full",
        "fuse",
        "mqueue",
        "net",
        "null",
        "ptmx",
        "pts",
        "random",
        "shm",
        "stderr",
        "stdin",
        "stdout",
        "tty",
        "urandom",
        "zero",
    }
)
"""Devices of gVisor's own kernel; none of them leads to the host's."""

_KERNEL_BYTES = 96 * MIB
_KERNEL_TASKS, _TASKS = 256, 16
"""Of gVisor itself, and for each process inside; found: 31 in all, and 9 with ptrace as platform."""


class Gvisor(Docker):
    """Makes containers with a Docker engine and gVisor's runtime."""

    name = "gvisor"
    _otherwise = "of each process only: the runtime ignores cgroups, and none can be made here"

    def __init__(self, image: str | None = None, runtime: str | None = None) -> None:
        """Use an engine.

        Args:
            image: As for Docker; the same image serves both.
            runtime: The engine's name of it; else what :data:`VARIABLE` says, else ``runsc``.
        """
        self.runtime = runtime or os.environ.get(VARIABLE) or RUNTIME
        super().__init__(image, self.runtime)

    def unavailable(self) -> str | None:
        """Return why it cannot run here, or None."""
        if reason := super().unavailable():
            return reason
        try:
            registered = self._registered
        except IsolationError as error:
            return str(error)
        if registered is None:
            return (
                f"the Docker engine has no runtime {self.runtime!r}: install runsc "
                "(https://gvisor.dev/docs/user_guide/install, or apt-get install runsc), then "
                f"runsc install --runtime={self.runtime} and reload the engine; "
                f"{VARIABLE} names another"
            )
        return None

    @cached_property
    def _registered(self) -> dict[str, Any] | None:
        with asking():
            found: dict[str, Any] | None = self._client.info()["Runtimes"].get(self.runtime)
        return found

    @cached_property
    def _ignores_cgroups(self) -> bool:
        given = (self._registered or {}).get("runtimeArgs") or []
        return any(
            argument.lstrip("-") in ("ignore-cgroups", "ignore-cgroups=true") for argument in given
        )

    def _make_group(self, spec: ContainerSpec) -> Cgroup | None:
        if not self._ignores_cgroups:
            return None
        return cgroup.make(f"{Owner.current().label}-{spec.run_id}", _limits(spec.bounds))

    def _start(self, container: str, group: Cgroup | None) -> Cgroup | None:
        super()._start(container, group)
        if group is None:
            return None
        pid = self._client.api.inspect_container(container)["State"]["Pid"]
        if not _is_kernel_of(pid, container):
            group.remove()
            return None
        group.add(pid)  # first: what it starts from then on is in as well
        for member in _descendants(pid):
            group.add(member)
        return group

    def reap(self) -> int:
        """Remove containers and cgroups whose process is gone."""
        removed = super().reap()
        return max(removed, cgroup.reap())

    def _plan(self, bounds: Bounds) -> dict[str, Any]:
        # its kernel loses track of children that a traced process makes for its parent
        plan = {"spawner": False}
        if not self._ignores_cgroups:
            return plan
        return {**plan, "memory_bytes": bounds.memory_bytes, "processes": bounds.processes}

    def _expected(self, spec: ContainerSpec) -> inside.Inside:
        return replace(
            super()._expected(spec),
            mounts=_MOUNTS,
            namespaces=(),
            filters=0,
            host_kernel=self._engine["KernelVersion"],
            bounds_inodes=False,
            devices=_DEVICES,
        )


def _limits(bounds: Bounds) -> dict[str, int]:
    """Return the bounds of a container together with its kernel, which is a program here."""
    found = cgroup.limits_of(bounds)
    return {
        **found,
        "memory": found["memory"] + _KERNEL_BYTES,
        "processes": _TASKS * found["processes"] + _KERNEL_TASKS,
    }


def _is_kernel_of(pid: int, container: str) -> bool:
    """Return whether a process of this machine is a container's gVisor.

    An engine on another machine, or one in a namespace of its own, counts other processes.
    """
    try:
        return container.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False


def _descendants(pid: int) -> set[int]:
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found: set[int] = set()
    new = {pid}
    while new:
        new = {child for child, parent in parents.items() if parent in new}
        found |= new
    return found
