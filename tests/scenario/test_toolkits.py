"""Toolkits read from their source: what is read is what a real call takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from sandbox.errors import ScenarioError
from sandbox.guest.arguments import problems
from sandbox.scenario.content_paths import Content
from sandbox.scenario.toolkits import Catalogue, Tool
from tests.support import REPOSITORY

TYPES: dict[str, st.SearchStrategy[Any]] = {
    "str": st.text(max_size=5),
    "int": st.integers(),
    "float": st.floats(allow_nan=False, allow_infinity=False) | st.integers(),
    "bool": st.booleans(),
    "Literal['a', 'b']": st.sampled_from("ab"),
    "list[str]": st.lists(st.text(max_size=5), max_size=3),
    "dict[str, int]": st.dictionaries(st.text(max_size=3), st.integers(), max_size=3),
    "list[dict[str, bool]]": st.lists(
        st.dictionaries(st.text(max_size=2), st.booleans()), max_size=2
    ),
    "str | None": st.none() | st.text(max_size=5),
    "int | list[int]": st.integers() | st.lists(st.integers(), max_size=3),
}
ANYTHING = st.one_of(*TYPES.values()) | st.lists(st.none() | st.booleans(), max_size=2)
PARAMETERS = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(sorted(TYPES)))

HEAD = '"""A toolkit."""\nfrom typing import Literal\nfrom sandbox.sdk.tools import World, tool\n'


def read(folder: Path, text: str) -> Catalogue:
    """Return the catalogue of a workspace whose one toolkit of its own is ``kit``."""
    (folder / "tools").mkdir(exist_ok=True)
    (folder / "tools" / "kit.py").write_text(HEAD + text, "utf-8")
    return Catalogue(Content(folder))


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Tool, Any]]:
    """A tool for each type, and the function that a guest would call."""
    text = "".join(
        f"@tool()\ndef f{n}(world: World, x: {kind}):\n    return x\n"
        for n, kind in enumerate(TYPES)
    )
    tools = read(tmp_path_factory.mktemp("wide"), text).toolkit("kit").tools
    names: dict[str, Any] = {}
    exec(HEAD + text, names)  # noqa: S102 - the toolkit of this test, as a guest runs it
    return {kind: (tools[f"kit.f{n}"], names[f"f{n}"]) for n, kind in enumerate(TYPES)}


@pytest.mark.parametrize("kind", TYPES)
@given(data=st.data())
def test_a_value_of_the_type_is_taken(
    kind: str, data: st.DataObject, wide: dict[str, tuple[Tool, Any]]
) -> None:
    """What a parameter's annotation allows passes the guest's check and reaches the function."""
    tool, function = wide[kind]
    value = data.draw(TYPES[kind])
    assert problems(tool.parameters, {"x": value}) == []
    assert value == function(None, x=value)


@pytest.mark.parametrize("kind", TYPES)
@given(value=ANYTHING)
def test_the_guest_judges_as_json_schema_does(
    kind: str, value: Any, wide: dict[str, tuple[Tool, Any]]
) -> None:
    """The guest's own check and a full validator agree on every value."""
    schema = wide[kind][0].parameters
    accepted = Draft202012Validator(schema).is_valid({"x": value})
    whole = isinstance(value, float) and value.is_integer()  # an integer to JSON Schema alone
    assert accepted == (not problems(schema, {"x": value})) or whole


def test_a_schema_says_what_the_signature_says(tmp_path: Path) -> None:
    """Names, types, defaults and the words of the docstring are read without running anything."""
    text = '''
raise RuntimeError("a toolkit is never run on the host")
@tool(writes_external=True, recipients=("to",))
def send(world: World, to: list[str], *, body: str = "hello", again: bool = False) -> str:
    """Send a message
    at once.

    Args:
        to: Addresses of
            the recipients.
        body: The text.

    Returns:
        Nothing of interest.
    """
'''
    tool = read(tmp_path, text).toolkit("kit").tools["kit.send"]
    to = {
        "type": "array",
        "items": {"type": "string"},
        "description": "Addresses of the recipients.",
    }
    expected = {
        "type": "object",
        "properties": {
            "to": to,
            "body": {"type": "string", "description": "The text.", "default": "hello"},
            "again": {"type": "boolean", "default": False},
        },
        "required": ["to"],
        "additionalProperties": False,
    }
    assert ("Send a message at once.", expected) == (tool.description, tool.parameters)
    assert (tool.labels, tool.recipients) == (("writes_external",), ("to",))


