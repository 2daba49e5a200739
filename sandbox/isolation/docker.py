"""The Docker back end, through the ``docker`` package.

The container's process is the guest; the engine attaches its stdin and stdout to a socket. When the
engine's client goes away the guest sees its stdin end, exits, and the engine removes the container.
"""

from __future__ import annotations

import contextlib
import json
import os
from functools import cached_property
from typing import Any, ClassVar

from sandbox.errors import IsolationError
from sandbox.guest.hardening import AGENT_UID, CAPABILITIES
from sandbox.guest.relay import CERTIFICATE_FOLDER
from sandbox.isolation import cgroup, guest_payload
from sandbox.isolation.audit import engine, inside, kernel
from sandbox.isolation.audit.control import settle
from sandbox.isolation.audit.mounts import MountRule, kernel_made
from sandbox.isolation.base import Audit, ContainerSpec
from sandbox.isolation.cgroup import Cgroup
from sandbox.isolation.docker_requests import (
    asking,
    attach,
    engine_problem,
    in_thread,
    named,
    out_of_memory,
    remove,
)
from sandbox.isolation.guest_client import Channel
from sandbox.isolation.guest_container import AttachedContainer
from sandbox.isolation.process_identity import Owner
from sandbox.isolation.transport import FramedWire
from sandbox.scenario.bounds import Bounds

IMAGE = "agent-risk-sandbox:latest"
LABEL = "org.agent-risk-sandbox"
API_SECONDS = 60
"""Time for one request to the engine."""
_MOUNTS = (
    *(MountRule(path) for path in ("/", "/etc/resolv.conf", "/etc/hostname", "/etc/hosts")),
    kernel_made("/proc", "proc"),
    kernel_made("/proc/*", "proc", "tmpfs"),  # what the engine makes read-only or hides
    kernel_made("/dev", "tmpfs"),
    kernel_made("/dev/pts", "devpts"),
    MountRule("/dev/mqueue", frozenset({"tmpfs"})),
    MountRule("/sys", frozenset({"sysfs"})),
    MountRule("/sys/*", frozenset({"tmpfs", "cgroup", "cgroup2"})),
    kernel_made("/sys/fs/cgroup", "tmpfs"),  # what holds version 1's folders, each read-only
    kernel_made(CERTIFICATE_FOLDER, "tmpfs"),
    kernel_made("/work", "tmpfs"),
    kernel_made("/tmp", "tmpfs"),
)


SECCOMP_PROFILE = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": list[Any]()}
"""The engine's own filter leaves all to the guest's, an allow list (``seccomp_profile``) that keeps a
record of what it refuses: a refusal here would hide the attempt. A guest that cannot install its
filter does not serve."""


