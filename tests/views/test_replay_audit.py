"""The audit of a container in a replay."""

from __future__ import annotations

from sandbox.trace.run_events import ControlState
from sandbox.views.replay import controls


def test_controls_are_told_by_source() -> None:
    """Each source has a line that names its controls and what it found."""
    data: dict[str, ControlState | str] = {
        "root": {"found": "read-only", "source": "agent"},
        "network": {"found": "none", "source": "engine"},
        "devices": {"declared": "at most null, zero", "found": "null", "source": "agent"},
    }
    assert controls(data) == [
        "agent: root read-only; devices null",
        "engine: network none",
    ]


def test_controls_of_older_traces_are_told() -> None:
    """A trace of version 0.1 holds a text for each control."""
    assert controls({"network": "none", "seccomp": "2"}) == ["controls: network none; seccomp 2"]
