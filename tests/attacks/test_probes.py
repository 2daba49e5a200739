"""Every probe on every back end: it is held, and the trace holds what it tried."""

from __future__ import annotations

import pytest

from sandbox.isolation.base import Backend
from tests.attacks.probes import PROBES, RECORDING
from tests.support.attacks.honeypot import Honeypot
from tests.support.attacks.probe import Probe
from tests.support.attacks.probe_runner import LAST, ProbeRunner

NOT_THERE = "ENOENT"
"""Looking for a file that is not there is no effect: no trace could hold all of that."""
EACH = pytest.mark.parametrize("probe", PROBES, ids=[probe.id for probe in PROBES])


@EACH
def test_probe_is_held(
    engine: Backend,
    probe_runner: ProbeRunner,
    honeypot: Honeypot,
    outcomes: dict[str, str],
    probe: Probe,
) -> None:
    """What the probe tries is denied in a way that it names, and nobody touched the host's honeypot."""
    played = probe_runner.played(probe)
    seen = played.seen(probe)
    came_to = probe.outcome(seen)
    outcomes[probe.id] = came_to
    said = "\n".join(str(result["text"])[-2000:] for result in seen.results)
    assert came_to in probe.expects(engine.name), f"{said}\n{seen.reason}"
    assert honeypot.came == []


@EACH
def test_probe_is_on_record(engine: Backend, probe_runner: ProbeRunner, probe: Probe) -> None:
    """Each call has its intent and its result in a trace that verifies; effects are recorded."""
    played = probe_runner.played(probe)
    assert played.sound is None
    assert played.recorded(probe)
    seen = played.seen(probe)
    expected = [
        record
        for record in probe.record
        if record.kind != "file" or probe.outcome(seen) != NOT_THERE
    ]
    if engine.name in RECORDING:
        assert [str(r) for r in expected if not r.among(seen.effects)] == [], seen.effects


def test_what_shares_a_container_does_it_no_harm(
    engine: Backend, probe_runner: ProbeRunner
) -> None:
    """After all the probes that share a container, it serves as before."""
    ends = {
        played.run: played.results.get(f"{LAST}#0", {"text": played.reason})["text"]
        for probe in PROBES
        if not probe.alone and probe_runner.has(probe)
        for played in [probe_runner.played(probe)]
    }
    assert set(ends.values()) <= {"exit code: 0\nstdout:\nfine"}
