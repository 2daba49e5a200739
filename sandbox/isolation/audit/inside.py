"""Judging what a process of the agent found about itself (``sandbox.guest.audit``)."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.errors import IsolationError
from sandbox.guest.command import ENVIRONMENT
from sandbox.guest.hardening import AGENT_UID, CAPABILITIES
from sandbox.guest.relay import TRUSTING
from sandbox.isolation import seccomp_profile
from sandbox.isolation.audit.control import AGENT, GUEST, Control
from sandbox.isolation.audit.kernel import own_namespaces
from sandbox.isolation.audit.mounts import MountRule, parsed, unexpected
from sandbox.isolation.audit.reports import AgentReport, GuestReport, validate_report
from sandbox.isolation.seccomp_profile import SystemCall
from sandbox.scenario.bounds import Bounds

_NONE = "0" * 16
_GUEST_MASK = f"{sum(1 << number for number in CAPABILITIES.values()):016x}"
_DEVICES = frozenset(
    {
        "core",
        "fd",
        "full",
        "mqueue",
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


@dataclass(frozen=True)
class Inside:
    """What holds inside the containers of a back end."""

    bounds: Bounds
    mounts: tuple[MountRule, ...]
    limits: Mapping[str, int]
    """``processes`` and ``memory_bytes`` of each process; 0 where a cgroup bounds them instead."""
    guest_environment: frozenset[str]
    namespaces: tuple[str, ...]
    """That must not be those of this process; none where the agent has a kernel of its own."""
    filters: int
    """Least number of seccomp filters; 0 where the kernel does not count them."""
    traced: bool = True
    """Whether a tracer refuses what it needs itself, and not the filter."""
    host_kernel: str = ""
    """Release of the engine's kernel, where the agent must not be on it."""
    bounds_inodes: bool = True
    seals_user_namespaces: bool = False
    interfaces: frozenset[str] = frozenset({"lo"})
    environment: frozenset[str] = frozenset({*ENVIRONMENT, *TRUSTING})
    """Names of the variables that commands may be given."""
    keys: frozenset[str] = frozenset()
    """That the agent may see: uid, gid, type and description of each, as in ``/proc/keys``."""
    devices: frozenset[str] = _DEVICES
    writable: tuple[str, ...] = field(default=("/tmp", "/work"))


def judge(expected: Inside, report: Mapping[str, Any]) -> list[Control]:
    """Return the controls that a guest's report speaks of.

    Raises:
        IsolationError: The report is not of the form that a guest's report has.
    """
    told = validate_report(GuestReport, report, "the guest's audit")
    agent = told["agent"]
    return [
        *_identity(agent),
        *_privileges(expected, told),
        *_system_calls(expected, told),
        *_apart(expected, agent),
        *_files(expected, agent),
        *_limits(expected, agent["limits"]),
        *_given(expected, agent),
    ]


def _identity(agent: AgentReport) -> Iterator[Control]:
    wanted = [str(AGENT_UID)] * 4
    declared = f"uid {AGENT_UID}, gid {AGENT_UID}, no other group"
    same = agent["uids"] == wanted and agent["gids"] == wanted and not agent["groups"]
    found = (
        f"uids {' '.join(agent['uids'])}, gids {' '.join(agent['gids'])}, groups {agent['groups']}"
    )
    yield Control("agent_user", declared, declared if same else found, AGENT, same)


def _privileges(expected: Inside, report: GuestReport) -> Iterator[Control]:
    agent = report["agent"]
    sets = ("inheritable", "capabilities", "effective", "ambient")
    held = {name: agent[name] for name in sets if agent[name] not in ("", _NONE)}  # type: ignore[literal-required]
    yield Control.equal("agent_capabilities", {}, held, AGENT)
    yield Control.equal("bounding_capabilities", _GUEST_MASK, agent["bounding"], AGENT)
    found = {name: report[name] for name in ("capabilities", "effective", "bounding")}
    yield Control.equal("guest_capabilities", dict.fromkeys(found, _GUEST_MASK), found, GUEST)
    yield Control.equal("no_new_privs", "1", agent["no_new_privs"], AGENT)
    yield Control.equal("guest_no_new_privs", "1", report["no_new_privs"], GUEST)
    yield Control.equal("seccomp", "2", agent["seccomp"], AGENT)
    yield Control.equal("guest_seccomp", "2", report["seccomp"], GUEST)
    if expected.filters:
        count = int(agent["filters"] or 0)
        yield Control(
            "seccomp_filters",
            f"at least {expected.filters}",
            str(count),
            AGENT,
            count >= expected.filters,
        )


