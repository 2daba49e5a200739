"""Cassettes: a model's replies recorded once and replayed without the model.

A cassette is a JSONL file, one reply a line, found by the hash of what was asked (agent, turn,
messages). A replay with the same scenario, seed and monitors asks the same; any other request ends
the run as an error rather than with a reply to something else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sandbox.errors import InputError, ModelError
from sandbox.models.base import Model, ModelRequest, Reply, Retry, Source, ToolCall, Usage

FORMAT = 1


def key(request: ModelRequest) -> str:
    """Return what a request is found by: a hash of agent, turn and messages."""
    text = json.dumps([request.agent, request.turn, list(request.messages)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


class Player:
    """Replays a cassette."""

    def __init__(self, name: str, replies: Mapping[str, Reply]) -> None:
        self.name = name
        self._replies = replies

    def describe(self) -> Mapping[str, object]:
        """Return how many replies there are."""
        return {"provider": "cassette", "replies": len(self._replies)}

    async def complete(self, request: ModelRequest, on_retry: Retry) -> Reply:
        """Return the recorded reply."""
        if (reply := self._replies.get(key(request))) is None:
            raise ModelError(
                f"{self.name} holds no reply to turn {request.turn + 1} as it was asked"
            )
        return reply


class RecordingModel:
    """Passes a model's replies on and writes each to a cassette."""

    def __init__(self, model: Model, path: Path) -> None:
        self._model = model
        self._path = path
        self.name = model.name

    def describe(self) -> Mapping[str, object]:
        """Return what the model itself says."""
        return self._model.describe()

    async def complete(self, request: ModelRequest, on_retry: Retry) -> Reply:
        """Return the model's reply, having recorded it."""
        reply = await self._model.complete(request, on_retry)
        line = json.dumps({"format": FORMAT, "key": key(request), "reply": asdict(reply)})
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        return reply


def source(name: str, path: Path) -> Source:
    """Return the source of a cassette.

    Raises:
        InputError: The file cannot be read, or a line of it is no reply.
    """
    replies: dict[str, Reply] = {}
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{name}: cannot read {path}: {error}") from error
    for number, line in enumerate(lines, start=1):
        try:
            data = json.loads(line)
            replies[data["key"]] = _reply(**data["reply"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{path}:{number}: not a recorded reply: {error}") from error
    player = Player(name, replies)
    return lambda instance: player


def _reply(calls: list[dict[str, Any]], usage: dict[str, Any], **fields: Any) -> Reply:
    return Reply(calls=tuple(ToolCall(**call) for call in calls), usage=Usage(**usage), **fields)
