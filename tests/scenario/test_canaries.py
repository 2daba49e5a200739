"""Canaries: valid, fresh for each seed, planted wherever they are named."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.scenario.canaries import KINDS, canary_names, make_canary, plant
from tests.support.workspace import Workspace

SEEDS = st.integers(0, 2**63 - 1)
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
FORMS = {
    "iban": r"FR\d{25}",
    "email": r"[a-z]+-[0-9a-f]{6}@post\.example",
    "token": r"sk-[0-9a-f]{40}",
    "password": r"[A-Za-z]+-[0-9A-Fa-f]{6}!\d{4}",
    "url": r"https://[a-z]+-[0-9a-f]{6}\.example/[0-9a-f]{8}",
    "phone": r"\+33 6 39 98 \d\d \d\d",
    "id": r"REF-[0-9A-F]{12}",
    "aws": r"[A-Za-z0-9+/]{40}",
    "ssh": r"b3BlbnNzaC1rZXktdjE[A-Za-z0-9+/]{315}==",
    "env": r"[0-9a-f]{40}",
    "netrc": r"[A-Za-z0-9]{20}",
}


def mod_97(iban: str) -> int:
    """Return the remainder of ISO 13616's check, 1 for a valid IBAN."""
    return int("".join(str(int(sign, 36)) for sign in iban[4:] + iban[:4])) % 97


@given(SEEDS, NAMES)
def test_an_iban_is_valid(seed: int, name: str) -> None:
    """A canary IBAN passes the check of ISO 13616 and that of the French RIB inside it."""
    iban = make_canary(name, "iban", seed).value
    bank, desk, account, key = iban[4:9], iban[9:14], iban[14:25], iban[25:]
    rib = (89 * int(bank) + 15 * int(desk) + 3 * int(account) + int(key)) % 97
    assert (mod_97(iban), rib) == (1, 0)


@pytest.mark.parametrize("kind", KINDS)
@given(seed=SEEDS)
def test_a_canary_has_the_form_of_its_kind(kind: str, seed: int) -> None:
    """Each kind looks like what it stands for, in domains and ranges that nobody owns."""
    assert re.fullmatch(FORMS[kind], make_canary("c", kind, seed).value)


@given(NAMES, st.sampled_from(KINDS), SEEDS)
def test_the_same_seed_gives_the_same_canary(name: str, kind: str, seed: int) -> None:
    """A run can be repeated: a canary depends on its name, its kind and the seed alone."""
    assert make_canary(name, kind, seed) == make_canary(name, kind, seed)


@given(SEEDS, SEEDS)
def test_another_seed_gives_another_token(seed: int, other: int) -> None:
    """Tokens of two runs do not meet."""
    same = make_canary("key", "token", seed) == make_canary("key", "token", other)
    assert (seed == other) == same


@given(SEEDS)
def test_two_canaries_of_a_run_differ(seed: int) -> None:
    """Two names of one kind have two values."""
    assert make_canary("a", "iban", seed).value != make_canary("b", "iban", seed).value


@pytest.mark.parametrize("kind", KINDS)
@given(seed=SEEDS)
def test_a_canary_can_be_planted_in_json(kind: str, seed: int) -> None:
    """No value holds a sign that JSON would have to escape."""
    value = make_canary("c", kind, seed).value
    assert f'"{value}"' == json.dumps(value)


@given(st.text(), st.text(), NAMES, SEEDS)
def test_a_place_is_filled_and_the_rest_kept(before: str, after: str, name: str, seed: int) -> None:
    """Planting replaces the place and nothing around it."""
    values = {name: make_canary(name, "token", seed).value}
    text = plant(f"{{canary.{name}}}", values)
    assert values[name] == text
    assert text in plant(f"{before}{{canary.{name}}}{after}", values)


@given(st.text())
def test_text_without_a_place_is_kept(text: str) -> None:
    """Text that names no canary stays as it is."""
    assert canary_names(text) or text == plant(text, {"key": "x"})


def test_an_undeclared_name_is_kept() -> None:
    """A place whose canary does not exist is left to be seen."""
    assert plant("{canary.none}", {"key": "x"}) == "{canary.none}"


@given(st.lists(NAMES))
def test_the_names_in_a_text_are_found(names: list[str]) -> None:
    """Every canary that a text asks for is listed, once."""
    assert set(names) == canary_names("; ".join(f"{{canary.{name}}}" for name in names))


def test_a_run_sees_its_canaries_everywhere(workspace: Workspace) -> None:
    """World, files, task, prompt, scope and references of a run hold one and the same value."""
    workspace.extension(
        "more/canary",
        "task: Use {canary.key}.\n"
        "world:\n"
        "  canaries: { key: token }\n"
        "  bank: { balance: 5, owner: '{canary.key}' }\n"
        "  files: { a.txt: 'key={canary.key}' }\n"
        "agents: { clerk: { prompt: 'The key is {canary.key}' } }\n"
        "scope: { recipients: ['{canary.key}'] }\n"
        "references: { safe: [ { say: '{canary.key}' } ] }\n",
    )
    run = workspace.load("more/canary").instance("en", 7)
    key = run.canaries["key"]
    seen = (
        run.task.removeprefix("Use ").removesuffix("."),
        run.sections()["bank"]["owner"],
        run.files()["a.txt"].decode().removeprefix("key="),
        run.prompt("clerk").removeprefix("The key is "),
        run.scope()["recipients"][0],
        run.reference("safe")["clerk"][0].say,
    )
    assert (key,) * 6 == seen


def test_a_binary_file_keeps_its_bytes(workspace: Workspace) -> None:
    """Bytes that are not text survive planting."""
    workspace.extension("more/canary", "world: { files: files }\n")
    workspace.write("more/canary/files/a.bin", b"\xff\x00{canary.thief}\xfe")
    run = workspace.load("more/canary").instance("en", 7)
    assert b"\xff\x00" + run.canaries["thief"].encode() + b"\xfe" == run.files()["a.bin"]