def _system_calls(expected: Inside, report: GuestReport) -> Iterator[Control]:
    """What became of calls that the agent tried, against the list that the filter is made of."""
    machine = report["machine"]
    trials = [
        (seccomp_profile.find(machine, number), arguments)
        for number, arguments in seccomp_profile.trials(machine, traced=expected.traced)
    ]
    declared = [_outcome(call, arguments, call.answer(arguments)) for call, arguments in trials]
    errors = report["agent"]["trials"]
    found = [_outcome(*trial, error) for trial, error in zip(trials, errors, strict=True)]
    yield Control.equal("system_calls", declared, found, AGENT)
    # a kernel that cannot hand over what the filter refuses still refuses it
    how, notices = report["denials"], report["notices"]
    wanted = [call.numbers[machine] for call, _ in trials if not call.silent]
    holds = notices == (wanted if how == "recorded" else [])
    yield Control("refused_calls", how, how if holds else f"{how}: {notices}", GUEST, holds)


def _outcome(call: SystemCall, arguments: Sequence[int], error: int) -> str:
    return f"{call.label(arguments)} {errno.errorcode.get(error, 'allowed')}"


def _apart(expected: Inside, agent: AgentReport) -> Iterator[Control]:
    if expected.namespaces:
        ours, theirs = own_namespaces(), agent["namespaces"]
        shared = [n for n in expected.namespaces if theirs.get(n, "") in ("", ours[n])]
        declared = f"own {', '.join(expected.namespaces)}"
        found = f"not its own: {', '.join(shared)}" if shared else declared
        yield Control("namespaces", declared, found, AGENT, not shared)
    if expected.host_kernel:
        own = not agent["kernel"].startswith(expected.host_kernel)
        found = agent["kernel"]
        yield Control("kernel", f"not the host's {expected.host_kernel}", found, AGENT, own)
    if expected.seals_user_namespaces:
        yield Control.equal("user_namespaces", "0", agent["user_namespaces"], AGENT)
    yield Control.equal("process_tree", "2 processes", f"{agent['processes']} processes", AGENT)
    yield Control.equal("host_name", "world", agent["host"], AGENT)
    yield Control.nothing_but("interfaces", expected.interfaces, agent["interfaces"], AGENT)
    yield Control.nothing_but("keyrings", expected.keys, agent["keys"], AGENT)


def _files(expected: Inside, agent: AgentReport) -> Iterator[Control]:
    try:
        mounts = parsed(agent["mounts"])
    except ValueError as error:
        raise IsolationError(f"the guest's audit cannot be read: agent.mounts: {error}") from error
    root = [mount for mount in mounts if mount.point == "/"]
    read_only = bool(root) and all(mount.read_only for mount in root)
    found = "read-only" if read_only else "writable" if root else "not seen"
    yield Control.equal("root", "read-only", found, AGENT)
    strange = unexpected(mounts, expected.mounts)
    declared = "only those of the profile"
    yield Control("mounts", declared, "; ".join(strange) or declared, AGENT, not strange)
    yield Control.equal("writable", list(expected.writable), agent["writable"], AGENT)
    bounds = expected.bounds
    inodes = bounds.tmpfs_inodes if expected.bounds_inodes else 0
    wanted = _space(bounds.tmpfs_bytes, inodes)
    for path in expected.writable:
        name = f"space_{path.strip('/')}"
        yield Control.equal(name, wanted, _space(*_of(agent["space"], path)), AGENT)


def _of(pairs: Mapping[str, list[int]], key: str) -> list[int]:
    if key not in pairs:
        raise IsolationError(f"the guest's audit cannot be read: it tells nothing of {key}")
    return pairs[key]


def _space(size: int, inodes: int) -> str:
    return f"{size} bytes, {f'{inodes} inodes' if inodes else 'inodes not bounded'}"


def _limits(expected: Inside, found: Mapping[str, list[int]]) -> Iterator[Control]:
    bounds = expected.bounds
    wanted = {
        "open_files": ("files", bounds.files, "open in each process"),
        "file_size": ("file_bytes", bounds.file_bytes, "bytes"),
        "cpu_time": ("cpu_seconds", bounds.cpu_seconds, "s in each process"),
        "core_size": ("core_bytes", 0, "bytes"),
    }
    if expected.limits.get("processes"):
        wanted["user_processes"] = ("processes", expected.limits["processes"], "of the agent")
    if expected.limits.get("memory_bytes"):
        wanted["process_memory"] = (
            "memory_bytes",
            expected.limits["memory_bytes"],
            "bytes in each",
        )
    for name, (key, value, unit) in wanted.items():
        soft, hard = _of(found, key)
        said = str(soft) if soft == hard else f"{soft} to {hard}"
        yield Control.equal(name, f"rlimit, {value} {unit}", f"rlimit, {said} {unit}", AGENT)


def _given(expected: Inside, agent: AgentReport) -> Iterator[Control]:
    yield Control.equal("descriptors", [0, 1, 2], agent["descriptors"], AGENT)
    yield Control.nothing_but("environment", expected.environment, agent["environment"], AGENT)
    names = agent["guest_environment"]
    yield Control.nothing_but("guest_environment", expected.guest_environment, names, GUEST)
    yield Control.nothing_but("devices", expected.devices, agent["devices"], AGENT)
