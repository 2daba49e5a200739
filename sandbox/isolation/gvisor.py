"""gVisor: Docker's containers under ``runsc``, a kernel of their own between the agent and the host's.

The engine gets the same settings as from Docker's back end; only the runtime differs. A runtime that
was registered with ``--ignore-cgroups`` leaves memory and processes unbounded as a whole: the guest
then bounds them in each process, and all of gVisor is put into a cgroup from here if one can be
made.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from sandbox.errors import IsolationError
from sandbox.guest.relay import CERTIFICATE_FOLDER
from sandbox.isolation import cgroup
from sandbox.isolation.audit import inside
from sandbox.isolation.audit.mounts import MountRule, virtual_file_system
from sandbox.isolation.base import ContainerSpec
from sandbox.isolation.cgroup import Cgroup
from sandbox.isolation.confinement import Confinement
from sandbox.isolation.docker import Docker
from sandbox.isolation.docker_requests import translate_faults
from sandbox.isolation.process_identity import Owner
from sandbox.scenario.bounds import MIB, Bounds

RUNTIME = "runsc"
VARIABLE = "SANDBOX_GVISOR_RUNTIME"
"""Names the engine's runtime, if it is not called ``runsc``."""

_MOUNTS = (
    *(MountRule(path) for path in ("/", "/etc/resolv.conf", "/etc/hostname", "/etc/hosts")),
    virtual_file_system("/proc", "proc"),
    virtual_file_system("/dev", "tmpfs", "dev"),
    virtual_file_system("/dev/pts", "devpts"),
    MountRule("/dev/mqueue", frozenset({"tmpfs"})),
    MountRule("/sys", frozenset({"sysfs"})),
    MountRule("/sys/fs/cgroup*", frozenset({"tmpfs", "cgroup"})),
    virtual_file_system(CERTIFICATE_FOLDER, "tmpfs"),
    virtual_file_system("/work", "tmpfs"),
    virtual_file_system("/tmp", "tmpfs"),
)
_DEVICES = frozenset(
    [
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
    ]
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
            if self._arguments is not None:
                return None
        except IsolationError as error:
            return str(error)
        return (
            f"the Docker engine has no runtime {self.runtime!r}: install runsc "
            "(https://gvisor.dev/docs/user_guide/install, or apt-get install runsc), then "
            f"runsc install --runtime={self.runtime} and reload the engine; "
            f"{VARIABLE} names another"
        )

    @cached_property
    def _arguments(self) -> list[str] | None:
        """The arguments with which the engine calls the runtime; None if it has none of that name."""
        with translate_faults():
            runtime = self._client.info()["Runtimes"].get(self.runtime)
        return None if runtime is None else runtime.get("runtimeArgs") or []

    @cached_property
    def _ignores_cgroups(self) -> bool:
        words = {argument.lstrip("-") for argument in self._arguments or ()}
        return not words.isdisjoint(("ignore-cgroups", "ignore-cgroups=true"))

    def _make_group(self, spec: ContainerSpec) -> Cgroup | None:
        if not self._ignores_cgroups:
            return None
        limits = cgroup.limits_of(spec.bounds)
        limits["memory"] += _KERNEL_BYTES  # gVisor's kernel is a program here
        limits["processes"] = _TASKS * limits["processes"] + _KERNEL_TASKS
        return cgroup.make(f"{Owner.current().label}-{spec.run_id}", limits)

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
        return max(super().reap(), cgroup.reap())

    def _confinement(self, bounds: Bounds) -> Confinement:
        # its kernel loses track of children that a traced process makes for its parent
        if not self._ignores_cgroups:
            return Confinement(spawner=False)
        return Confinement(
            spawner=False, memory_bytes=bounds.memory_bytes, processes=bounds.processes
        )

    def _profile(self, spec: ContainerSpec) -> inside.Inside:
        return replace(
            super()._profile(spec),
            mounts=_MOUNTS,
            namespaces=(),
            filters=0,
            host_kernel=self._engine["KernelVersion"],
            bounds_inodes=False,
            devices=_DEVICES,
        )


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
            parents[int(path.parent.name)] = int(path.read_bytes().rpartition(b")")[2].split()[1])
    descendants: set[int] = set()
    new = {pid}
    while new:
        new = {child for child, parent in parents.items() if parent in new}
        descendants |= new
    return descendants