class Docker:
    """Makes containers with a Docker engine."""

    name = "docker"
    _namespaces: ClassVar[tuple[str, ...]] = ("ipc", "mnt", "net", "pid", "uts")
    _otherwise = "by the engine's word: the container's cgroup cannot be seen from here"

    def __init__(self, image: str | None = None, runtime: str | None = None) -> None:
        """Use an engine.

        Args:
            image: Name of the image; the one that ``sandbox image build`` makes where left out.
            runtime: OCI runtime, such as ``runsc``; the engine's default where left out.
        """
        self.image = image or os.environ.get("SANDBOX_IMAGE") or IMAGE
        self._runtime = runtime
        self._clients: dict[int, Any] = {}

    def unavailable(self) -> str | None:
        """Return why it cannot run here, or None."""
        if reason := engine_problem():
            return reason
        try:
            missing = self._image_id is None
        except IsolationError as error:
            return str(error)
        return f"the image {self.image} is not there: sandbox image build" if missing else None

    async def open(self, spec: ContainerSpec) -> DockerContainer:
        """Start a container and load its world."""
        if await in_thread(lambda: self._image_id) is None:
            raise IsolationError(f"the image {self.image} is not there: sandbox image build")
        wire: FramedWire | None = None
        group = self._make_group(spec)
        try:
            with asking():
                container = await in_thread(self._create, spec)
                sock = await in_thread(attach, self._client, container)
                wire = await FramedWire.over(sock)
                group = await in_thread(self._start, container, group)
                channel = Channel(wire)
                found = await channel.start(spec, self._plan(spec.bounds))
                audit = await in_thread(self._audit, container, found, spec, group)
        except BaseException as error:
            if wire:
                wire.close()
            with contextlib.suppress(IsolationError):  # the first fault is told; reap does the rest
                await in_thread(self._clear, spec.run_id)
            if group:
                await in_thread(group.remove)
            if isinstance(error, IsolationError):
                said = wire.errors.decode("utf-8", "replace").strip() if wire else ""
                raise IsolationError(f"{named(error)}{': ' + said if said else ''}") from error
            raise
        return DockerContainer(self._client, container, channel, wire, audit, group)

    def reap(self) -> int:
        """Remove containers whose process is gone."""
        removed = 0
        for container in self._labelled(LABEL):
            if Owner.of(container["Labels"].get(f"{LABEL}.owner", "")).gone():
                remove(self._client, container["Id"])
                removed += 1
        return removed

    def _clear(self, run: str) -> None:
        """Remove a run's containers, also one whose id was lost with the engine's answer."""
        owner = Owner.current().label
        for container in self._labelled(f"{LABEL}.run={run}", f"{LABEL}.owner={owner}"):
            remove(self._client, container["Id"])

    def _labelled(self, *labels: str) -> list[dict[str, Any]]:
        with asking():
            found = self._client.api.containers(all=True, filters={"label": list(labels)})
            return list(found)

    @property
    def _client(self) -> Any:
        """This process's client: forks that shared its connections would get each other's answers."""
        import docker

        if os.getpid() not in self._clients:
            with asking():
                self._clients[os.getpid()] = docker.from_env(timeout=API_SECONDS)
        return self._clients[os.getpid()]

    @cached_property
    def _image(self) -> Any:
        import docker.errors

        with asking():
            try:
                return self._client.images.get(self.image)
            except docker.errors.ImageNotFound:
                return None

    @property
    def _image_id(self) -> str | None:
        return str(self._image.id) if self._image else None

    @cached_property
    def _engine(self) -> dict[str, Any]:
        found: dict[str, Any] = self._client.version()
        return found

    def _plan(self, bounds: Bounds) -> dict[str, Any]:
        """Return what the guest is to put in force itself: nothing, the engine does it all."""
        return {}

    def _asked(self, spec: ContainerSpec) -> dict[str, Any]:
        """Return what the engine is asked to create."""
        return {
            "image": self._image_id,
            "command": list(guest_payload.COMMAND),
            "entrypoint": [],
            "user": "0:0",
            "working_dir": "/",
            "hostname": "world",
            "environment": {},
            "stdin_open": True,
            "tty": False,
            "labels": {
                LABEL: "1",
                f"{LABEL}.run": spec.run_id,
                f"{LABEL}.owner": Owner.current().label,
            },
            "healthcheck": {"test": ["NONE"]},
            "host_config": host_config(spec.bounds, self._runtime),
        }

    def _create(self, spec: ContainerSpec) -> str:
        api = self._client.api
        asked = self._asked(spec)
        asked["host_config"] = api.create_host_config(**asked["host_config"])
        return str(api.create_container(**asked)["Id"])

    def _make_group(self, spec: ContainerSpec) -> Cgroup | None:
        """Return a cgroup of the sandbox's own around the container: the engine makes one here."""
        return None

    def _start(self, container: str, group: Cgroup | None) -> Cgroup | None:
        """Start it, its guest waits for its code from then on; return our cgroup that holds it."""
        self._client.api.start(container)
        return group

    def _audit(
        self, container: str, found: dict[str, Any], spec: ContainerSpec, group: Cgroup | None
    ) -> Audit:
        """Compare the container with the profile, not with what was asked for.

        Raises:
            IsolationError: A control is not in force.
        """
        state = self._client.api.inspect_container(container)
        image_environment = self._image.attrs["Config"].get("Env") or []
        declared = host_config(spec.bounds, self._runtime)
        pid = state["State"]["Pid"]
        limits = cgroup.limits_of(spec.bounds)
        group = group or kernel.engine_cgroup(pid, container, limits)
        controls = [
            *engine.judge(declared, state, self._image.id, image_environment),
            *inside.judge(self._expected(spec), found),
            *kernel.bounds(pid, group, self._otherwise),
        ]
        return Audit(self.name, self._engine["Version"], state["Image"], settle(controls))

    def _expected(self, spec: ContainerSpec) -> inside.Inside:
        return inside.Inside(
            spec.bounds,
            mounts=_MOUNTS,
            limits=self._plan(spec.bounds),
            guest_environment=_guest_environment(self._image.attrs["Config"].get("Env") or []),
            namespaces=self._namespaces,
            filters=2,  # the engine's and the guest's
            traced=spec.traced,
        )


