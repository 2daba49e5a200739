"""Kinds are members of enums in the engine and plain strings everywhere else: nobody must see a difference."""

from __future__ import annotations

import inspect
import json
from enum import StrEnum
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from jinja2 import Template
from sqlalchemy import create_engine, text

from sandbox import cel, enums
from sandbox.enums import (
    STRICTNESS,
    CallStatus,
    Decision,
    EffectAction,
    EffectKind,
    EffectSource,
    EffectStatus,
)
from sandbox.guest.messages import GuestEffect, ResultMeta
from sandbox.scenario.schema import Rule
from sandbox.trace import blobs
from sandbox.trace.events import canonical
from tests.support.databases import KINDS, database

ENUMS = [
    each
    for _, each in inspect.getmembers(enums, inspect.isclass)
    if issubclass(each, StrEnum) and len(each)
]


@pytest.mark.parametrize("kinds", ENUMS, ids=lambda each: each.__name__)
def test_a_member_is_its_text(kinds: type[StrEnum]) -> None:
    """A member compares, hashes, formats and serialises as the text that traces and files hold."""
    for member in kinds:
        plain = member.value
        assert member == plain
        found: dict[str, int] = {member: 1}
        assert {plain: 1}[member] == found[plain] == 1
        assert f"{member}" == str(member) == plain
        assert f"{member!r}" == repr(plain)
        assert json.dumps({member: [member]}) == json.dumps({plain: [plain]})
        assert canonical({member: member}) == canonical({plain: plain})
        assert blobs.as_text({"a": member}, lambda raw, sha256: None) == canonical({"a": plain})
        assert Template("{{ x }}{{ x == y }}").render(x=member, y=plain) == f"{plain}True"


@pytest.mark.parametrize("kind", KINDS)
def test_a_database_stores_a_member_as_text(kind: str, tmp_path: Path) -> None:
    """What is read back is the text, and it is found by the text."""
    with database(kind, tmp_path) as url:
        engine = create_engine(url if "://" in url else f"sqlite:///{url}")
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE t (x TEXT)"))
            connection.execute(text("INSERT INTO t VALUES (:x)"), {"x": Decision.BLOCK})
            rows = connection.execute(text("SELECT x FROM t WHERE x = 'block'")).fetchall()
        engine.dispose()
    assert [(type(row[0]), row[0]) for row in rows] == [(str, "block")]


def test_a_condition_sees_text() -> None:
    """CEL compares members with texts, finds keys that are members, and knows functions of texts."""
    source = "effects.exists(e, e.kind == 'file' && e.kind.startsWith('f') && e.done == 1)"
    effects = [{"kind": EffectKind.FILE, EffectStatus.DONE: 1}]
    condition = cel.parse(source, frozenset({"effects"}), frozenset())
    assert condition.holds_in(cel.Activation({"effects": effects}, {}))


def test_a_file_names_kinds_by_text() -> None:
    """A rule's file holds plain texts, and is printed with plain texts."""
    rule = Rule.model_validate(
        {"id": "x", "when": "true", "stage": "after", "verdict": "block", "reason": {"en": "no"}}
    )
    assert rule.verdict is Decision.BLOCK
    assert rule.model_dump(mode="json")["stage"] == "after"


def test_verdicts_are_in_order() -> None:
    """The order of strictness is the one that the documents tell."""
    names = ["allow", "alert", "rewrite", "escalate", "block", "terminate"]
    assert sorted(STRICTNESS, key=lambda each: STRICTNESS[each]) == names


def test_a_guest_tells_members_only() -> None:
    """What the schema of a guest's messages allows as a kind, an action, a status or a source is a member."""
    effect, result = get_type_hints(GuestEffect), get_type_hints(ResultMeta)
    for schema, name, kinds in (
        (effect, "kind", EffectKind),
        (effect, "action", EffectAction),
        (effect, "status", EffectStatus),
        (effect, "source", EffectSource),
        (result, "status", CallStatus),
    ):
        allowed = set(get_args(schema[name]))
        assert allowed, name
        assert allowed <= set(kinds), name
