"""Judging what a Docker engine says of a container, in the manner of docker-bench-security.

The engine tells what it was asked for and accepted; what the kernel made of it is examined elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import cast

from sandbox.isolation.audit.control import ENGINE, Control, text
from sandbox.isolation.audit.reports import ContainerInspection, EngineLimit, validate_report

HostSettings = dict[str, object]
"""Settings of a container on its host, as the ``docker`` package takes them."""

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
_OPTIONAL = {"runtime": ("Runtime", "runtime"), "cgroupns_mode": ("CgroupnsMode", "cgroupns")}
"""The same for settings that may be left to the engine."""
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
    declared: HostSettings, state: object, image: str, image_environment: list[str]
) -> list[Control]:
    """Return the controls that ``docker inspect`` speaks of.

    Args:
        declared: The back end's settings.
        state: What the engine says of the container.
        image: Digest of the image that was asked for.
        image_environment: The image's own variables, ``NAME=value``.

    Raises:
        IsolationError: The engine's answer is not of the form that is known.
    """
    report = validate_report(ContainerInspection, state, "the engine's account of the container")
    host, config = report["HostConfig"], report["Config"]
    actual = cast("Mapping[str, object]", host)
    networks = sorted(report["NetworkSettings"]["Networks"] or ())
    limits, engine_limits = _limits(declared["ulimits"]), _limits(host["Ulimits"])
    return [
        *(_equal(n, declared[ours], actual[key]) for n, (key, ours) in _SAME.items()),
        *(_equal(n, {}, _present(actual, keys)) for n, keys in _ABSENT.items()),
        _equal("dropped_capabilities", _names(declared["cap_drop"]), _names(host["CapDrop"])),
        _equal("added_capabilities", _names(declared["cap_add"]), _names(host["CapAdd"])),
        _equal("security_options", _sort(declared["security_opt"]), _sort(host["SecurityOpt"])),
        *(
            _equal(name, declared[ours], actual.get(key, ""))
            for name, (key, ours) in _OPTIONAL.items()
            if declared.get(ours)
        ),
        _equal("network", declared["network_mode"], host["NetworkMode"]),
        _equal("networks", [declared["network_mode"]], networks),
        _at_least("masked_paths", _MASKED, host["MaskedPaths"]),
        _at_least("read_only_paths", _READ_ONLY, host["ReadonlyPaths"]),
        # an engine may have limits of its own beside these
        _equal("ulimits", limits, {name: engine_limits.get(name, "not set") for name in limits}),
        _equal("mounted", [], report["Mounts"]),
        _equal("volumes", [], sorted(config["Volumes"] or ())),
        _equal("user", "0:0", config["User"]),
        _equal("terminal", False, config["Tty"]),
        _equal("image", image, report["Image"]),
        _environment(config["Env"] or [], image_environment),
    ]


_equal = partial(Control.equal, source=ENGINE)


def _present(host: Mapping[str, object], keys: tuple[str, ...]) -> dict[str, object]:
    return {key: host[key] for key in keys if host.get(key)}


def _sort(texts: object) -> list[str]:
    return sorted(cast("list[str] | None", texts) or ())


def _names(capabilities: object) -> list[str]:
    return sorted(name.upper().removeprefix("CAP_") for name in _sort(capabilities))


def _limits(limits: object) -> dict[str, str]:
    known = cast("list[EngineLimit] | None", limits) or ()
    return {limit["Name"]: f"{limit['Soft']} to {limit['Hard']}" for limit in known}


def _at_least(name: str, paths: frozenset[str], actual: list[str] | None) -> Control:
    least = f"at least {', '.join(sorted(paths))}"
    return Control(name, least, text(_sort(actual)), ENGINE, paths <= set(actual or ()))


def _environment(actual: list[str], image: list[str]) -> Control:
    """Only names are written: a value that slipped in may be a secret, and the audit is stored."""
    declared, found = (
        text(sorted(entry.split("=")[0] for entry in entries)) for entries in (image, actual)
    )
    return Control(
        "container_environment", declared, found, ENGINE, sorted(actual) == sorted(image)
    )
