"""A control that is deliberately off keeps a container from opening, and is named."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from sandbox.errors import IsolationError
from sandbox.isolation import cgroup, seccomp_program, uid_map, zygote_client
from sandbox.isolation.base import Backend
from sandbox.isolation.bubblewrap import Bubblewrap
from sandbox.isolation.cgroup import Cgroup, Joining
from sandbox.isolation.docker import LABEL, SECCOMP_PROFILE, Docker
from sandbox.isolation.seccomp_profile import TRACERS_OWN, system_calls
from tests.support.containers import spec
from tests.support.polling import until
from tests.support.weakened_containers import (
    AlteredDocker,
    AlteredGvisor,
    alter_arguments,
    alter_guest,
)

_TMPFS = {
    "/work": "rw,size=67108864,mode=0700,uid=1000,gid=1000",
    "/tmp": "rw,size=67108864,nr_inodes=8192,mode=0700,uid=1000,gid=1000",
}
_NO_NEW = "no-new-privileges:true"
_PROFILE = f"seccomp={json.dumps(SECCOMP_PROFILE)}"

HOST_CONFIG: dict[str, tuple[dict[str, Any], set[str]]] = {
    "a capability more": (
        {"cap_add": ["NET_RAW", "SETUID", "SETGID", "KILL", "DAC_READ_SEARCH", "SYS_PTRACE"]},
        {"added_capabilities", "bounding_capabilities"},
    ),
    "capabilities kept": (
        {"cap_drop": []},
        {"dropped_capabilities"},
    ),  # the guest drops them all the same
    "a writable root": ({"read_only": False}, {"read_only_root", "root"}),
    "a network": ({"network_mode": "bridge"}, {"network", "networks", "interfaces"}),
    "the host's network": ({"network_mode": "host"}, {"network", "networks", "namespaces"}),
    "a folder of the host": (
        {"binds": ["/usr/share:/mnt:ro"]},
        {"host_folders", "mounted", "mounts"},
    ),
    "a writable folder of the host": ({"binds": ["/usr/share:/mnt"]}, {"host_folders", "mounts"}),
    "a device": ({"devices": ["/dev/zero:/dev/disk0:rwm"]}, {"host_devices", "devices"}),
    "new privileges": ({"security_opt": [_PROFILE]}, {"security_options"}),
    "no seccomp of the engine": (
        {"security_opt": [_NO_NEW, "seccomp=unconfined"]},
        {"security_options", "seccomp_filters"},
    ),
    "the host's processes": ({"pid_mode": "host"}, {"pid_mode", "process_tree", "namespaces"}),
    "the host's ipc": ({"ipc_mode": "host"}, {"ipc_mode", "namespaces"}),
    "the host's users": ({"userns_mode": "host"}, {"userns_mode"}),
    "more memory": ({"mem_limit": "2g", "memswap_limit": "2g"}, {"memory_limit", "memory"}),
    "swap": ({"memswap_limit": "2g"}, {"memory_and_swap_limit"}),
    "no limit of processes": ({"pids_limit": None}, {"pids_limit", "processes"}),
    "more processors": ({"nano_cpus": 2_000_000_000}, {"cpu_limit", "cpu"}),
    "other limits": (
        {
            "ulimits": [
                {"Name": "core", "Soft": 0, "Hard": 0},
                {"Name": "nofile", "Soft": 64, "Hard": 64},
            ]
        },
        {"ulimits", "open_files"},
    ),
    "no end by itself": ({"auto_remove": False}, {"auto_remove"}),
    "unbounded files": ({"tmpfs": _TMPFS}, {"tmpfs", "space_work"}),
    "a group": ({"group_add": ["4"]}, {"groups"}),
    "a sysctl": ({"sysctls": {"net.ipv4.ip_unprivileged_port_start": "0"}}, {"sysctls"}),
    "a name of a host": ({"extra_hosts": {"intranet": "10.0.0.1"}}, {"links_and_hosts"}),
    "another cgroup": ({"cgroup_parent": "/docker"}, {"cgroup_parent"}),
    "a resolver": ({"dns": ["10.0.0.2"]}, {"resolver"}),
    "a published port": ({"publish_all_ports": True}, {"published_ports"}),
}
CONTAINER: dict[str, tuple[dict[str, Any], set[str]]] = {
    "a variable": (
        {"environment": {"OPENAI_API_KEY": "sk-of-the-host"}},
        {"container_environment", "guest_environment"},
    ),
    "a volume": ({"volumes": ["/data"]}, {"volumes", "mounted", "mounts"}),
    "another host name": ({"hostname": "intranet"}, {"host_name"}),
}
GVISOR: dict[str, tuple[dict[str, Any], set[str]]] = {
    "no gVisor": ({"runtime": "runc"}, {"runtime", "kernel"}),
    # without --net-raw gVisor gives this one to nobody
    "a capability more": (HOST_CONFIG["a capability more"][0], {"added_capabilities"}),
    **{
        name: HOST_CONFIG[name]
        for name in ("a writable root", "a folder of the host", "new privileges")
    },
}


@pytest.fixture(autouse=True)
def own_launcher(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have a launcher for one test alone: what it loaded is not what others are to get."""
    Bubblewrap().unavailable()  # asks the usual one, once
    monkeypatch.setattr(zygote_client, "_shared", zygote_client._Shared())
    yield
    zygote_client.close()


