"""Judging recorded reports: as they were found, and with one thing in each other than it was."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.errors import IsolationError
from sandbox.isolation.audit import engine, inside
from sandbox.isolation.audit.control import Control, settle
from sandbox.isolation.audit.mounts import (
    MountRule,
    parse_mountinfo,
    unexpected,
    virtual_file_system,
)
from sandbox.isolation.confinement import Confinement
from sandbox.isolation.docker import _MOUNTS, host_config
from sandbox.isolation.gvisor import _DEVICES as _GVISOR_DEVICES
from sandbox.isolation.gvisor import _MOUNTS as _GVISOR_MOUNTS
from sandbox.scenario.bounds import Bounds

REPORTS = Path(__file__).parent / "reports"
DOCKER = inside.Inside(
    Bounds(),
    Confinement(),
    mounts=_MOUNTS,
    guest_environment=frozenset({"HOME", "HOSTNAME", "LC_CTYPE", "PATH"}),
    namespaces=("ipc", "mnt", "net", "pid", "uts"),
    filters=2,
)
GVISOR = replace(
    DOCKER,
    mounts=_GVISOR_MOUNTS,
    confinement=Confinement(memory_bytes=Bounds().memory_bytes, processes=Bounds().processes),
    namespaces=(),
    filters=0,
    host_kernel="6.1.0-generic",
    bounds_inodes=False,
    devices=_GVISOR_DEVICES,
)


def recorded(name: str) -> dict[str, Any]:
    """Return a recorded report."""
    found: dict[str, Any] = json.loads((REPORTS / f"{name}.json").read_text("utf-8"))
    return found


def failing(controls: list[Control]) -> set[str]:
    """Return the names of what is not in force."""
    return {control.name for control in controls if not control.holds}


def with_change(data: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a copy in which one field, named with dots, is another."""
    made = copy.deepcopy(data)
    *way, last = path.split(".")
    at: Any = made
    for key in way:
        at = at[key]
    at[last] = value
    return made


@pytest.mark.parametrize(("name", "expected"), [("docker", DOCKER), ("gvisor", GVISOR)])
def test_recorded_reports_hold(name: str, expected: inside.Inside) -> None:
    """What a good container reports is judged good."""
    assert failing(inside.judge(expected, recorded(name))) == set()


@pytest.mark.parametrize(
    ("mounts", "writable", "control"),
    [
        (
            "1 0 8:1 / / ro - ext4 /dev/sda ro\n2 1 8:1 /x /run/world ro - ext4 /dev/sda ro\n",
            [],
            "mounts",
        ),
        (
            "1 0 8:1 / / ro - ext4 /dev/sda ro\n2 1 0:2 / /run/world rw - tmpfs tmpfs rw\n",
            ["/run/world"],
            "writable",
        ),
    ],
)
def test_folder_of_the_certificate_is_a_tmpfs_of_the_guest_alone(
    mounts: str, writable: list[str], control: str
) -> None:
    """Nothing else may be mounted there, and the agent may not write to it."""
    report = with_change(recorded("docker"), "agent.mounts", mounts)
    report = with_change(report, "agent.writable", sorted([*writable, "/tmp", "/work"]))
    assert failing(inside.judge(DOCKER, report)) == {control}


INSIDE: dict[str, tuple[str, Any]] = {
    "agent_user": ("agent.uids", ["1000", "1000", "1000", "0"]),
    "agent_capabilities": ("agent.inheritable", "0000000000000001"),
    "bounding_capabilities": ("agent.bounding", "000001ffffffffff"),
    "guest_capabilities": ("effective", "000001ffffffffff"),
    "no_new_privs": ("agent.no_new_privs", "0"),
    "guest_no_new_privs": ("no_new_privs", "0"),
    "seccomp": ("agent.seccomp", "0"),
    "guest_seccomp": ("seccomp", "1"),
    "seccomp_filters": ("agent.filters", "1"),
    "system_calls": ("agent.trials", [1, 38, 22]),
    "refused_calls": ("notices", [443]),
    "namespaces": ("agent.namespaces", {}),
    "process_tree": ("agent.processes", 3),
    "host_name": ("agent.host", "vm"),
    "interfaces": ("agent.interfaces", ["lo", "eth0"]),
    "keyrings": ("agent.keys", ["1000 1000 user token: 8"]),
    "writable": ("agent.writable", ["/dev/shm", "/tmp", "/work"]),
    "space_work": ("agent.space", {"/work": [67108864, 0], "/tmp": [67108864, 8192]}),
    "open_files": ("agent.limits.files", [256, 1024]),
    "file_size": ("agent.limits.file_bytes", [-1, -1]),
    "cpu_time": ("agent.limits.cpu_seconds", [-1, -1]),
    "core_size": ("agent.limits.core_bytes", [-1, -1]),
    "descriptors": ("agent.descriptors", [0, 1, 2, 7]),
    "environment": ("agent.environment", ["API_KEY"]),
    "guest_environment": ("agent.guest_environment", ["PATH", "AWS_SECRET_ACCESS_KEY"]),
    "devices": ("agent.devices", ["null", "sda"]),
    "mounts": (
        "agent.mounts",
        "1 0 8:1 / / ro - ext4 /dev/sda1 ro\n2 1 8:1 /home /mnt ro - ext4 /dev/sda1 ro\n",
    ),
    "root": ("agent.mounts", "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"),
}


