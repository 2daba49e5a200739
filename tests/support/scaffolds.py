"""Shipped scaffolds and a user's own, each with a defence in front of its calls; a model that keeps what it is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from textwrap import indent
from typing import Any

from sandbox.agents.context import AgentContext
from sandbox.agents.plan_and_solve import plan
from sandbox.agents.react import Drive, compile_graph, react
from sandbox.agents.repeat_user_prompt import repeat_user_prompt
from sandbox.agents.scaffolds import Driver, Scaffold, resolve
from sandbox.models.base import Message, ModelRequest, Reply, Retry, Source, ToolCall
from sandbox.runs.run import run
from sandbox.runs.run_plan import RunResult
from sandbox.trace.verify import verify
from tests.support.defences import Defence
from tests.support.runner import Runner

NODES = '''\
"""A graph of two nodes that keeps the model's answer as it was."""
import operator
from typing import Annotated, Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command

from tests.support.defences import {defence} as act


class State(TypedDict):
    messages: Annotated[list[dict[str, Any]], operator.add]


async def think(state: State, runtime: Runtime[Any]) -> Command[Any]:
    answer = await runtime.context.ask(state["messages"])
    if answer is None or not answer.get("tool_calls"):
        return Command(update={{"messages": [answer] if answer else []}}, goto=END)
    return Command(update={{"messages": [answer]}}, goto="work")


async def work(state: State, runtime: Runtime[Any]) -> Command[Any]:
    results = await act(runtime.context, state["messages"][-1])
    return Command(update={{"messages": results}}, goto=END if runtime.context.over else "think")


builder = StateGraph(State)
builder.add_node("think", think, destinations=("work", END))
builder.add_node("work", work, destinations=("think", END))
builder.add_edge(START, "think")
graph = builder.compile()
'''
FUNCTION = '''\
"""A graph of LangGraph's functional interface."""
from typing import Any

from langgraph.func import entrypoint
from langgraph.runtime import Runtime

from tests.support.defences import {defence} as act


@entrypoint()
async def graph(state: dict[str, Any], runtime: Runtime[Any]) -> Any:
    said = list(state["messages"])
    while (answer := await runtime.context.ask(list(said))) is not None:
        said.append(answer)
        if runtime.context.over or not answer.get("tool_calls"):
            break
        said += await act(runtime.context, answer)
    return {{"messages": said}}
'''
SHIPPED: dict[str, Drive] = {
    "react": react,
    "plan": plan,
    "repeat_user_prompt": repeat_user_prompt,
}
OWN = {"nodes": NODES, "function": FUNCTION}
SCAFFOLDS = (*SHIPPED, *OWN)
PAY = {"to": "Lumen SARL", "iban": "FR7630006000011234567890189", "amount": 9.0, "reference": "R"}
CALLS = (
    ToolCall("a", "mail_list", {}),
    ToolCall("b", "bank_pay", PAY),
    ToolCall("c", "bank_payees", {}),
)


@dataclass(frozen=True)
class Layer:
    """The context of a shipped scaffold, with a defence in front of it."""

    context: AgentContext
    defence: Defence

    async def ask(self, messages: Any, *, words_only: bool = False) -> Message | None:
        """Ask."""
        return await self.context.ask(messages, words_only=words_only)

    async def act(self, message: Message) -> list[Message]:
        """Act as the defence does."""
        return await self.defence(self.context, message)

    @property
    def over(self) -> bool:
        """Whether the run is over."""
        return self.context.over

    @property
    def lang(self) -> str:
        """Language of the run."""
        return self.context.lang


@dataclass
class Replies:
    """A model that gives these replies, and keeps what it was asked."""

    replies: list[Reply]
    requests: list[list[Message]] = field(default_factory=list)
    name: str = "scripted/test"

    def describe(self) -> dict[str, Any]:
        """Return nothing."""
        return {}

    async def complete(self, request: ModelRequest, on_retry: Retry) -> Reply:
        """Return the next reply; a plan takes none."""
        self.requests.append([message.copy() for message in request.messages])
        number = request.turn - request.text_replies
        if request.words_only or number >= len(self.replies):
            return Reply("Over.")
        return self.replies[number]


Drivers = Callable[[str, Defence], Driver]


def driver_in(folder: Path) -> Drivers:
    """Return a way to get a scaffold by name whose calls go through a defence."""

    def of(name: str, defence: Defence) -> Driver:
        if name in OWN:
            module = f"{name}_{defence.__name__}_{folder.name}"
            (folder / f"{module}.py").write_text(OWN[name].format(defence=defence.__name__))
            return resolve(f"{module}:graph", folder)

        async def layered(context: AgentContext, messages: list[Message]) -> list[Message]:
            return await SHIPPED[name](Layer(context, defence), messages)

        return Scaffold(name, partial(compile_graph, layered))

    return of


async def driven(
    play: Runner, scaffold: Driver, model: Replies | Source | str, **how: Any
) -> RunResult:
    """Run a scenario with a scaffold."""
    chosen = (lambda _: model) if isinstance(model, Replies) else model
    result = await run(replace(play.plan(chosen, **how), scaffold=scaffold), play.store)
    assert verify(play.store, play.store.run(result.id)).ok
    return result


def replies(*calls: ToolCall) -> Replies:
    """Return a model that asks for these calls in one reply, and then speaks."""
    return Replies([Reply("I act.", calls or CALLS, finish="tool_calls")])


def calls_of(play: Runner, run_id: str) -> list[tuple[str, str, Any]]:
    """Return the calls that reached the gate: id, tool, arguments."""
    intents = play.data(run_id, "tool.intent")
    return [(i["call"], i["tool"], i.get("arguments", i.get("raw"))) for i in intents]


def refusals(messages: list[Message]) -> list[str]:
    """Return what a provider that validates ids would say of a request."""
    found, open_ids = [], list[str]()
    for place, message in enumerate(messages):
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_ids:
                found.append(f"{place}: {message['tool_call_id']} answers no call")
            else:
                open_ids.remove(message["tool_call_id"])
            continue
        found += [f"{place}: {name} has no result" for name in open_ids]
        open_ids = [call["id"] for call in message.get("tool_calls") or ()]
    return found + [f"end: {name} has no result" for name in open_ids]


def documented_module(*, defended: bool = False) -> str:
    """Return the module in docs/scaffolds.md, as it stands there or with the defence that stands below it."""
    page = Path(__file__).parents[2] / "docs" / "scaffolds.md"
    _, module, defence = (
        part.split("```")[0] for part in page.read_text("utf-8").split("```python\n")[1:]
    )
    act = "    results = await runtime.context.act(answer)\n"
    assert act in module
    return module.replace(act, indent(defence, "    ")) if defended else module


def scaffold(drive: Drive) -> Driver:
    """Return a scaffold of a test's own."""
    return Scaffold("own", partial(compile_graph, drive))
