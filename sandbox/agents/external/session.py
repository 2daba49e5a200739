"""The stay of an outside agent in a run: what it asks for is done in the run's own task, one thing at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from sandbox.agents.context import AgentContext
from sandbox.errors import EnvironmentFault, InternalError, internal, raised_by_us
from sandbox.models.base import FunctionTool, Message
from sandbox.scenario.toolkits import Tool

Answer = TypeVar("Answer")
Job = Callable[[], Awaitable[None]]


class OutsideContext(AgentContext, Protocol):
    """What a run offers an agent from elsewhere, beside what it offers a graph."""

    @property
    def offered(self) -> Sequence[tuple[Tool, FunctionTool]]:
        """The agent's tools, each with its description in OpenAI's form."""

    @property
    def model_name(self) -> str:
        """The model that the agent may use; empty where it brings its own."""

    def offer(self, messages: Sequence[Message]) -> None:
        """Put the first messages to the agent on record."""

    async def answer(
        self, messages: Sequence[Message], tools: Sequence[FunctionTool]
    ) -> Message | None:
        """Return the model's answer to messages and tools of the agent's own, None where a limit ends the run."""

    async def use(self, tool: str, arguments: Mapping[str, object]) -> tuple[str, bool]:
        """Pass a call through the gate; return what the agent reads, and whether it went well."""

    async def conclude(self, text: str) -> None:
        """Take the agent's closing words."""


class Over(Exception):
    """The run is over: nothing more is done for the agent."""


class Visit:
    """One outside agent in one run."""

    def __init__(self, context: OutsideContext, messages: Sequence[Message]) -> None:
        """Begin it.

        Args:
            context: The run, as the agent may use it.
            messages: System prompt and task.
        """
        self.context = context
        self.prompt = "\n\n".join(str(m["content"]) for m in messages if m["role"] == "system")
        self.task = "\n\n".join(str(m["content"]) for m in messages if m["role"] == "user")
        self._jobs: asyncio.Queue[Job | Exception | None] = asyncio.Queue()
        """What is to be done; a fault or None ends it."""
        self._open: set[asyncio.Future[Any]] = set()
        self._over = False

    async def call(self, tool: str, arguments: Mapping[str, object]) -> tuple[str, bool]:
        """Have a call made; return what the agent reads, and whether it went well.

        Raises:
            Over: The run is over.
        """
        return await self._ask(lambda: self.context.use(tool, arguments))

    async def answer(
        self, messages: Sequence[Message], tools: Sequence[FunctionTool]
    ) -> Message | None:
        """Have the run's model asked; return its answer, None where a limit ends the run.

        Raises:
            Over: The run is over.
        """
        return await self._ask(lambda: self.context.answer(messages, tools))

    async def finish(self, text: str) -> None:
        """Take the agent's closing words, and end.

        Raises:
            Over: The run is over.
        """
        await self._ask(lambda: self.context.conclude(text))
        self.end()

    @contextmanager
    def guard(self, *known: type[Exception]) -> Iterator[None]:
        """End it if our code fails in answering the agent: the agent alone would hear of it otherwise.

        Args:
            known: What is meant to be raised.
        """
        try:
            yield
        except known:
            raise
        except Exception as error:
            self.end(InternalError(internal(error)))
            raise

    def watch(self, task: asyncio.Task[Any], what: str) -> None:
        """End it with what a task fails by, whose work it needs; that is a fault of ours, or of its surroundings."""

        def over(done: asyncio.Task[Any]) -> None:
            error = None if done.cancelled() else done.exception()
            if error is not None:
                ours = raised_by_us(error) is not None
                self.end(
                    InternalError(internal(error)) if ours else EnvironmentFault(f"{what}: {error}")
                )

        task.add_done_callback(over)

    def end(self, fault: Exception | None = None) -> None:
        """End it, once what was asked for before is done; with a fault, the run ends in that."""
        self._jobs.put_nowait(fault)

    async def serve(self) -> None:
        """Do what the agent asks for until it ends, or a limit or a monitor ends the run.

        Raises:
            Exception: What went wrong, with the container or the agent's program.
        """
        try:
            while not self.context.over:
                job = await self._jobs.get()
                if job is None:
                    return
                if isinstance(job, Exception):
                    raise job
                await job()
        finally:
            self._over = True
            for waiting in self._open:
                if not waiting.done():
                    waiting.set_exception(Over())

    async def _ask(self, act: Callable[[], Awaitable[Answer]]) -> Answer:
        if self._over:
            raise Over
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        async def job() -> None:
            if answer.cancelled():  # whoever asked is gone
                return
            value = await act()
            if not answer.done():
                answer.set_result(value)

        self._open.add(answer)
        self._jobs.put_nowait(job)
        try:
            return await answer
        finally:
            self._open.discard(answer)
