"""All probes, by family."""

from __future__ import annotations

from tests.attacks.probes import (
    archives,
    endings,
    forgery,
    kernel,
    leakage,
    network,
    output,
    privileges,
    procfs,
    resources,
    secrets,
    snapshots,
    sockets,
    tracer,
)
from tests.support.attacks.probe import Probe

FAMILIES: dict[str, tuple[Probe, ...]] = {
    "resources": resources.PROBES,
    "output": output.PROBES,
    "snapshot": snapshots.PROBES,
    "archives": archives.PROBES,
    "endings": endings.PROBES,
    "secrets": secrets.PROBES,
    "forgery": forgery.PROBES,
    "tracer": tracer.PROBES,
    "leakage": leakage.PROBES,
    "sockets": sockets.PROBES,
    "network": network.PROBES,
    "kernel": kernel.PROBES,
    "proc": procfs.PROBES,
    "privileges": privileges.PROBES,
}

PROBES: tuple[Probe, ...] = tuple(probe for probes in FAMILIES.values() for probe in probes)

RECORDING: tuple[str, ...] = ("docker", "bubblewrap")
"""Back ends whose effects of processes, files that are read, networks and denials are recorded."""
