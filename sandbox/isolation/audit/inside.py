"""Judging what a process of the agent found about itself (``sandbox.guest.audit``)."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from sandbox.errors import IsolationError
from sandbox.guest.command import ENVIRONMENT
from sandbox.guest.hardening import AGENT_UID, CAPABILITIES
from sandbox.guest.relay import TRUSTING
from sandbox.isolation import seccomp_profile
from sandbox.isolation.audit.control import AGENT, GUEST, Control, unshared
from sandbox.isolation.audit.kernel import own_namespaces
from sandbox.isolation.audit.mounts import MountRule, parse_mountinfo, unexpected
from sandbox.isolation.audit.reports import AgentReport, GuestReport, validate_report
from sandbox.isolation.confinement import Confinement
from sandbox.isolation.seccomp_profile import SystemCall
from sandbox.scenario.bounds import Bounds

_NONE = "0" * 16
_GUEST_MASK = f"{sum(1 << number for number in CAPABILITIES.values()):016x}"
_DEVICES = frozenset(
    [
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
    ]
)


@dataclass(frozen=True)
class Inside:
    """What holds inside the containers of a back end."""

    bounds: Bounds
    confinement: Confinement
    mounts: tuple[MountRule, ...]
    guest_environment: frozenset[str]
    namespaces: tuple[str, ...]
    """That must not be those of this process; none if the agent has a kernel of its own."""
    filters: int
    """Least number of seccomp filters; 0 if the kernel does not count them."""
    traced: bool = True
    """Whether a tracer refuses what it needs itself, and not the filter."""
    host_kernel: str = ""
    """Release of the engine's kernel, if the agent must not be on it."""
    bounds_inodes: bool = True
    interfaces: frozenset[str] = frozenset({"lo"})
    environment: frozenset[str] = frozenset({*ENVIRONMENT, *TRUSTING})
    """Names of the variables that commands may be given."""
    keys: frozenset[str] = frozenset()
    """That the agent may see: uid, gid, type and description of each, as in ``/proc/keys``."""
    devices: frozenset[str] = _DEVICES
    writable: tuple[str, ...] = field(default=("/tmp", "/work"))


def judge(expected: Inside, report: object) -> list[Control]:
    """Return the controls that a guest's report speaks of.

    Raises:
        IsolationError: The report is not of the form that a guest's report has.
    """
    known = validate_report(GuestReport, report, "the guest's audit")
    agent = known["agent"]
    return [
        *_privileges(expected, known),
        *_system_calls(expected, known),
        *_isolation(expected, agent),
        *_files(expected, agent),
        *_limits(expected, agent["limits"]),
        _agent("descriptors", [0, 1, 2], agent["descriptors"]),
        _agent_at_most("environment", expected.environment, agent["environment"]),
        _guest_at_most("guest_environment", expected.guest_environment, agent["guest_environment"]),
        _agent_at_most("devices", expected.devices, agent["devices"]),
    ]


_agent, _guest = (partial(Control.equal, source=source) for source in (AGENT, GUEST))
_agent_at_most, _guest_at_most = (
    partial(Control.nothing_but, source=source) for source in (AGENT, GUEST)
)


def _privileges(expected: Inside, report: GuestReport) -> list[Control]:
    agent = report["agent"]
    declared = f"uid {AGENT_UID}, gid {AGENT_UID}, no other group"
    ids = [str(AGENT_UID)] * 4
    same = agent["uids"] == ids and agent["gids"] == ids and not agent["groups"]
    other = (
        f"uids {' '.join(agent['uids'])}, gids {' '.join(agent['gids'])}, groups {agent['groups']}"
    )
    held = {
        "inheritable": agent["inheritable"],
        "capabilities": agent["capabilities"],
        "effective": agent["effective"],
        "ambient": agent["ambient"],
    }
    guest = {
        "capabilities": report["capabilities"],
        "effective": report["effective"],
        "bounding": report["bounding"],
    }
    least, filters = expected.filters, int(agent["filters"] or 0)
    return [
        Control("agent_user", declared, declared if same else other, AGENT, same),
        _agent("agent_capabilities", {}, {n: v for n, v in held.items() if v not in ("", _NONE)}),
        _agent("bounding_capabilities", _GUEST_MASK, agent["bounding"]),
        _guest("guest_capabilities", dict.fromkeys(guest, _GUEST_MASK), guest),
        _agent("no_new_privs", "1", agent["no_new_privs"]),
        _guest("guest_no_new_privs", "1", report["no_new_privs"]),
        _agent("seccomp", "2", agent["seccomp"]),
        _guest("guest_seccomp", "2", report["seccomp"]),
        *([_at_least("seccomp_filters", least, filters)] if least else []),
    ]


