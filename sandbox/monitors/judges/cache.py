"""Judges' replies kept by what was asked: asking the same again costs nothing.

The key covers the model, the number of the sample and the whole prompt as it reads with a fixed
nonce; so a changed instruction, threshold of cutting or trace is a new question, and the random
nonce is not. A cache is a JSONL file that several processes may add to.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from sandbox.errors import InputError
from sandbox.models.base import Message
from sandbox.monitors.judge_reply import JudgeAnswer
from sandbox.monitors.judges import prompt_template

FORMAT = 1


def key(model: str, sample: int, messages: Sequence[Message]) -> str:
    """Return what a question is found by.

    Args:
        model: As the user wrote it, with its parameters.
        sample: Number of the sample, from 0.
        messages: The prompt, rendered with the placeholder as nonce.
    """
    text = json.dumps(
        [FORMAT, prompt_template.VERSION, model, sample, list(messages)], sort_keys=True
    )
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True)
class CachedAnswer:
    """An answer that was given before."""

    answer: JudgeAnswer
    answered_by: str
    """The model as the provider named it."""


class Cache(Protocol):
    """Remembers answers."""

    def get(self, key: str) -> CachedAnswer | None:
        """Return what was answered to a question."""

    def put(self, key: str, value: CachedAnswer) -> None:
        """Remember an answer."""


class MemoryCache:
    """Remembers as long as the process lasts."""

    def __init__(self) -> None:
        self._answers: dict[str, CachedAnswer] = {}

    def get(self, key: str) -> CachedAnswer | None:
        """Return what was answered to a question."""
        return self._answers.get(key)

    def put(self, key: str, value: CachedAnswer) -> None:
        """Remember an answer."""
        self._answers[key] = value


class FileCache(MemoryCache):
    """Remembers in a file."""

    def __init__(self, path: Path) -> None:
        """Open a cache; a file that is not there is made with the first answer.

        Raises:
            InputError: It cannot be read, or a line of it is no answer.
        """
        super().__init__()
        self._path = path
        try:
            lines = path.read_text("utf-8").splitlines() if path.exists() else []
            path.parent.mkdir(parents=True, exist_ok=True)
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read the judges' cache {path}: {error}") from error
        torn = None
        for number, line in enumerate(lines, start=1):
            try:
                data = json.loads(line)
                kept = CachedAnswer(
                    JudgeAnswer(float(data["score"]), str(data["reason"])), str(data["by"])
                )
                super().put(str(data["key"]), kept)
            except (ValueError, KeyError, TypeError) as error:
                torn = torn or f"{path}:{number}: not a judge's answer: {error}"
        if torn and not self._answers:  # one line among others is what a process left that died
            raise InputError(torn)

    def put(self, key: str, value: CachedAnswer) -> None:
        """Remember an answer.

        Raises:
            InputError: It cannot be written.
        """
        super().put(key, value)
        data = {"format": FORMAT, "key": key, **asdict(value.answer), "by": value.answered_by}
        line = json.dumps(data) + "\n"
        try:
            with self._path.open("ab") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                if file.tell() and not _ends_whole(self._path):
                    file.write(b"\n")
                file.write(line.encode())
        except OSError as error:
            raise InputError(f"cannot write the judges' cache {self._path}: {error}") from error


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
