"""Scaffolds by name: what can drive a model. Three are built in; a user's own is ``module:attribute``, or a program.

A user's graph is host code, as a Python monitor is: its module comes from the workspace's folder or
from what is installed.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from sandbox.agents.context import AgentContext
from sandbox.agents.plan_and_solve import plan
from sandbox.agents.react import Drive, compile_graph, react
from sandbox.agents.repeat_user_prompt import repeat_user_prompt
from sandbox.errors import InputError, SandboxError, ScaffoldError, nearest
from sandbox.models.base import Message

PROGRAM = "program:"
"""With this begins the name of a scaffold that is a command line."""
_OWN_STEPS = 10
"""Steps of LangGraph for each turn that a user's graph may take; a built-in one takes one in all."""
_RESULT = "__end__"
"""Channel of what a graph made with LangGraph's functional interface returns; its state is its own."""
_FIRST_STEPS = 4
"""The turn in which the limit is noticed, and LangGraph's own."""


class Driver(Protocol):
    """What drives a model in a run, in this process or elsewhere."""

    @property
    def name(self) -> str:
        """As the user wrote it."""

    @property
    def sha256(self) -> str:
        """Of the file that a user's graph is from; empty for others."""

    async def run(
        self, context: AgentContext, messages: list[Message], turns: int
    ) -> list[Message]:
        """Let an agent act from these messages until it is done or a limit ends it; return them all."""


@dataclass(frozen=True)
class Scaffold:
    """What drives a model: a compiled LangGraph graph whose context is an :class:`AgentContext`."""

    name: str
    graph: Callable[[], Any]
    """Returns the compiled graph; LangGraph is loaded then, not before."""
    sha256: str = ""
    """Of the file that a user's graph is from; empty for a built-in one, which the version tells."""
    about: str = ""

    async def run(
        self, context: AgentContext, messages: list[Message], turns: int
    ) -> list[Message]:
        """Let the agent act from these messages until it is done or a limit ends it; return them all.

        Args:
            context: Answers and results.
            messages: System prompt and task.
            turns: The most replies that the model may give.

        Raises:
            ScaffoldError: A user's graph broke, or hands over or returns something else than messages.
        """
        bound = turns * _OWN_STEPS + _FIRST_STEPS
        guarded = _GuardedContext(self.name, context)
        try:
            state = await self.graph().ainvoke(
                {"messages": messages},
                {"recursion_limit": bound},
                context=guarded if self.sha256 else context,
            )
        except Exception as error:
            if not self.sha256 or isinstance(error, SandboxError):
                raise
            if guarded.fault is not None:  # the graph may have made another error of it
                raise guarded.fault from None
            raise ScaffoldError(
                f"scaffold {self.name}: its graph broke: {_where(error)}"
            ) from error
        history = state.get("messages") if isinstance(state, dict) else None
        if not isinstance(history, list):
            raise ScaffoldError(f"scaffold {self.name}: its graph returned no 'messages'")
        return history


def _built_in(name: str, drive: Drive, about: str) -> Scaffold:
    return Scaffold(name, partial(compile_graph, drive), about=about)


REACT = _built_in("react", react, "reason, call tools, read the results")
BUILT_IN: Mapping[str, Scaffold] = {
    item.name: item
    for item in (
        REACT,
        _built_in("plan", plan, "write a plan without tools, then act by it"),
        _built_in(
            "repeat_user_prompt",
            repeat_user_prompt,
            "react; the task is repeated behind every tool result",
        ),
    )
}


def resolve(name: str, workspace: Path | None = None) -> Driver:
    """Return a scaffold by name.

    Args:
        name: A built-in one's, ``module:attribute``, or ``program:COMMAND``.
        workspace: Where the module of a user's graph may lie.

    Raises:
        InputError: There is none of this name, its module cannot be imported, or it is no graph.
    """
    if name in BUILT_IN:
        return BUILT_IN[name]
    if name.startswith(PROGRAM):
        from sandbox.agents.external.program import program

        return program(name, name.removeprefix(PROGRAM))
    module, colon, attribute = name.partition(":")
    if not (colon and module and attribute):
        raise InputError(
            f"unknown scaffold {name!r}{nearest(name, BUILT_IN)} (there are {', '.join(BUILT_IN)}, "
            "graphs of your own as module:attribute, and programs as program:COMMAND)"
        )
    with _importable(workspace):
        try:
            loaded = importlib.import_module(module)
        except ModuleNotFoundError as error:
            raise InputError(
                f"scaffold {name!r}: no module {error.name!r} in the workspace or installed"
            ) from error
        except Exception as error:
            raise InputError(
                f"scaffold {name!r}: its module broke: {type(error).__name__}: {error}"
            ) from error
    return Scaffold(name, _graph(name, loaded, attribute), _digest(name, loaded))


def _graph(name: str, module: Any, attribute: str) -> Callable[[], Any]:
    from langgraph.pregel import Pregel

    graph = getattr(module, attribute, None)
    if graph is None:
        known = [key for key, value in vars(module).items() if isinstance(value, Pregel)]
        raise InputError(
            f"scaffold {name!r}: its module has no {attribute!r}{nearest(attribute, known)}"
        )
    if not isinstance(graph, Pregel):
        raise InputError(
            f"scaffold {name!r} is a {type(graph).__name__}, not a compiled graph of LangGraph: "
            "write graph = builder.compile()"
        )
    if not {"messages", _RESULT} & graph.channels.keys():
        raise InputError(f"scaffold {name!r}: the state of its graph has no 'messages'")
    return lambda: graph


def _digest(name: str, module: Any) -> str:
    path = getattr(module, "__file__", None)
    if not path:
        raise InputError(f"scaffold {name!r}: its module is no file, so no run can say what it was")
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


@contextmanager
def _importable(workspace: Path | None) -> Iterator[None]:
    """Let modules of a workspace be imported, behind what is installed."""
    places = {str(workspace.resolve())} - {*sys.path} if workspace else set()
    sys.path += places
    try:
        yield
    finally:
        for place in places:
            sys.path.remove(place)


def _where(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}: {error}"


@dataclass
class _GuardedContext:
    """The context of a user's graph: what it hands over is looked at before it reaches a model."""

    name: str
    context: AgentContext
    fault: Exception | None = None
    """What failed on this side of it: no fault of the graph."""

    async def ask(self, messages: Sequence[Message], *, words_only: bool = False) -> Message | None:
        for message in messages:
            if not isinstance(message, dict) or not isinstance(message.get("role"), str):
                raise ScaffoldError(
                    f"scaffold {self.name}: a {type(message).__name__} is no message; keep plain "
                    "messages in OpenAI's format in the state (Annotated[list[dict], operator.add])"
                )
        with self._note_fault():
            return await self.context.ask(messages, words_only=words_only)

    async def act(self, message: Message) -> list[Message]:
        with self._note_fault():
            return await self.context.act(message)

    @contextmanager
    def _note_fault(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.fault = error
            raise
        self.fault = None

    @property
    def over(self) -> bool:
        return self.context.over

    @property
    def lang(self) -> str:
        return self.context.lang