def _at_least(name: str, least: int, actual: int) -> Control:
    return Control(name, f"at least {least}", str(actual), AGENT, actual >= least)


def _system_calls(expected: Inside, report: GuestReport) -> list[Control]:
    """What became of calls that the agent tried, against the list that the filter is made of."""
    machine = report["machine"]
    trials = [
        (seccomp_profile.find(machine, number), arguments)
        for number, arguments in seccomp_profile.trials(machine, traced=expected.traced)
    ]
    declared = [_outcome(call, arguments, call.answer(arguments)) for call, arguments in trials]
    errors = report["agent"]["trials"]
    if len(errors) != len(trials):
        raise IsolationError(
            "the guest's audit cannot be read: agent.trials: not one for each call"
        )
    actual = [_outcome(*trial, error) for trial, error in zip(trials, errors, strict=True)]
    # a kernel that cannot hand over what the filter refuses still refuses it
    how, notices = report["denials"], report["notices"]
    numbers = [call.numbers[machine] for call, _ in trials if not call.silent]
    holds = notices == (numbers if how == "recorded" else [])
    return [
        _agent("system_calls", declared, actual),
        Control("refused_calls", how, how if holds else f"{how}: {notices}", GUEST, holds),
    ]


def _outcome(call: SystemCall, arguments: Sequence[int], error: int) -> str:
    return f"{call.label(arguments)} {errno.errorcode.get(error, 'allowed')}"


def _isolation(expected: Inside, agent: AgentReport) -> Iterator[Control]:
    if expected.namespaces:
        ours, theirs = own_namespaces(), agent["namespaces"]
        shared = [n for n in expected.namespaces if theirs.get(n, "") in ("", ours[n])]
        yield unshared("namespaces", expected.namespaces, shared, AGENT)
    if host := expected.host_kernel:
        kernel = agent["kernel"]
        yield Control(
            "kernel", f"not the host's {host}", kernel, AGENT, not kernel.startswith(host)
        )
    if expected.confinement.embedded:
        yield _agent("user_namespaces", "0", agent["user_namespaces"])
    yield _agent("process_tree", "2 processes", f"{agent['processes']} processes")
    yield _agent("host_name", "world", agent["host"])
    yield _agent_at_most("interfaces", expected.interfaces, agent["interfaces"])
    yield _agent_at_most("keyrings", expected.keys, agent["keys"])


def _files(expected: Inside, agent: AgentReport) -> list[Control]:
    try:
        mounts = parse_mountinfo(agent["mounts"])
    except ValueError as error:
        raise IsolationError(f"the guest's audit cannot be read: agent.mounts: {error}") from error
    root = [mount for mount in mounts if mount.point == "/"]
    read_only = bool(root) and all(mount.read_only for mount in root)
    strange = unexpected(mounts, expected.mounts)
    profile = "only those of the profile"
    bounds = expected.bounds
    space = _space(bounds.tmpfs_bytes, bounds.tmpfs_inodes if expected.bounds_inodes else 0)
    return [
        _agent(
            "root", "read-only", "read-only" if read_only else "writable" if root else "not seen"
        ),
        Control("mounts", profile, "; ".join(strange) or profile, AGENT, not strange),
        _agent("writable", list(expected.writable), agent["writable"]),
        *(
            _agent(f"space_{path.strip('/')}", space, _space(*_pair(agent["space"], path)))
            for path in expected.writable
        ),
    ]


def _pair(pairs: Mapping[str, list[int]], key: str) -> list[int]:
    if key not in pairs:
        raise IsolationError(f"the guest's audit cannot be read: it tells nothing of {key}")
    return pairs[key]


def _space(size: int, inodes: int) -> str:
    return f"{size} bytes, {f'{inodes} inodes' if inodes else 'inodes not bounded'}"


def _limits(expected: Inside, actual: Mapping[str, list[int]]) -> Iterator[Control]:
    bounds, confinement = expected.bounds, expected.confinement
    for name, key, limit, unit in (
        ("open_files", "files", bounds.files, "open in each process"),
        ("file_size", "file_bytes", bounds.file_bytes, "bytes"),
        ("cpu_time", "cpu_seconds", bounds.cpu_seconds, "s in each process"),
        ("core_size", "core_bytes", 0, "bytes"),
        ("user_processes", "processes", confinement.processes or None, "of the agent"),
        ("process_memory", "memory_bytes", confinement.memory_bytes or None, "bytes in each"),
    ):
        if limit is not None:
            soft, hard = _pair(actual, key)
            value = str(soft) if soft == hard else f"{soft} to {hard}"
            yield _agent(name, f"rlimit, {limit} {unit}", f"rlimit, {value} {unit}")
