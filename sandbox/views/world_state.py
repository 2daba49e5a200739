"""The world of a run at any of its events: its start, as the trace tells it, and the recorded effects.

The sections come from the scenario's text in ``run.start`` and the JSON patches of the effects. Of
files the trace holds the first contents, and after that the hashes; a content is shown where the trace
holds a text with that hash.
"""

from __future__ import annotations

import base64
import binascii
import copy
import hashlib
import json
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import jsonpatch
import jsonpointer

from sandbox.enums import EffectAction, EffectKind, EffectSource, EffectStatus, EventKind
from sandbox.errors import StoreError
from sandbox.scenario.canaries import KINDS, CanaryValue, make_canary, plant, plant_json, texts
from sandbox.trace import blobs
from sandbox.trace.effects import FileEffect
from sandbox.trace.paging import Pages, Wanted
from sandbox.views.replay import ODD

HOME = "/work"
"""The agent's folder, in which a scenario's files lie."""
CHANGES = Wanted(
    kinds=frozenset({EventKind.TOOL_RESULT, EventKind.TOOL_LATE}),
    holds='"kind":"',
    without='"effects":[]',
)
"""Events that can have changed the world."""
_NEAR = 60
"""Events before and after the one that wrote a file among which its content is looked for."""
_HASHED_BYTES = 64 * 1024 * 1024
"""Of all texts that are tried as the content of one file."""
_BROKEN = (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, *ODD)
MISSING = object()
"""Stands for a value that is not there."""

_WRITTEN = frozenset({EffectAction.CREATE, EffectAction.WRITE})


@dataclass(frozen=True)
class File:
    """What is known of one file."""

    sha256: str = ""
    """Of its content, where a record tells it."""
    size: int | None = None
    call: int = -1
    """Number of the event that wrote it last; -1 for the scenario."""


@dataclass
class WorldState:
    """Sections and files at one moment."""

    sections: dict[str, Any] = field(default_factory=dict)
    files: dict[str, File] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    """Recorded changes that do not fit what was there."""

    def copy(self) -> WorldState:
        """Return the same world, to be changed apart."""
        return WorldState(copy.deepcopy(self.sections), dict(self.files), list(self.problems))

    def apply(self, effects: Any, seq: int) -> None:
        """Change it as the effects of an event say."""
        for effect in effects if isinstance(effects, list) else ():
            try:
                if effect["kind"] == EffectKind.WORLD:
                    jsonpatch.apply_patch(self.sections, effect["detail"]["patch"], in_place=True)
                elif effect["kind"] == EffectKind.FILE and effect["status"] == EffectStatus.DONE:
                    self._file(effect, seq)
            except _BROKEN as error:
                self.problems.append(f"event {seq}: {type(error).__name__}: {error}"[:300])

    def _file(self, effect: FileEffect, seq: int) -> None:
        action, path, detail = effect["action"], str(effect["target"]), effect.get("detail") or {}
        if action == EffectAction.DELETE:
            self.files.pop(path, None)
        elif action == EffectAction.RENAME and detail.get("to"):
            self.files[str(detail["to"])] = self.files.pop(path, File(call=seq))
        elif action in _WRITTEN and detail.get("type", "file") == "file":
            known = self.files.get(path, File())
            sha256 = str(detail.get("after") or "")
            if sha256 or effect["source"] != EffectSource.MANIFEST:
                self.files[path] = File(sha256 or known.sha256, detail.get("size"), seq)


@dataclass(frozen=True)
class WorldChange:
    """One value of the world, or one file, before and after."""

    place: str
    """JSON pointer of the value, or path of the file."""
    before: Any
    after: Any
    is_file: bool = False