def available(backend: Backend) -> None:
    """Skip where a back end cannot run; fail there in CI."""
    if reason := backend.unavailable():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)


def needs_cgroups() -> None:
    """Skip where this process may not make a cgroup; fail there in CI."""
    made = cgroup.make(f"needed-altered-{os.getpid()}", cgroup.limits_of(spec().bounds))
    if made is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("no cgroup can be made")
    else:
        made.remove()


async def refused(backend: Backend, controls: set[str], *, traced: bool = True) -> str:
    """Return why a container was not opened; its reason names the controls, nothing is left."""
    run_id = f"altered{os.getpid()}"  # tests of other processes have containers of their own
    with pytest.raises(IsolationError) as caught:
        await (await backend.open(spec(run_id=run_id, traced=traced))).close()
    said = str(caught.value)
    assert {name for name in controls if f" {name} (declared: " in said} == controls, said
    assert not [path for path in cgroup.leftovers() if path.name.endswith(f"-{run_id}")]
    if isinstance(backend, Docker):
        wanted = {"label": f"{LABEL}.run={run_id}"}
        listed = backend._client.api.containers
        await until(lambda: not listed(all=True, filters=wanted), 10, "the container is gone")
    return said


@pytest.mark.docker
@pytest.mark.parametrize("case", HOST_CONFIG)
async def test_docker_container_beside_its_profile_is_refused(case: str) -> None:
    """What the engine was asked for beyond the profile is seen, by the engine's word or inside."""
    changes, controls = HOST_CONFIG[case]
    backend = AlteredDocker(changes, {})
    available(backend)
    await refused(backend, controls)


@pytest.mark.docker
@pytest.mark.parametrize("case", CONTAINER)
async def test_docker_container_with_more_than_its_own_is_refused(case: str) -> None:
    """Variables, volumes and names that the profile does not give are seen; no value is told."""
    changes, controls = CONTAINER[case]
    backend = AlteredDocker({}, changes)
    available(backend)
    assert "of-the-host" not in await refused(backend, controls)


@pytest.mark.docker
@pytest.mark.parametrize("case", GVISOR)
async def test_gvisor_container_beside_its_profile_is_refused(case: str) -> None:
    """The same holds under gVisor, and an engine whose runtime is not gVisor's is found out."""
    changes, controls = GVISOR[case]
    backend = AlteredGvisor(changes, {})
    available(backend)
    await refused(backend, controls)


ARGUMENTS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "a folder of the host": ({"add": ("--ro-bind", "/var", "/var")}, {"mounts"}),
    "a writable folder of the host": ({"add": ("--bind", "/tmp", "/opt")}, {"mounts"}),
    "a device": ({"add": ("--dev-bind", "/dev/zero", "/dev/disk0")}, {"mounts", "devices"}),
    "another host name": ({"add": ("--hostname", "intranet")}, {"host_name"}),
}


