"""Scaffolds: what drives the model, built in or a user's own, on the record of every run."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.agents.plan_and_solve import GO, WRITE
from sandbox.agents.scaffolds import BUILT_IN, resolve
from sandbox.errors import InputError
from sandbox.models.base import ModelRequest, Reply, Retry, ToolCall
from sandbox.models.scripted import Scripted
from sandbox.monitors import offline
from sandbox.runs.run_plan import RunResult
from sandbox.trace.purging import purge
from sandbox.trace.verify import verify
from tests.support import REPOSITORY
from tests.support.forks import fork, positions
from tests.support.runner import Runner, call, plays, say
from tests.support.scaffolds import documented_module
from tests.support.user_graph import OWN

FUNCTION = '''\
"""A graph made with the functional interface."""
from typing import Any

from langgraph.func import entrypoint
from langgraph.runtime import Runtime


@entrypoint()
async def graph(state: dict[str, Any], runtime: Runtime[Any]) -> Any:
    said = list(state["messages"])
    while (answer := await runtime.context.ask(list(said))) is not None:
        said.append(answer)
        if runtime.context.over or not answer.get("tool_calls"):
            break
        said += await runtime.context.act(answer)
    return %s
'''
Own = Callable[..., str]


@pytest.fixture
def own(tmp_path: Path) -> Own:
    """Write the module of a user's graph; return its name, another one each time."""

    def write(messages: str = 'state["messages"]') -> str:
        name = f"own_{tmp_path.name}_{hashlib.sha256(messages.encode()).hexdigest()[:8]}"
        (tmp_path / f"{name}.py").write_text(OWN % messages)
        return name

    return write


async def driven(
    play: Runner, name: str, model: Any, place: Path | None = None, **how: Any
) -> RunResult:
    """Run a scenario with a scaffold."""
    return await play(model, scaffold=resolve(name, place), **how)


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("lang", ["en", "fr"])
async def test_references_work_under_every_scaffold(play: Runner, name: str, lang: str) -> None:
    """The safe reference reaches the goal without an alert, the unsafe one does harm that is seen."""
    safe = await driven(play, name, "scripted/safe", lang=lang)
    unsafe = await driven(play, name, "scripted/unsafe", lang=lang)
    assert (safe.task, safe.safety, safe.verdicts) == ("done", "safe", ())
    assert unsafe.safety == "unsafe"
    assert unsafe.verdicts


@pytest.mark.parametrize("number", [0, 1])
async def test_scaffolds_of_the_document(
    play: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Both ways of writing a scaffold that docs/scaffolds.md shows drive a model to its goal."""
    text = (REPOSITORY / "docs" / "scaffolds.md").read_text("utf-8")
    source = text.split("```python\n")[number + 1].partition("```")[0]
    module, _, attribute = source.partition("--scaffold ")[2].partition('"""')[0].partition(":")
    (tmp_path / f"{module}.py").write_text(source, "utf-8")
    monkeypatch.delitem(sys.modules, module, raising=False)
    result = await driven(play, f"{module}:{attribute}", "scripted/safe", tmp_path)
    monkeypatch.delitem(sys.modules, module, raising=False)
    assert (result.task, result.safety) == ("done", "safe")


@pytest.mark.parametrize("name", BUILT_IN)
async def test_a_run_says_what_drove_it(play: Runner, name: str) -> None:
    """The scaffold stands in the first event, the row and the result, and the row is proved by the event."""
    result = await driven(play, name, "scripted/safe")
    (start,) = play.data(result.id, "run.start")
    row = play.store.run(result.id)
    assert (start["scaffold"], row.scaffold, result.scaffold) == (name, name, name)
    assert "scaffold_sha256" not in start
    assert verify(play.store, row).ok
    row.scaffold = "other"
    assert "scaffold" in str(verify(play.store, row).problem)


async def test_a_plan_is_written_without_tools(play: Runner) -> None:
    """The first reply is words, asked for without tools; calls that come all the same are not made."""
    asked = []

    class Eager:
        name = "scripted/test"

        def describe(self) -> dict[str, Any]:
            return {}

        async def complete(self, request: Any, on_retry: Any) -> Reply:
            asked.append((len(request.tools), request.words_only, request.messages[-1]["content"]))
            calls = (ToolCall("c", "bank_balance", {}),) if request.words_only else ()
            return Reply("1. Look.", calls)

    result = await driven(play, "plan", lambda _: Eager())
    assert asked[0][:2] == (0, True)
    assert asked[0][2] == WRITE["en"]
    assert asked[1][0] > 0
    assert asked[1][2] == GO["en"]
    assert result.tool_calls == 0
    assert [r.get("words_only", False) for r in play.data(result.id, "model.reply")] == [
        True,
        False,
    ]


async def test_a_plan_is_not_judged_as_closing_words(play: Runner) -> None:
    """Monitors of the stage ``reply`` are asked of the last words only, live and over the trace."""
    result = await driven(play, "plan", plays(call("bank.balance"), say("It is paid.")))
    asked = [item for item in offline.steps(play.events(result.id)) if item.step.stage == "reply"]
    assert [item.data["text"] for item in asked] == ["It is paid."]


async def test_the_task_is_repeated_behind_results(play: Runner) -> None:
    """``repeat_user_prompt`` says the user's task again after the results of each reply."""
    model = plays(call("bank.balance"), call("bank.balance"), say("Done."))
    result = await driven(play, "repeat_user_prompt", model)
    said = [m["content"] for m in play.data(result.id, "message") if m["role"] == "user"]
    assert len(said) == 3
    assert len(set(said)) == 1


async def test_limits_hold(play: Runner) -> None:
    """A plan counts as a turn, and the run ends where there are no more."""
    result = await driven(play, "plan", "scripted/safe", limits={"turns": 1})
    assert (result.task, result.tool_calls) == ("limit", 0)


@pytest.mark.parametrize("name", [n for n in BUILT_IN if n != "react"])
async def test_a_fork_keeps_the_scaffold(play: Runner, name: str) -> None:
    """A fork replays under its parent's scaffold, as in the record, and says so."""
    parent = await driven(play, name, "scripted/unsafe")
    at = positions(play, parent.id, "tool.result")[1]
    made, told = await fork(play, parent.id, at, "scripted/unsafe")
    assert told["agrees"]
    assert (made.scaffold, made.safety) == (name, "unsafe")


async def test_a_graph_of_a_user(play: Runner, own: Own, tmp_path: Path) -> None:
    """A compiled graph of the workspace takes the agent's place; the hash of its file is on the record."""
    module = own()
    result = await driven(play, f"{module}:graph", "scripted/safe", tmp_path)
    (start,) = play.data(result.id, "run.start")
    assert (result.task, result.scaffold) == ("done", f"{module}:graph")
    digest = hashlib.sha256((tmp_path / f"{module}.py").read_bytes()).hexdigest()
    assert start["scaffold_sha256"] == digest


@pytest.mark.parametrize(
    ("returned", "task"), [('{"messages": said}', "done"), ("said", "error"), ("None", "error")]
)
async def test_a_graph_of_functions(play: Runner, tmp_path: Path, returned: str, task: str) -> None:
    """A graph of LangGraph's functional interface is as good, where it returns the messages."""
    name = f"functional_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(FUNCTION % returned)
    result = await driven(play, f"{name}:graph", "scripted/safe", tmp_path)
    assert result.task == task
    assert task == "done" or "returned no 'messages'" in result.reason


@pytest.mark.parametrize("messages", ['["hello"]', '[{"content": "hello"}]'])
async def test_what_is_no_message_ends_the_run(
    play: Runner, own: Own, tmp_path: Path, messages: str
) -> None:
    """What a user's graph hands over is looked at: the error is the scaffold's, not the agent's."""
    result = await driven(play, f"{own(messages)}:graph", "scripted/safe", tmp_path)
    assert result.task == "error"
    assert "no message" in result.reason


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("plam", "did you mean 'plan'"),
        (":graph", "unknown scaffold"),
        ("{own}:grap", "did you mean 'graph'"),
        ("{own}:number", "not a compiled graph"),
        ("no_such_module_here:graph", "no module 'no_such_module_here'"),
    ],
)
def test_names_that_are_none(own: Own, tmp_path: Path, name: str, said: str) -> None:
    """An error says what is wrong and the nearest name."""
    with pytest.raises(InputError, match=said):
        resolve(name.format(own=own()), tmp_path)


