"""``sandbox image build``."""

from __future__ import annotations

from typing import Annotated

import typer

from sandbox.cli.command import Json, note, reply
from sandbox.errors import InputError
from sandbox.isolation import images
from sandbox.isolation.docker import IMAGE


def build(
    name: Annotated[str | None, typer.Option("--tag", help="Name of the image.")] = None,
    registry: Annotated[
        str | None, typer.Option("--from", help="Base image from a registry.", metavar="BASE")
    ] = None,
    debian: Annotated[
        bool, typer.Option("--debian", help="From Debian packages, without any registry.")
    ] = False,
    suite: Annotated[str | None, typer.Option(help="Debian release, with --debian.")] = None,
    mirror: Annotated[
        str | None,
        typer.Option(help="Debian mirror, with --debian; the machine's own if left out."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Build the image for the Docker back end."""
    if debian and registry:
        raise InputError("--from and --debian exclude each other")
    if (suite or mirror) and not debian:
        raise InputError("--suite and --mirror go with --debian")
    tag = name or IMAGE
    if debian:
        digest = images.from_debian(tag, suite or images.DEFAULT_SUITE, note, mirror)
    else:
        digest = images.from_registry(tag, registry or images.DEFAULT_BASE, note)
    reply(as_json, {"image": tag, "id": digest}, f"{tag}  {digest}")