@pytest.mark.parametrize("control", INSIDE)
def test_each_control_inside_is_judged(control: str) -> None:
    """One thing other than declared fails the control of that name."""
    path, value = INSIDE[control]
    found = failing(inside.judge(DOCKER, with_change(recorded("docker"), path, value)))
    assert control in found
    assert found <= {control, "mounts"}


def test_kernel_of_the_host_is_no_gvisor() -> None:
    """Where the agent must have a kernel of its own, that of the engine's machine fails."""
    expected = replace(DOCKER, host_kernel="6.1.0-generic")
    assert failing(inside.judge(expected, recorded("docker"))) == {"kernel"}


ENGINE: dict[str, tuple[str, Any]] = {
    "privileged": ("HostConfig.Privileged", True),
    "host_devices": ("HostConfig.DeviceRequests", [{"Count": -1}]),
    "host_folders": ("HostConfig.VolumesFrom", ["other"]),
    "mounted": ("Mounts", [{"Source": "/", "Destination": "/mnt"}]),
    "ports": ("HostConfig.PortBindings", {"80/tcp": [{"HostPort": "80"}]}),
    "links_and_hosts": ("HostConfig.Links", ["/db:/world/db"]),
    "pid_mode": ("HostConfig.PidMode", "host"),
    "uts_mode": ("HostConfig.UTSMode", "host"),
    "userns_mode": ("HostConfig.UsernsMode", "host"),
    "oom_kill_disabled": ("HostConfig.OomKillDisable", True),
    "masked_paths": ("HostConfig.MaskedPaths", None),
    "read_only_paths": ("HostConfig.ReadonlyPaths", []),
    "networks": ("NetworkSettings.Networks", {"none": {}, "bridge": {}}),
    "user": ("Config.User", "1000"),
    "terminal": ("Config.Tty", True),
    "image": ("Image", "sha256:other"),
    "container_environment": ("Config.Env", ["TOKEN=secret"]),
}


@pytest.mark.parametrize("control", ["", *ENGINE])
def test_each_control_of_the_engine_is_judged(control: str) -> None:
    """The engine's account holds as recorded; one thing other fails the control of that name."""
    state = recorded("inspect")
    image = state["Image"]
    if control:
        state = with_change(state, *ENGINE[control])
    controls = engine.judge(host_config(Bounds(), None), state, image, [])
    assert failing(controls) == ({control} if control else set())
    assert "secret" not in str(controls)


def test_every_failed_control_is_named() -> None:
    """The error tells each control with what was declared and found."""
    controls = [
        Control.equal("root", "read-only", "writable", "agent"),
        Control.equal("network", "none", "bridge", "engine"),
        Control.equal("seccomp", "2", "2", "agent"),
    ]
    with pytest.raises(IsolationError) as caught:
        settle(controls)
    assert "root (declared: read-only; found by the agent: writable)" in str(caught.value)
    assert "network (declared: none; found by the engine: bridge)" in str(caught.value)
    assert "seccomp" not in str(caught.value)


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none() | st.lists(st.text())))
def test_report_of_another_form_is_refused(report: Mapping[str, Any]) -> None:
    """Nonsense in place of a report is an error of isolation, never a pass and never a crash."""
    with pytest.raises(IsolationError):
        inside.judge(DOCKER, report)
    with pytest.raises(IsolationError):
        engine.judge(host_config(Bounds(), None), dict(report), "", [])


@pytest.mark.parametrize(
    "field", sorted(json.loads((REPORTS / "docker.json").read_text())["agent"])
)
def test_report_without_a_field_is_refused(field: str) -> None:
    """What a guest does not tell is not taken for good."""
    report = recorded("docker")
    del report["agent"][field]
    with pytest.raises(IsolationError):
        inside.judge(
            replace(DOCKER, host_kernel="5.0", confinement=Confinement(embedded=True)), report
        )


@pytest.mark.parametrize(
    ("path", "value"), [("machine", "vax"), ("agent.trials", []), ("agent.namespaces", {"net": 1})]
)
def test_report_of_another_shape_is_refused(path: str, value: Any) -> None:
    """What a guest reports is read only after its shape is checked: no other error comes of it."""
    with pytest.raises(IsolationError, match="cannot be read"):
        inside.judge(DOCKER, with_change(recorded("docker"), path, value))


def test_mount_rules_ask_for_place_kind_and_rights() -> None:
    """A mount is allowed by one rule as a whole, not by parts of several."""
    rules = (MountRule("/usr"), virtual_file_system("/work", "tmpfs"))
    text = (
        "1 0 8:1 /usr /usr ro,nosuid - ext4 /dev/sda rw\n"
        "2 0 0:2 / /work rw - tmpfs tmpfs rw\n"
        "3 0 8:1 / /usr/x ro - ext4 /dev/sda ro\n"
        "4 0 8:1 / /work rw - ext4 /dev/sda rw\n"
        "5 0 8:1 /usr /usr rw,master:2 shared:1 - ext4 /dev/sda rw\n"
    )
    found = unexpected(parse_mountinfo(text), rules)
    assert found == ["/usr/x (ext4, read-only)", "/work (ext4, writable)", "/usr (ext4, writable)"]


def test_a_fault_of_the_audit_is_none_of_the_container() -> None:
    """What a report may hold is looked at first; what then fails is our own, and comes out as it is."""
    with pytest.raises(KeyError):
        engine.judge({}, recorded("inspect"), "", [])
    with pytest.raises(AttributeError):
        inside.judge(replace(DOCKER, bounds=None), recorded("docker"))  # type: ignore[arg-type]
