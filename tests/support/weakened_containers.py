"""Containers that are started otherwise than their profile declares; the audit must see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from sandbox.isolation import bubblewrap, guest_payload
from sandbox.isolation.audit.engine import HostSettings
from sandbox.isolation.base import ContainerSpec
from sandbox.isolation.docker import Docker
from sandbox.isolation.gvisor import Gvisor
from sandbox.isolation.zygote_client import Program
from sandbox.scenario.bounds import Bounds

GUEST = Path(guest_payload.__file__).resolve().parent.parent / "guest"


class AlteredDocker(Docker):
    """Asks the engine for something else than the profile."""

    def __init__(self, host: Mapping[str, Any], container: Mapping[str, Any]) -> None:
        super().__init__()
        self._host = host
        self._container = container

    def _host_config(self, bounds: Bounds) -> HostSettings:
        return {**super()._host_config(bounds), **self._host}

    def _request(self, spec: ContainerSpec) -> dict[str, object]:
        return {**super()._request(spec), **self._container}


class AlteredGvisor(AlteredDocker, Gvisor):
    """The same under gVisor."""

    def __init__(self, host: Mapping[str, Any], container: Mapping[str, Any]) -> None:
        Gvisor.__init__(self)
        self._host = host
        self._container = container


def alter_arguments(
    patch: pytest.MonkeyPatch, *, drop: str = "", add: tuple[str, ...] = ()
) -> None:
    """Start bubblewrap with one argument less, or with others after its own."""
    usual = bubblewrap._program()
    kept = tuple(argument for argument in usual.bubblewrap if argument != drop)
    _alter_program(patch, replace(usual, bubblewrap=(*kept, *add)))


def alter_guest(patch: pytest.MonkeyPatch, module: str, old: str, new: str) -> None:
    """Send a launcher in whose guests one line of code is another."""
    text = (GUEST / f"{module}.py").read_text("utf-8")
    assert text.count(old) == 1, f"{old!r} is not in guest/{module}.py, once"
    changed = text.replace(old, new)
    usual = guest_payload._module

    @cache
    def altered(package: str, name: str, marshalled: bool) -> bytes:
        if (package, name) != ("guest", module):
            return usual(package, name, marshalled)
        return guest_payload._code(changed, f"guest/{name}.py", marshalled, optimize=2)

    patch.setattr(guest_payload, "_module", altered)
    _alter_program(patch, bubblewrap._program())


def _alter_program(patch: pytest.MonkeyPatch, program: Program) -> None:
    """Have containers made by a launcher of this program; the test must have a launcher of its own."""
    patch.setattr(bubblewrap, "_program", lambda: program)
