"""The Docker back end, through the ``docker`` package.

The container's process is the guest; the engine attaches its stdin and stdout to a socket. When the
engine's client goes away the guest sees its stdin end, exits, and the engine removes the container.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, ClassVar

import docker
from docker import DockerClient
from docker.errors import ImageNotFound

from sandbox.errors import IsolationError
from sandbox.guest.hardening import AGENT_UID, CAPABILITIES
from sandbox.guest.relay import CERTIFICATE_FOLDER
from sandbox.isolation import cgroup, guest_payload
from sandbox.isolation.audit import engine, inside, kernel
from sandbox.isolation.audit.control import settle
from sandbox.isolation.audit.engine import HostSettings
from sandbox.isolation.audit.mounts import MountRule, virtual_file_system
from sandbox.isolation.audit.reports import GuestReport
from sandbox.isolation.base import Audit, ContainerSpec
from sandbox.isolation.cgroup import Cgroup
from sandbox.isolation.confinement import Confinement
from sandbox.isolation.docker_requests import (
    attach,
    engine_problem,
    in_thread,
    out_of_memory,
    remove,
    translate_faults,
)
from sandbox.isolation.guest_container import GuestContainer
from sandbox.isolation.process_identity import Owner
from sandbox.isolation.transport import FramedWire
from sandbox.scenario.bounds import Bounds

IMAGE = "agent-risk-sandbox:latest"
LABEL = "org.agent-risk-sandbox"
API_SECONDS = 60
"""Time for one request to the engine."""
_MOUNTS = (
    *(MountRule(path) for path in ("/", "/etc/resolv.conf", "/etc/hostname", "/etc/hosts")),
    virtual_file_system("/proc", "proc"),
    virtual_file_system("/proc/*", "proc", "tmpfs"),  # what the engine makes read-only or hides
    virtual_file_system("/dev", "tmpfs"),
    virtual_file_system("/dev/pts", "devpts"),
    MountRule("/dev/mqueue", frozenset({"tmpfs"})),
    MountRule("/sys", frozenset({"sysfs"})),
    MountRule("/sys/*", frozenset({"tmpfs", "cgroup", "cgroup2"})),
    virtual_file_system(
        "/sys/fs/cgroup", "tmpfs"
    ),  # what holds version 1's folders, each read-only
    virtual_file_system(CERTIFICATE_FOLDER, "tmpfs"),
    virtual_file_system("/work", "tmpfs"),
    virtual_file_system("/tmp", "tmpfs"),
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
            image: Name of the image; else the one that ``sandbox image build`` makes.
            runtime: OCI runtime, such as ``runsc``; else the engine's default.
        """
        self.image = image or os.environ.get("SANDBOX_IMAGE") or IMAGE
        self._runtime = runtime
        self._clients: dict[int, DockerClient] = {}

    def unavailable(self) -> str | None:
        """Return why it cannot run here, or None."""
        if reason := engine_problem():
            return reason
        try:
            return self._image_problem()
        except IsolationError as error:
            return str(error)

    def _image_problem(self) -> str | None:
        return None if self._image else f"the image {self.image} is not there: sandbox image build"

    async def open(self, spec: ContainerSpec) -> DockerContainer:
        """Start a container and load its world."""
        if problem := await in_thread(self._image_problem):
            raise IsolationError(problem)
        wire: FramedWire | None = None
        group = self._make_group(spec)
        try:
            with translate_faults():
                name = await in_thread(self._create, spec)
                wire = await FramedWire.over(await in_thread(attach, self._client, name))
                group = await in_thread(self._start, name, group)
                container = DockerContainer(wire, group, self._client, name)
                report = await container.start(spec, self._confinement(spec.bounds))
                container.audit = await in_thread(self._audit, name, report, spec, group)
        except BaseException as error:
            if wire:
                wire.close()
            with contextlib.suppress(IsolationError):  # the first fault counts; reap does the rest
                owner = f"{LABEL}.owner={Owner.current().label}"
                # by labels: an id may be lost with the engine's answer
                await in_thread(self._remove, lambda _: True, f"{LABEL}.run={spec.run_id}", owner)
            if group:
                await in_thread(group.remove)
            if isinstance(error, IsolationError):
                errors = wire.errors.decode("utf-8", "replace").strip() if wire else ""
                text = f"Docker: {str(error).removeprefix('Docker: ')}"
                raise IsolationError(f"{text}: {errors}" if errors else text) from error
            raise
        return container

    def reap(self) -> int:
        """Remove containers whose process is gone."""
        return self._remove(lambda labels: Owner.of(labels.get(f"{LABEL}.owner", "")).gone(), LABEL)

    def _remove(self, condition: Callable[[Mapping[str, str]], bool], *labels: str) -> int:
        """Remove containers with labels if a condition on all of these holds; return how many."""
        with translate_faults():
            listed = self._client.api.containers(all=True, filters={"label": list(labels)})
        names = [str(each["Id"]) for each in listed if condition(each["Labels"])]
        for name in names:
            remove(self._client, name)
        return len(names)

    @property
    def _client(self) -> DockerClient:
        """This process's client: forks that shared its connections would get each other's answers."""
        if os.getpid() not in self._clients:
            with translate_faults():
                self._clients[os.getpid()] = docker.from_env(timeout=API_SECONDS)
        return self._clients[os.getpid()]

    @cached_property
    def _image(self) -> Any:
        with translate_faults():
            try:
                return self._client.images.get(self.image)
            except ImageNotFound:
                return None

    @cached_property
    def _engine(self) -> Mapping[str, str]:
        return self._client.version()

    def _confinement(self, bounds: Bounds) -> Confinement:
        """Return what the guest is to confine by itself: nothing, the engine does it all."""
        return Confinement()

    def _request(self, spec: ContainerSpec) -> dict[str, object]:
        return {
            "image": self._image.id,
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
        }

    def _host_config(self, bounds: Bounds) -> HostSettings:
        return host_config(bounds, self._runtime)

    def _create(self, spec: ContainerSpec) -> str:
        api: Any = self._client.api
        host = api.create_host_config(**self._host_config(spec.bounds))
        return str(api.create_container(**self._request(spec), host_config=host)["Id"])

    def _make_group(self, spec: ContainerSpec) -> Cgroup | None:
        """Return a cgroup of the sandbox's own around the container: the engine makes one here."""
        return None

    def _start(self, container: str, group: Cgroup | None) -> Cgroup | None:
        """Start it, its guest waits for its code from then on; return our cgroup that holds it."""
        self._client.api.start(container)
        return group

    def _audit(
        self, container: str, report: GuestReport, spec: ContainerSpec, group: Cgroup | None
    ) -> Audit:
        """Compare the container with the profile, not with what was asked for.

        Raises:
            IsolationError: A control does not hold.
        """
        state = self._client.api.inspect_container(container)
        declared = host_config(spec.bounds, self._runtime)
        pid = state["State"]["Pid"]
        group = group or kernel.engine_cgroup(pid, container, cgroup.limits_of(spec.bounds))
        controls = [
            *engine.judge(declared, state, self._image.id, self._image_environment),
            *inside.judge(self._profile(spec), report),
            *kernel.bounds(pid, group, self._otherwise),
        ]
        return Audit(self.name, self._engine["Version"], state["Image"], settle(controls))

    @property
    def _image_environment(self) -> list[str]:
        return self._image.attrs["Config"].get("Env") or []

    def _profile(self, spec: ContainerSpec) -> inside.Inside:
        image = {variable.split("=")[0] for variable in self._image_environment}
        return inside.Inside(
            spec.bounds,
            self._confinement(spec.bounds),
            mounts=_MOUNTS,
            # the engine, the image and Python's own start give them
            guest_environment=frozenset({"HOME", "HOSTNAME", "LC_CTYPE", "PATH"} | image),
            namespaces=self._namespaces,
            filters=2,  # the engine's and the guest's
            traced=spec.traced,
        )


def host_config(bounds: Bounds, runtime: str | None) -> HostSettings:
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


class DockerContainer(GuestContainer):
    """One open container."""

    def __init__(
        self, wire: FramedWire, group: Cgroup | None, client: DockerClient, name: str
    ) -> None:
        super().__init__(wire, group)
        self._client = client
        self._name = name

    async def _remove(self) -> None:
        try:
            await in_thread(remove, self._client, self._name)
        finally:
            if self._group:
                await in_thread(self._group.remove)

    async def _ran_out_of_memory(self) -> bool:
        killed = await super()._ran_out_of_memory()
        return killed if self._group else await in_thread(out_of_memory, self._client, self._name)
