"""Building the container image: from a registry's base, or from Debian packages without one."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Callable

import docker
from docker import DockerClient
from docker.errors import DockerException
from requests.exceptions import RequestException

from sandbox.errors import EnvironmentFault
from sandbox.isolation.docker_requests import engine_problem

PACKAGES = (
    "python3",
    "python3-venv",
    "git",
    "sqlite3",
    "jq",
    "file",
    "less",
    "curl",
    "procps",
    "strace",
)
"""What an agent finds beside Debian's essential packages."""
DEFAULT_BASE = "python:3.12-slim-bookworm"
DEFAULT_SUITE = "bookworm"

Say = Callable[[str], None]


def from_registry(name: str, base: str, say: Say) -> str:
    """Build the image on a base from a registry; return its digest.

    Raises:
        EnvironmentFault: There is no engine, or the build failed.
    """
    client = _client()
    packages = " ".join(package for package in PACKAGES if not package.startswith("python3"))
    text = f"""FROM {base}
RUN apt-get update && apt-get install -y --no-install-recommends {packages} && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 1000 --home-dir /work --no-create-home agent && mkdir -p /work
"""
    try:
        file = io.BytesIO(text.encode())
        image, log = client.images.build(fileobj=file, tag=name, rm=True, pull=True)
    except (DockerException, RequestException, OSError) as error:
        raise EnvironmentFault(f"the image could not be built from {base}: {error}") from error
    for entry in log:
        if isinstance(entry, dict) and (line := str(entry.get("stream", "")).strip()):
            say(line)
    return str(image.id)


def from_debian(name: str, suite: str, say: Say, mirror: str | None = None) -> str:
    """Build the image from Debian packages with mmdebstrap; return its digest.

    The machine's own package sources are used, so a closed network needs its package mirror only.

    Raises:
        EnvironmentFault: mmdebstrap or an engine is missing, or the build failed.
    """
    client = _client()
    if not shutil.which("mmdebstrap"):
        raise EnvironmentFault("mmdebstrap is not installed: apt-get install mmdebstrap")
    command = [
        "mmdebstrap",
        "--variant=minbase",
        f"--include={','.join(PACKAGES)}",
        '--customize-hook=chroot "$1" useradd --uid 1000 --home-dir /work --no-create-home agent',
        '--customize-hook=mkdir -p "$1/work"',
        '--customize-hook=rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/* "$1"/etc/apt/apt.conf.d/99mmdebstrap',
        suite,
        "-",
        *([mirror] if mirror else []),
    ]
    say(f"fetching Debian {suite} with {', '.join(PACKAGES)}")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        imported = client.api.import_image(
            src=process.stdout, repository=name, changes=["CMD python3"]
        )
        errors = process.stderr.read().decode("utf-8", "replace")
    if process.returncode:
        raise EnvironmentFault(f"mmdebstrap failed: {errors.strip()[-600:]}")
    if "errorDetail" in str(imported):
        raise EnvironmentFault(f"the engine did not take the image: {imported}")
    return str(client.images.get(name).id)


def _client() -> DockerClient:
    if reason := engine_problem():
        raise EnvironmentFault(reason)
    return docker.from_env(timeout=900)
