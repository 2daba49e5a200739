"""The log of sweeps: one line a record, ``key=value``, for a journal, a mail, a file.

Values of secrets in the environment are left out, and what a model or a provider wrote stands as an
escaped JSON string of bounded length: no line can be forged.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from pathlib import Path

from sandbox.enums import EventKind
from sandbox.errors import EnvironmentFault, InputError, nearest
from sandbox.models.secrets import scrubber
from sandbox.runs.run_plan import Progress

VARIABLE = "SANDBOX_LOG"
LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "off": logging.CRITICAL + 1,
}
LOGGER = logging.getLogger("sandbox.sweeps")
LOGGER.addHandler(logging.NullHandler())  # without a handler Python writes errors to stderr
_PLAIN = re.compile(r"[\w.:/@+-]+", re.ASCII)
_PASSWORD = re.compile(r"(://[^/\s:@]*:)[^/\s@]+(?=@)")
"""Of a URL with its user."""
_LONGEST = 500
"""Characters of one value."""


class LogFormatter(logging.Formatter):
    """A record as time, level, event and its fields, in the style of logfmt."""

    def __init__(self) -> None:
        super().__init__()
        self._scrub = scrubber(os.environ) or str

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        return " ".join(f"{k}={self._value(v)}" for k, v in fields.items() if v is not None)

    def _value(self, value: object) -> str:
        text = self._scrub(f"{value:.6g}" if isinstance(value, float) else str(value))
        text = _PASSWORD.sub(r"\1…", text)
        text = text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
        return text if _PLAIN.fullmatch(text) else json.dumps(text)


def log(event: str, *, level: int = logging.INFO, **fields: object) -> None:
    """Write a record.

    Args:
        event: What happened: a noun and a verb, such as ``item.end``.
        level: Of the ``logging`` package.
        **fields: Texts and numbers; what is None is left out.
    """
    LOGGER.log(level, event, extra={"fields": fields})


def log_retry(progress: Progress) -> None:
    """Write a record where a request to a model is tried again."""
    if progress.kind == EventKind.MODEL_RETRY:
        fields = {name: progress.data.get(name) for name in ("attempt", "wait_seconds", "reason")}
        log("model.retry", run=progress.run, **fields)


@contextmanager
def logging_to(file: Path | None, *, stderr: bool) -> Iterator[None]:
    """Have records written while a block runs, to a file, to stderr, or to both.

    Args:
        file: Lines are added to it; it may be moved away and is begun anew then.
        stderr: Whether they are written there too.

    Raises:
        EnvironmentFault: The file cannot be written.
        InputError: ``SANDBOX_LOG`` names no level.
    """
    level = _level()
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)] if stderr else []
    if file is not None:
        try:
            handlers.append(WatchedFileHandler(file, encoding="utf-8"))
        except OSError as error:
            raise EnvironmentFault(f"--log: cannot write {file}: {error.strerror}") from error
    _attach(handlers, level)
    try:
        yield
    finally:
        for handler in handlers:
            LOGGER.removeHandler(handler)
            handler.close()


def log_to_stderr() -> None:
    """Have this process write records to stderr until its end, unless it writes them already."""
    if all(isinstance(each, logging.NullHandler) for each in LOGGER.handlers):
        _attach([logging.StreamHandler(sys.stderr)], _level())


def _level() -> int:
    name = os.environ.get(VARIABLE) or "info"
    if name not in LEVELS:
        raise InputError(f"{VARIABLE}: unknown level {name!r}{nearest(name, LEVELS)}")
    return LEVELS[name]


def _attach(handlers: list[logging.Handler], level: int) -> None:
    if handlers:
        LOGGER.setLevel(level)
        LOGGER.propagate = False
    for handler in handlers:
        handler.setFormatter(LogFormatter())
        LOGGER.addHandler(handler)
