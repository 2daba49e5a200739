"""What is sent to a container at its start."""

from __future__ import annotations

import marshal
from types import CodeType
from typing import Any

from sandbox.isolation import guest_payload
from sandbox.isolation.base import ContainerSpec
from sandbox.isolation.confinement import Confinement
from sandbox.scenario.loader import Loader


def content(loader: Loader, magic: str) -> dict[str, Any]:
    """Return what a guest with this bytecode version would get."""
    toolkit = loader.catalogue.toolkit("mail")
    spec = ContainerSpec("r", (toolkit,), (), "2026-01-01T00:00:00Z", "en", {}, {})
    size, _, raw = guest_payload.message(spec, magic, Confinement()).partition(b"\n")
    assert int(size) == len(raw)
    found: dict[str, Any] = marshal.loads(raw)  # noqa: S302 - made a line above
    return found


def test_the_same_interpreter_gets_compiled_code(loader: Loader) -> None:
    """Where bytecode versions agree, modules travel compiled: the guest starts sooner."""
    found = content(loader, guest_payload.MAGIC)
    code = marshal.loads(found["modules"]["toolkits.mail"][2])  # noqa: S302 - made a line above
    assert found["marshalled"]
    assert isinstance(code, CodeType)


def test_another_interpreter_gets_sources(loader: Loader) -> None:
    """Where they differ, as with another image, modules travel as text that compiles there."""
    found = content(loader, "another version")
    assert not found["marshalled"]
    for name, (_, file, raw) in found["modules"].items():
        assert compile(raw, file or name, "exec")


def test_nothing_of_the_host_layers_is_sent(loader: Loader) -> None:
    """Only the guest's own modules and the toolkits that are asked for leave the host."""
    names = set(content(loader, guest_payload.MAGIC)["modules"])
    sdk = {"sandbox.sdk", "sandbox.sdk.tools"}  # what toolkits import
    packages = {"sandbox", "sandbox.guest", *sdk, "toolkits", "toolkits.mail"}
    assert {name for name in names if not name.startswith("sandbox.guest.")} == packages
