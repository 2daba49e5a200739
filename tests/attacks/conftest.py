"""The runner of the selected probes on each back end."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from sandbox.isolation.base import Backend
from tests.support.attacks import results
from tests.support.attacks.honeypot import Honeypot
from tests.support.attacks.probe import Probe
from tests.support.attacks.probe_runner import ProbeRunner
from tests.support.containers import BACKENDS

PARAMETERS = [
    pytest.param(
        name,
        marks=[
            pytest.mark.xdist_group(f"attacks-{name}"),  # one worker plays all probes of a back end
            *(() if name == "bubblewrap" else (pytest.mark.docker,)),
            *((pytest.mark.gvisor,) if name == "gvisor" else ()),
        ],
    )
    for name in BACKENDS
]


@pytest.fixture(scope="session")
def honeypot() -> Iterator[Honeypot]:
    """A secret and sockets on the host, which nobody inside may find."""
    with Honeypot() as opened:
        yield opened


@pytest.fixture(scope="session", params=PARAMETERS)
def engine(request: pytest.FixtureRequest) -> Backend:
    """Each back end in turn; a missing one is a skip on a laptop and a failure in CI."""
    made = BACKENDS[request.param]()
    if reason := made.unavailable():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(
            f"{request.param}: {reason}"
        )
    return made


@pytest.fixture(scope="session")
def outcomes(engine: Backend) -> Iterator[dict[str, str]]:
    """Probe → what came of it on this back end; kept at the end where the environment asks for it."""
    found: dict[str, str] = {}
    yield found
    results.keep(engine.name, found)


@pytest.fixture(scope="session")
def probe_runner(
    request: pytest.FixtureRequest,
    engine: Backend,
    honeypot: Honeypot,
    tmp_path_factory: pytest.TempPathFactory,
) -> ProbeRunner:
    """Plays those probes that this session has collected."""
    collected: dict[str, Probe] = {}
    for item in request.session.items:
        called = getattr(item, "callspec", None)
        probe = called.params.get("probe") if called else None
        if isinstance(probe, Probe):
            collected[probe.id] = probe
    return ProbeRunner(engine, collected.values(), tmp_path_factory.mktemp("attacks"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the load tests out unless they are asked for by name: they take many minutes."""
    if "load" in str(config.getoption("markexpr")):
        return
    left_out = [item for item in items if item.get_closest_marker("load")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
