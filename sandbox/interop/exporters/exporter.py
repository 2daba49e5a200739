"""What every exporter is, and which there are; a format's library is loaded when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Protocol, TypeVar

from sandbox.errors import EnvironmentFault, InputError, nearest
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow

T = TypeVar("T")
Progress = Callable[[int], None]
"""Called with the number of runs that were written."""


class Exporter(Protocol):
    """Writes runs in one format."""

    def __call__(
        self, store: Store, rows: Sequence[RunRow], target: str, progress: Progress
    ) -> None:
        """Write runs.

        Args:
            store: Where they are.
            rows: The runs.
            target: A path; for some formats a folder or a URL.
            progress: Called as it goes on.

        Raises:
            InputError: The target cannot be written, or a run not be told in this format.
            EnvironmentFault: What the format needs is not there.
            StoreError: A run cannot be read.
        """
        ...


FORMATS = {"inspect": "inspect_log", "jsonl": "jsonl", "otel": "otel", "parquet": "parquet"}
"""Format → module beside this one; ``pack`` is written elsewhere."""


def exporter(name: str) -> Exporter:
    """Return the exporter of a format.

    Raises:
        InputError: There is no such format.
        EnvironmentFault: A package that it needs is not installed.
    """
    if name not in FORMATS:
        raise InputError(f"unknown format {name!r}{nearest(name, [*FORMATS, 'pack'])}")
    try:
        export: Exporter = import_module(f"sandbox.interop.exporters.{FORMATS[name]}").export
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        raise EnvironmentFault(
            f"the format {name} needs {package}: pip install 'agent-risk-sandbox[{name}]'"
        ) from error
    return export


def encodable(value: T) -> T | str:
    """Return a value; a text without the lone surrogates that no UTF-8 can hold."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
