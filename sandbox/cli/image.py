"""``sandbox image build``."""

from __future__ import annotations

from typing import Annotated

import typer

from sandbox.cli.output import Json, console, note, print_json

app = typer.Typer(help="The container image: build.", no_args_is_help=True)


@app.callback()
def image() -> None:
    """Keep ``build`` a command of its own."""


@app.command()
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
    from sandbox.errors import InputError
    from sandbox.isolation import images
    from sandbox.isolation.docker import IMAGE

    if debian and registry:
        raise InputError("--from and --debian exclude each other")
    if (suite or mirror) and not debian:
        raise InputError("--suite and --mirror go with --debian")
    tag = name or IMAGE
    if debian:
        digest = images.from_debian(tag, suite or images.DEFAULT_SUITE, note, mirror)
    else:
        digest = images.from_registry(tag, registry or images.DEFAULT_BASE, note)
    if as_json:
        print_json({"image": tag, "id": digest})
    else:
        console().print(f"{tag}  {digest}")
