"""The SDK: what content imports, and that nothing else is needed."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.errors import ScenarioError
from sandbox.monitors.library import MonitorLibrary
from sandbox.scenario.content_paths import Content
from sandbox.scenario.loader import Loader
from tests.support import REPOSITORY

MODULES = ("tools", "monitors", "judges", "scaffolds")
CONTENT = {
    "tools": [
        "tools/*.py",
        "sandbox/template/tools/*.py",
        "bench/workspace/tools/*.py",
        "docs/tools.md",
    ],
    "monitors": ["monitors/*.py", "sandbox/template/monitors/*.py", "docs/monitors.md"],
    "scaffolds": ["docs/scaffolds.md"],
}
_PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)


def sources(kind: str) -> Iterator[tuple[str, str]]:
    """Yield name and text of all content of a kind, the examples in documents included."""
    for pattern in CONTENT[kind]:
        for path in sorted(REPOSITORY.glob(pattern)):
            text = path.read_text("utf-8")
            for part in _PYTHON.findall(text) if path.suffix == ".md" else [text]:
                yield str(path.relative_to(REPOSITORY)), part


def imported(source: str) -> set[str]:
    """Return the modules of this package that a source imports."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            found.add(str(node.module))
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.partition(".")[0] == "sandbox"}


@pytest.mark.parametrize("kind", CONTENT)
def test_content_imports_the_sdk_and_nothing_else(kind: str) -> None:
    """Shipped content, the template's and the documents' take all of the package from one module."""
    found = list(sources(kind))
    assert found
    assert {name: imported(text) - {f"sandbox.sdk.{kind}"} for name, text in found} == {
        name: set() for name, _ in found
    }


@pytest.mark.parametrize("name", MODULES)
def test_what_is_public_is_there(name: str) -> None:
    """Each name of a module of the SDK exists, once, and no other name is meant to be imported."""
    module = importlib.import_module(f"sandbox.sdk.{name}")
    names = module.__all__
    assert sorted(set(names)) == names
    assert all(hasattr(module, each) for each in names)
    document = (REPOSITORY / "docs" / "sdk.md").read_text("utf-8")
    assert [f"### {each}\n" in document for each in names] == [True] * len(names)


def workspace(folder: Path, path: str, text: str) -> Loader:
    """Return a loader of a workspace with one file of its own."""
    file = folder / path
    file.parent.mkdir(parents=True)
    file.write_text(text, "utf-8")
    return Loader(Content(folder))


@pytest.mark.parametrize(
    "line",
    [
        "from sandbox.oversight.monitor import Finding, monitor",
        "from sandbox.monitors.monitor import Finding, monitor",
    ],
)
def test_a_monitor_with_an_old_import_is_told_the_new_one(tmp_path: Path, line: str) -> None:
    """What moved is refused with file, line, and the module that holds it now."""
    loader = workspace(tmp_path, "monitors/old.py", f'"""Old."""\n\n{line}\n')
    with pytest.raises(ScenarioError) as caught:
        MonitorLibrary(loader.content, loader.catalogue).family("old")
    (problem,) = caught.value.problems
    assert (Path(problem.file).name, problem.line) == ("old.py", 3)
    assert "import from sandbox.sdk.monitors" in problem.message


def test_a_monitor_of_no_stage_is_refused(tmp_path: Path) -> None:
    """A stage that is misspelt is an error with file and line; else the monitor would never be asked."""
    text = "from sandbox.sdk.monitors import monitor\n\n\n@monitor(stage='befor')\ndef m(step):\n    return None\n"
    loader = workspace(tmp_path, "monitors/own.py", text)
    with pytest.raises(ScenarioError, match="no stage 'befor' — did you mean 'before'") as caught:
        MonitorLibrary(loader.content, loader.catalogue).family("own")
    assert caught.value.problems[0].line == 4


TOOL = '"""Old."""\nfrom {module} import World, tool\n\n\n@tool()\ndef look(world: World) -> str:\n    """Look."""\n    return ""\n'


@pytest.mark.parametrize("module", ["sandbox.sdk.tools", "sandbox.guest.toolkit"])
def test_a_toolkit_imports_the_sdk_or_what_was_there_before(tmp_path: Path, module: str) -> None:
    """Toolkits from before the SDK are read as they were."""
    loader = workspace(tmp_path, "tools/old.py", TOOL.format(module=module))
    assert [*loader.catalogue.toolkit("old").tools] == ["old.look"]


def test_a_toolkit_may_name_the_module(tmp_path: Path) -> None:
    """The decorator is found behind its module's name too."""
    text = (
        TOOL.format(module="sandbox.sdk")
        .replace("World, tool", "tools")
        .replace("@tool", "@tools.tool")
    )
    loader = workspace(tmp_path, "tools/own.py", text)
    assert [*loader.catalogue.toolkit("own").tools] == ["own.look"]


@pytest.mark.parametrize("module", ["sandbox.monitors.step", "sandbox.sdk.monitors", "sandbox"])
def test_a_toolkit_imports_nothing_that_no_container_has(tmp_path: Path, module: str) -> None:
    """An import that would fail inside is an error before a container is started."""
    loader = workspace(tmp_path, "tools/own.py", TOOL.format(module=module))
    with pytest.raises(ScenarioError, match="tools cannot import sandbox") as caught:
        loader.catalogue.toolkit("own")
    assert caught.value.problems[0].line == 2