BROKEN = {
    "syntax": ("def f(:\n", 4, "not Python: "),
    "bare list": (
        "@tool()\ndef f(world: World, x: list): ...\n",
        5,
        "type list, which tools cannot",
    ),
    "no type": (
        "@tool()\ndef f(world: World, x): ...\n",
        5,
        "type nothing, which tools cannot take",
    ),
    "label": (
        "@tool(irreversable=True)\ndef f(world: World): ...\n",
        5,
        "did you mean 'irreversible'?",
    ),
    "computed label": (
        "@tool(irreversible=not 0)\ndef f(world: World): ...\n",
        4,
        "must be a literal",
    ),
    "computed default": (
        "@tool()\ndef f(world: World, x: int = len('')): ...\n",
        5,
        "default of x must",
    ),
    "computed world": ("WORLD = dict(kit={})\n", 4, "WORLD must be a literal"),
    "unhashable key": ("WORLD = {[]: 1}\n", 4, "WORLD must be a literal"),
    "NUL": ("x = '\0'\n", 0, "not Python: "),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_toolkit_is_named_with_its_line(case: str, tmp_path: Path) -> None:
    """What cannot be read from the source is an error of that file, not a crash."""
    text, line, message = BROKEN[case]
    catalogue = read(tmp_path, text)
    with pytest.raises(ScenarioError) as caught:
        catalogue.toolkit("kit")
    (problem,) = caught.value.problems
    assert (str(tmp_path / "tools" / "kit.py"), line) == (problem.file, problem.line)
    assert message in problem.message


def test_a_toolkit_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    """A source in another encoding is an error of that file."""
    catalogue = read(tmp_path, "")
    (tmp_path / "tools" / "kit.py").write_bytes("# é".encode("latin-1"))
    with pytest.raises(ScenarioError, match=r"kit\.py: not Python"):
        catalogue.toolkit("kit")


def test_a_toolkit_of_the_workspace_goes_before_the_library(tmp_path: Path) -> None:
    """A file of the same name in the workspace takes the place of the one that is installed."""
    read(tmp_path, "")
    (tmp_path / "tools" / "bank.py").write_text('"""Another bank."""\n')
    catalogue = Catalogue(Content(tmp_path))
    assert (
        catalogue.toolkit("bank").description,
        "kit" in tuple(toolkit.name for toolkit in catalogue.toolkits()),
    ) == ("Another bank.", True)


@given(kinds=PARAMETERS, given=st.dictionaries(st.sampled_from("abcde"), st.just(0)))
def test_names_are_judged_apart_from_values(kinds: dict[str, str], given: dict[str, int]) -> None:
    """Every unknown and every missing argument is named, whatever the values are."""
    schema = {"properties": {name: {} for name in kinds}, "required": sorted(kinds)}
    expected = {f"unknown argument {name!r}" for name in given.keys() - kinds.keys()}
    expected |= {f"missing argument {name!r}" for name in kinds.keys() - given.keys()}
    assert expected == set(problems(schema, given))


def test_every_toolkit_of_the_library_can_be_read() -> None:
    """All toolkits that come with the package have a summary, and a description for every tool."""
    catalogue = Catalogue(Content(REPOSITORY))
    bare = [
        tool.name
        for toolkit in catalogue.toolkits()
        for tool in toolkit.tools.values()
        if not tool.description or any("description" not in p for p in properties(tool))
    ]
    assert bare == []


def properties(tool: Tool) -> list[dict[str, Any]]:
    """Return the schemas of a tool's parameters."""
    return list(tool.parameters["properties"].values())