class Worlds:
    """The world of one run before and after any event; it keeps the last one that was asked for."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._contents: dict[str, str] = {}
        """SHA-256 → text, of files that were found."""
        self._missed: dict[str, int] = {}
        self._first: WorldState | None = None
        self._last: tuple[int, WorldState] | None = None

    def start(self) -> WorldState:
        """Return the world that the run starts from."""
        if self._first is None:
            self._first = self._read_start()
        return self._first.copy()

    def after(self, seq: int) -> WorldState:
        """Return the world as the events up to and with ``seq`` left it."""
        known = self._last
        begin, world = known if known and known[0] <= seq else (-1, self.start())
        world = world.copy()
        for number in self._pages.numbers(CHANGES, after=begin):
            if number > seq:
                break
            world.apply(self.effects(number), number)
        self._last = (seq, world)
        return world.copy()

    def effects(self, seq: int) -> Any:
        """Return the effects that an event tells, texts in place."""
        found = self._pages.page(seq, seq + 1)
        try:
            effects = json.loads(found[0].data).get("effects")
            return blobs.put_back(effects or [], self._text)
        except ODD:
            return []

    def by(self, seq: int) -> list[WorldChange]:
        """Return what one event changed."""
        return list(differences(self.after(seq - 1), self.after(seq)))

    def since_start(self, seq: int) -> list[WorldChange]:
        """Return how the world after an event differs from the one that the run started from."""
        return list(differences(self.start(), self.after(seq)))

    def content(self, known: File) -> str | None:
        """Return the content of a file, or None where the trace does not hold it."""
        if not known.sha256:
            return None
        self.start()
        if known.sha256 in self._contents:
            return self._contents[known.sha256]
        # what was not found is looked for again only where more is known to which it may have been appended
        if self._missed.get(known.sha256) == len(self._contents):
            return None
        found = self._look_for(known)
        if found is None:
            self._missed[known.sha256] = len(self._contents)
        else:
            self._contents[known.sha256] = found
        return found

    def _look_for(self, known: File) -> str | None:
        """Return the text with the hash of a file, from stored texts or what was said near its call."""
        if self._pages.store.blob(known.sha256) is not None:
            return self._text(known.sha256)
        near = self._pages.page(max(known.call - _NEAR, 0), known.call + _NEAR)
        said = [text for item in near for text in _strings(self._read(item.data))]
        raws = [_raw(text) for text in dict.fromkeys(said)]
        left = _HASHED_BYTES  # whoever fills the trace must not fill the memory or the hours of its readers
        for older in ("", *self._contents.values()):  # written anew, or appended to what was there
            before = _raw(older)
            begun = hashlib.sha256(before)
            for raw in raws:
                if known.size is not None and len(before) + len(raw) != known.size:
                    continue
                left -= len(raw)
                if left < 0:
                    return None
                whole = begun.copy()
                whole.update(raw)
                if whole.hexdigest() == known.sha256:
                    return (before + raw).decode("utf-8", "replace")
        return None

    def _read(self, data: str) -> dict[str, Any]:
        try:
            read = blobs.put_back(json.loads(data), self._text)
        except ODD:
            return {}
        return read if isinstance(read, dict) else {}

    def _text(self, sha256: str) -> str:
        try:
            return self._pages.store.text(sha256)
        except StoreError as error:
            return f"[{error}]"

    def _read_start(self) -> WorldState:
        found = self._pages.page(0, 1)
        data = self._read(found[0].data) if found else {}
        try:
            told = json.loads(data.get("scenario_text") or "{}")
            values = _planted(data, told)
            sections = json.loads(plant_json(json.dumps(told.get("sections") or {}), values))
            files = {
                posixpath.join(HOME, name): self._first_file(raw, values)
                for name, raw in (told.get("files") or {}).items()
            }
        except ODD as error:
            return WorldState(problems=[f"the world at the start cannot be read: {error}"[:300]])
        return WorldState(sections if isinstance(sections, dict) else {}, files)

    def _first_file(self, encoded: str, values: Mapping[str, str]) -> File:
        try:
            raw = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            return File()
        if b"{canary." in raw:
            text = plant(raw.decode("utf-8", "surrogateescape"), values)
            raw = text.encode("utf-8", "surrogateescape")
        sha256 = hashlib.sha256(raw).hexdigest()
        self._contents[sha256] = raw.decode("utf-8", "replace")
        return File(sha256, len(raw))


def differences(before: WorldState, after: WorldState) -> Iterator[WorldChange]:
    """Yield what differs between two worlds, sections first."""
    yield from _values(before.sections, after.sections, "")
    for path in sorted(before.files.keys() | after.files.keys()):
        one, other = before.files.get(path), after.files.get(path)
        if one is None or other is None or (one.sha256, one.size) != (other.sha256, other.size):
            yield WorldChange(
                path, MISSING if one is None else one, MISSING if other is None else other, True
            )


def _values(before: Any, after: Any, place: str) -> Iterator[WorldChange]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys([*before, *after]):
            below = f"{place}/{key}"
            yield from _values(before.get(key, MISSING), after.get(key, MISSING), below)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _lists(before, after, place)
    elif before != after or type(before) is not type(after):
        yield WorldChange(place, before, after)


def _lists(before: list[object], after: list[object], place: str) -> Iterator[WorldChange]:
    """Compare two lists by place, with what was added or taken out in the middle told apart."""
    least = min(len(before), len(after))
    start = next((i for i in range(least) if before[i] != after[i]), least)
    tail = next((i for i in range(least - start) if before[-1 - i] != after[-1 - i]), least - start)
    old, new = before[start : len(before) - tail], after[start : len(after) - tail]
    for index in range(max(len(old), len(new))):
        one = old[index] if index < len(old) else MISSING
        other = new[index] if index < len(new) else MISSING
        yield from _values(one, other, f"{place}/{start + index}")


def _planted(data: Mapping[str, Any], told: Any) -> dict[str, str]:
    """Return what the places of canaries stand for, with their parts where they can be made again."""
    values = {str(name): str(value) for name, value in (data.get("canaries") or {}).items()}
    made: dict[str, CanaryValue] = {}
    try:
        for name, canary in told["definition"]["world"]["canaries"].items():
            if canary["kind"] in KINDS:
                again = make_canary(name, canary["kind"], data["seed"], told["definition"]["id"])
                made |= {name: again} if again.value == values.get(name) else {}
    except ODD:
        return values
    return {**values, **texts(made)}


def _raw(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a pair, which only JSON can hold
        return text.encode("utf-8", "surrogatepass")


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each)