@pytest.mark.parametrize("case", ARGUMENTS)
async def test_bubblewrap_with_other_arguments_is_refused(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What bubblewrap was told beyond the profile is seen from inside and outside."""
    changes, controls = ARGUMENTS[case]
    backend = Bubblewrap()
    available(backend)
    alter_arguments(monkeypatch, **changes)
    await refused(backend, controls)


@pytest.mark.parametrize("namespace", ["net", "ipc", "uts", "cgroup"])
async def test_bubblewrap_that_shares_a_namespace_does_not_start(
    namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A namespace that is the host's own cannot be joined by the guest, so there is none."""
    backend = Bubblewrap()
    available(backend)
    alter_arguments(monkeypatch, drop=f"--unshare-{namespace}")
    assert "not in force" not in await refused(backend, set())


GUEST: dict[str, tuple[str, str, str, set[str]]] = {
    "no seccomp": (
        "hardening",
        "seccomp.install(filters)",
        "-1",
        {"guest_seccomp", "guest_seccomp_outside", "seccomp_filters", "system_calls"},
    ),
    "bounding set kept": (
        "hardening",
        "_prctl(_PR_CAPBSET_DROP, number)",
        "pass",
        {"bounding_capabilities"},
    ),
    "user namespaces": ("hardening", 'file.write("0")', 'file.write("5")', {"user_namespaces"}),
    "unbounded files": ("hardening", ",nr_inodes={inodes}", "", {"space_work", "space_tmp"}),
    "a larger folder": ("hardening", "size={size}", "size=99999744", {"space_work", "space_tmp"}),
    "no limit of open files": (
        "hardening",
        "in limits.items()",
        'in {**limits, "RLIMIT_NOFILE": 999}.items()',
        {"open_files"},
    ),
    "core dumps": (
        "hardening",
        "in limits.items()",
        'in {**limits, "RLIMIT_CORE": 4096}.items()',
        {"core_size"},
    ),
    "no limit of files' size": (
        "hardening",
        "in limits.items()",
        'in {**limits, "RLIMIT_FSIZE": 2**40}.items()',
        {"file_size"},
    ),
    "no limit of time": (
        "hardening",
        "in limits.items()",
        'in {**limits, "RLIMIT_CPU": 9999}.items()',
        {"cpu_time"},
    ),
    "no limit of processes": (
        "hardening",
        "in limits.items()",
        'in {k: v for k, v in limits.items() if k != "RLIMIT_NPROC"}.items()',
        {"user_processes"},
    ),
    "the guest's user": (
        "command",
        "        os.setresuid(AGENT_UID, AGENT_UID, AGENT_UID)\n",
        "",
        {"agent_user", "agent_capabilities"},
    ),
    "the guest's group": (
        "command",
        "        os.setresgid(AGENT_UID, AGENT_UID, AGENT_UID)\n",
        "",
        {"agent_user"},
    ),
    "open descriptors": ("command", "        os.closerange(3, 1024)\n", "", {"descriptors"}),
    "a variable": (
        "command",
        '    "USER": "agent",\n',
        '    "USER": "agent", "KEY": "1",\n',
        {"environment"},
    ),
}


@pytest.mark.parametrize("case", GUEST)
async def test_guest_that_leaves_a_control_out_is_refused(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the guest was to put in force itself is judged by what the kernel says of the agent."""
    module, old, new, controls = GUEST[case]
    backend = Bubblewrap()
    available(backend)
    alter_guest(monkeypatch, module, old, new)
    await refused(backend, controls)


def _exempt(*names: str) -> dict[str, bytes]:
    machine, exempt = os.uname().machine, frozenset(names)
    return {"notify": seccomp_program.program(machine, notify=True, exempt=exempt)}


FILTERS: dict[str, tuple[bool, Callable[[], dict[str, Any]], str]] = {
    "a call more": (True, lambda: _exempt("quotactl_fd"), "system_calls"),
    "all calls that have names": (True, lambda: _exempt(*system_calls()), "system_calls"),
    "what a tracer would refuse": (False, lambda: _exempt(*TRACERS_OWN), "system_calls"),
    "another error": (True, lambda: {"eperm": []}, "system_calls"),
    "no record": (True, lambda: {"notify": _of_this_machine()["errno"]}, "refused_calls"),
}


def _of_this_machine() -> Mapping[str, Any]:
    return seccomp_program.filters(traced=True)[os.uname().machine]


@pytest.mark.parametrize("case", FILTERS)
async def test_guest_with_another_filter_is_refused(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The filter that is in force is tried by a process of the agent, and judged by the list."""
    traced, changes, control = FILTERS[case]
    backend = Bubblewrap()
    available(backend)
    machine, usual = os.uname().machine, seccomp_program.filters(traced=traced)
    changed = {**usual, machine: {**usual[machine], **changes()}}
    monkeypatch.setattr(seccomp_program, "filters", lambda **_: changed)
    await refused(backend, {control}, traced=traced)


async def test_guest_on_another_architecture_does_not_serve(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where there is no filter for the machine, there is no container."""
    backend = Bubblewrap()
    available(backend)
    usual = seccomp_program.filters(traced=True)
    others = {name: given for name, given in usual.items() if name != os.uname().machine}
    monkeypatch.setattr(seccomp_program, "filters", lambda **_: others)
    assert "no seccomp filter for the architecture" in await refused(backend, set())


async def test_guest_outside_its_cgroup_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cgroup bounds nothing that is not in it."""
    backend = Bubblewrap()
    available(backend)
    needs_cgroups()
    usual = uid_map.request
    monkeypatch.setattr(uid_map, "request", lambda _: usual(Joining()))
    await refused(backend, {"cgroup"})


_UNBOUNDED = {
    "memory": {"memory.limit_in_bytes": "-1", "memory.max": "max"},
    "processes": {"pids.max": "max"},
    "cpu": {"cpu.cfs_quota_us": "-1", "cpu.max": "max 100000"},
}


@pytest.mark.parametrize("control", _UNBOUNDED)
async def test_cgroup_with_other_limits_is_refused(
    control: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit is what the kernel says it is, not what was once written."""
    backend = Bubblewrap()
    available(backend)
    needs_cgroups()
    usual = cgroup.make

    def make(name: str, limits: Mapping[str, int]) -> Cgroup | None:
        group = usual(name, limits)
        for folder in group.folders if group else ():
            for file, value in _UNBOUNDED[control].items():
                if (folder / file).exists():
                    (folder / file).write_text(value)
        return group

    monkeypatch.setattr(cgroup, "make", make)
    await refused(backend, {control})