def _guest_environment(image: list[str]) -> frozenset[str]:
    """Return the names that the engine, the image and Python's own start give to the guest."""
    return frozenset({"HOME", "HOSTNAME", "LC_CTYPE", "PATH"} | {e.split("=")[0] for e in image})


def host_config(bounds: Bounds, runtime: str | None) -> dict[str, Any]:
    """Return the engine's settings for a container: nothing that is not needed."""
    tmpfs = (
        f"rw,exec,nosuid,nodev,size={bounds.tmpfs_bytes},nr_inodes={bounds.tmpfs_inodes},"
        f"mode=0700,uid={AGENT_UID},gid={AGENT_UID}"
    )
    return {
        "network_mode": "none",
        "read_only": True,
        "tmpfs": {
            "/work": tmpfs,
            "/tmp": tmpfs,
            "/dev/mqueue": "ro,size=4k,mode=0555",
            CERTIFICATE_FOLDER: "rw,noexec,nosuid,nodev,size=64k,nr_inodes=8,mode=0755",
        },
        "cap_drop": ["ALL"],
        "cap_add": [name.removeprefix("CAP_") for name in CAPABILITIES],
        "security_opt": ["no-new-privileges:true", f"seccomp={json.dumps(SECCOMP_PROFILE)}"],
        "dns": ["127.0.0.1"],  # not the host's: nothing answers there, and what is asked is seen
        "ipc_mode": "none",  # without /dev/shm, a third place to write in that nothing watches
        "pids_limit": bounds.processes + cgroup.GUEST_PROCESSES,
        "mem_limit": bounds.memory_bytes,
        "memswap_limit": bounds.memory_bytes,
        "nano_cpus": int(bounds.cpus * 1e9),
        "ulimits": [
            {"Name": "core", "Soft": 0, "Hard": 0},
            {"Name": "nofile", "Soft": bounds.files, "Hard": bounds.files},
            {"Name": "fsize", "Soft": bounds.file_bytes, "Hard": bounds.file_bytes},
        ],
        "log_config": {"Type": "none", "Config": {}},
        "auto_remove": True,
        "publish_all_ports": False,
        **({"runtime": runtime} if runtime else {}),
    }


class DockerContainer(AttachedContainer):
    """One open container; see :class:`sandbox.isolation.base.Container`."""

    def __init__(
        self,
        client: Any,
        container: str,
        channel: Channel,
        wire: FramedWire,
        audit: Audit,
        group: Cgroup | None,
    ) -> None:
        super().__init__(channel, wire, audit)
        self._client = client
        self._container = container
        self._group = group

    async def _remove(self) -> None:
        try:
            await in_thread(remove, self._client, self._container)
        finally:
            if self._group:
                await in_thread(self._group.remove)

    async def _closed_for_memory(self) -> bool:
        killed = bool(self._group and self._group.out_of_memory())
        await self.close()
        if self._group:
            return killed
        return await in_thread(out_of_memory, self._client, self._container)
