"""Judging what a Docker engine says of a container, in the manner of docker-bench-security.

The engine tells what it was asked for and accepted; what the kernel made of it is asked elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sandbox.isolation.audit.control import ENGINE, Control
from sandbox.isolation.audit.reports import ContainerInspection, validate_report

_MASKED = frozenset(
    {"/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"}
)
_READ_ONLY = frozenset({"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"})

_SAME = {
    "read_only_root": ("ReadonlyRootfs", "read_only"),
    "tmpfs": ("Tmpfs", "tmpfs"),
    "ipc_mode": ("IpcMode", "ipc_mode"),
    "pids_limit": ("PidsLimit", "pids_limit"),
    "memory_limit": ("Memory", "mem_limit"),
    "memory_and_swap_limit": ("MemorySwap", "memswap_limit"),
    "cpu_limit": ("NanoCpus", "nano_cpus"),
    "auto_remove": ("AutoRemove", "auto_remove"),
    "resolver": ("Dns", "dns"),
    "published_ports": ("PublishAllPorts", "publish_all_ports"),
}
"""Control → the engine's key, and the key of the declared settings."""
_ABSENT = {
    "privileged": ("Privileged",),
    "host_folders": ("Binds", "Mounts", "VolumesFrom"),
    "host_devices": ("Devices", "DeviceRequests", "DeviceCgroupRules"),
    "ports": ("PortBindings",),
    "links_and_hosts": ("Links", "ExtraHosts"),
    "pid_mode": ("PidMode",),
    "uts_mode": ("UTSMode",),
    "userns_mode": ("UsernsMode",),
    "groups": ("GroupAdd",),
    "sysctls": ("Sysctls",),
    "cgroup_parent": ("CgroupParent", "Cgroup"),
    "oom_kill_disabled": ("OomKillDisable",),
}
"""Control → keys of the engine that must be empty, false or missing."""


def judge(
    declared: Mapping[str, Any], state: Mapping[str, Any], image: str, image_environment: list[str]
) -> list[Control]:
    """Return the controls that ``docker inspect`` speaks of.

    Args:
        declared: The back end's settings, as the ``docker`` package takes them.
        state: What the engine says of the container.
        image: Digest of the image that was asked for.
        image_environment: The image's own variables, ``NAME=value``.

    Raises:
        IsolationError: The engine's answer is not of the form that is known.
    """
    told = validate_report(ContainerInspection, state, "the engine's account of the container")
    host, config = state["HostConfig"], told["Config"]
    return [
        *(Control.equal(n, declared[ours], host[key], ENGINE) for n, (key, ours) in _SAME.items()),
        *(Control.equal(n, {}, _there(host, keys), ENGINE) for n, keys in _ABSENT.items()),
        *_privileges(declared, host),
        *_network(declared, state),
        *_paths(host),
        *_limits(declared, host),
        Control.equal("mounted", [], told["Mounts"], ENGINE),
        Control.equal("volumes", [], sorted(config["Volumes"] or ()), ENGINE),
        Control.equal("user", "0:0", config["User"], ENGINE),
        Control.equal("terminal", False, config["Tty"], ENGINE),
        Control.equal("image", image, told["Image"], ENGINE),
        _environment(config["Env"] or [], image_environment),
    ]


def _there(host: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: host[key] for key in keys if host.get(key)}


def _privileges(declared: Mapping[str, Any], host: Mapping[str, Any]) -> Iterator[Control]:
    for name, key, ours in (
        ("dropped_capabilities", "CapDrop", "cap_drop"),
        ("added_capabilities", "CapAdd", "cap_add"),
    ):
        yield Control.equal(name, _names(declared[ours]), _names(host[key]), ENGINE)
    options = sorted(declared["security_opt"])
    yield Control.equal("security_options", options, sorted(host["SecurityOpt"] or ()), ENGINE)
    if declared.get("runtime"):
        yield Control.equal("runtime", declared["runtime"], host.get("Runtime", ""), ENGINE)
    if declared.get("cgroupns"):
        yield Control.equal(
            "cgroupns_mode", declared["cgroupns"], host.get("CgroupnsMode", ""), ENGINE
        )


def _names(capabilities: list[str] | None) -> list[str]:
    return sorted(name.upper().removeprefix("CAP_") for name in capabilities or ())


def _network(declared: Mapping[str, Any], state: Mapping[str, Any]) -> Iterator[Control]:
    mode = declared["network_mode"]
    yield Control.equal("network", mode, state["HostConfig"]["NetworkMode"], ENGINE)
    networks = sorted(state["NetworkSettings"]["Networks"] or ())
    yield Control.equal("networks", [mode], networks, ENGINE)


def _paths(host: Mapping[str, Any]) -> Iterator[Control]:
    for name, key, wanted in (
        ("masked_paths", "MaskedPaths", _MASKED),
        ("read_only_paths", "ReadonlyPaths", _READ_ONLY),
    ):
        there = set(host[key] or ())
        yield Control(
            name,
            f"at least {', '.join(sorted(wanted))}",
            ", ".join(sorted(there)) or "none",
            ENGINE,
            wanted <= there,
        )


def _limits(declared: Mapping[str, Any], host: Mapping[str, Any]) -> Iterator[Control]:
    def told(limits: list[dict[str, Any]] | None) -> dict[str, str]:
        return {limit["Name"]: f"{limit['Soft']} to {limit['Hard']}" for limit in limits or ()}

    wanted, there = told(declared["ulimits"]), told(host["Ulimits"])
    # an engine may have limits of its own beside these
    found = {name: there.get(name, "not set") for name in wanted}
    yield Control.equal("ulimits", wanted, found, ENGINE)


def _environment(there: list[str], image: list[str]) -> Control:
    """Only names are told: a value that slipped in may be a secret, and the audit is stored."""
    names = [sorted(entry.split("=")[0] for entry in entries) for entries in (image, there)]
    declared, found = (", ".join(entry) or "none" for entry in names)
    return Control("container_environment", declared, found, ENGINE, sorted(there) == sorted(image))