def test_a_module_that_breaks(tmp_path: Path) -> None:
    """A module that cannot be imported is told of with its own error."""
    (tmp_path / "own_broken_graph.py").write_text("1 / 0\n")
    with pytest.raises(InputError, match="ZeroDivisionError"):
        resolve("own_broken_graph:graph", tmp_path)


async def test_the_example_of_the_documents(play: Runner, tmp_path: Path) -> None:
    """The graph in docs/scaffolds.md works as it stands there."""
    (tmp_path / "own_of_the_documents.py").write_text(documented_module())
    result = await driven(play, "own_of_the_documents:graph", "scripted/safe", tmp_path)
    assert result.task == "done"


def test_every_scaffold_is_described() -> None:
    """docs/scaffolds.md names each that is built in."""
    page = (REPOSITORY / "docs" / "scaffolds.md").read_text("utf-8")
    assert all(f"| `{name}` |" in page for name in BUILT_IN)


@pytest.mark.parametrize("name", ["react", "plan"])
async def test_a_purged_run_still_says_it(play: Runner, name: str) -> None:
    """The tombstone repeats the scaffold, and proves the row by it."""
    result = await driven(play, name, "scripted/safe")
    purge(play.store, [play.store.run(result.id)], reason="expired", by="ada")
    row = play.store.run(result.id)
    assert (row.scaffold, verify(play.store, row).ok) == (name, True)
    row.scaffold = "other"
    assert not verify(play.store, row).ok


async def test_a_graph_that_breaks(play: Runner, tmp_path: Path, own: Own) -> None:
    """Its own error is the user's to mend, and is told with its place; it is no fault of the sandbox."""
    name = own('state["mesages"]')
    result = await driven(play, f"{name}:graph", "scripted/safe", tmp_path)
    assert result.task == "error"
    assert f"its graph broke: KeyError at {name}.py:" in result.reason
    assert not result.reason.startswith("internal error")


HIDES = 'state["messages"]) if runtime is None else await _hidden(runtime, state'
HIDING = """

async def _hidden(runtime: Any, state: State) -> Any:
    try:
        return await runtime.context.ask(state["messages"])
    except Exception as error:
        raise ValueError("something went wrong") from error
"""


@pytest.mark.parametrize("hides", [False, True])
async def test_a_fault_below_a_graph(play: Runner, tmp_path: Path, own: Own, hides: bool) -> None:
    """What fails on the sandbox's side of a graph is told as that, whatever the graph makes of it."""

    class Slip(Scripted):
        async def complete(self, request: ModelRequest, on_retry: Retry) -> Reply:
            return request.nothing  # type: ignore[attr-defined, no-any-return]

    name = own(HIDES if hides else 'state["messages"]')
    file = tmp_path / f"{name}.py"
    file.write_text(file.read_text() + HIDING)
    model = Slip("scripted/slip", "safe", {}, {})
    result = await driven(play, f"{name}:graph", lambda instance: model, tmp_path)
    assert (result.task, result.reason.partition(" at ")[0]) == (
        "error",
        "internal error: AttributeError",
    )
