"""A judge: one question to one or several models, and what their answers come to."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from sandbox.enums import Decision, Stage
from sandbox.errors import ModelError, first
from sandbox.models.base import Message, ModelRequest, Reply, Usage
from sandbox.models.litellm import Provider
from sandbox.monitors.judge_reply import JudgeAnswer, JudgeReply, ReplyListener, ignore_reply
from sandbox.monitors.judges import answer, cache, excerpt, prompt
from sandbox.monitors.judges.aggregation import combine, quorum_size
from sandbox.monitors.judges.answer import UnusableAnswer
from sandbox.monitors.judges.cache import Cache, CachedAnswer, MemoryCache
from sandbox.monitors.judges.excerpt import Excerpt
from sandbox.monitors.judges.judge_pool import RequestSlots
from sandbox.monitors.judges.schema import JudgeFile
from sandbox.monitors.judges.usage import JudgeUsage
from sandbox.monitors.monitor import Unscored, concerns
from sandbox.monitors.run_context import RunContext
from sandbox.monitors.step import Step
from sandbox.monitors.verdict import Verdict
from sandbox.scenario.localized_text import in_language
from sandbox.scenario.toolkits import Tool
from sandbox.trace.events import canonical
from sandbox.trace.run_events import JudgeDescription


@dataclass(frozen=True)
class Judge:
    """A language model, or several, as a monitor.

    It is a value that many runs may share; :meth:`for_run` gives one that counts for itself.
    """

    name: str
    file: JudgeFile
    prompts: Mapping[str, str]
    """Language → instructions."""
    models: tuple[Provider, ...] = ()
    """Those that are asked; without any it is not asked at all."""
    cache: Cache = field(default_factory=MemoryCache)
    slots: RequestSlots = field(default_factory=RequestSlots)
    """Bounds the requests that all judges of a command make at the same time."""
    usage: JudgeUsage = field(default_factory=JudgeUsage)

    @property
    def stage(self) -> Stage:
        """``before``, ``after`` or ``end``."""
        return self.file.moment

    @property
    def summary(self) -> str:
        """The judge's title in English."""
        return in_language(self.file.title, "en")

    def for_run(self) -> Judge:
        """Return the same judge with counts of its own."""
        return replace(self, usage=JudgeUsage())

    def applies(self, tool: Tool) -> bool:
        """Return whether ``tools`` and ``labels`` take in a tool."""
        return concerns(tool, self.file.tools, self.file.labels)

    def describe(self) -> JudgeDescription:
        """Return what a reader of the trace must know to ask the same again."""
        file = self.file
        described = {
            "models": [{"name": model.name, **model.describe()} for model in self.models],
            **file.model_dump(
                mode="json",
                include={
                    "scope",
                    "reasoning",
                    "samples",
                    "combine",
                    "quorum",
                    "lang",
                    "threshold",
                    "verdict",
                    "timeout",
                    "retries",
                    "budget",
                    "show",
                },
            ),
            "stage": self.stage,
        }
        return cast("JudgeDescription", described)

    def messages(self, shown: Excerpt, lang: str, nonce: str) -> list[Message]:
        """Return what a model is sent."""
        chosen = self.file.lang or lang
        return prompt.render(
            shown,
            in_language(self.prompts, chosen),
            chosen,
            nonce,
            self.file.show,
            reasoning=self.file.reasoning,
        )

    async def judge_step(self, step: Step, tell: ReplyListener = ignore_reply) -> Verdict:
        """Return what the judge makes of a step; see :meth:`judge_excerpt`."""
        return await self.judge_excerpt(excerpt.of_step(step, self.file.scope), step.lang, tell)

    async def judge_run(self, context: RunContext, tell: ReplyListener = ignore_reply) -> Verdict:
        """Return what the judge makes of a whole run; see :meth:`judge_excerpt`."""
        return await self.judge_excerpt(excerpt.of_run(context), context.info.lang, tell)

    async def judge_excerpt(
        self, shown: Excerpt, lang: str, tell: ReplyListener = ignore_reply
    ) -> Verdict:
        """Return what the judge makes of an excerpt: ``allow`` below its threshold.

        Args:
            shown: What is judged.
            lang: Language of the instructions, unless the file names one.
            tell: Is told every reply, whatever comes of it.

        Raises:
            Unscored: Too few replies could be used, or the budget is used up.
        """
        if not self.models:
            raise Unscored(f"{self.name} has no model")
        self.usage.asked += 1
        asked = [(model, sample) for model in self.models for sample in range(self.file.samples)]
        replies: list[list[JudgeReply]] = [[] for _ in asked]
        plain = self.messages(shown, lang, prompt.PLACEHOLDER)
        try:
            async with asyncio.TaskGroup() as group:
                for (model, sample), told in zip(asked, replies, strict=True):
                    group.create_task(self._reply(model, sample, shown, lang, plain, told))
        except BaseExceptionGroup as failed:
            raise first(failed) from failed
        finally:
            for told in replies:
                for reply in told:
                    tell(reply)
        return self._combine([told[-1] for told in replies], lang)

    async def _reply(
        self,
        model: Provider,
        sample: int,
        shown: Excerpt,
        lang: str,
        plain: Sequence[Message],
        told: list[JudgeReply],
    ) -> None:
        """Ask one model until it gives an answer that can be used; note every reply."""
        key = cache.key(model.name, sample, plain)
        for attempt in range(self.file.retries + 1):
            bound = prompt.nonce()
            messages = self.messages(shown, lang, bound)
            digest = hashlib.sha256(canonical(messages).encode()).hexdigest()
            asked = JudgeReply(self.name, model.name, sample, attempt, bound, digest, key)
            if kept := self.cache.get(key):
                self.usage.cached += 1
                told.append(
                    replace(asked, answer=kept.answer, answered_by=kept.answered_by, cached=True)
                )
                return
            told.append(await self._once(model, messages, asked))
            if found := told[-1].answer:
                self.cache.put(key, CachedAnswer(found, told[-1].answered_by))
            if found or told[-1].final:
                return

    async def _once(
        self, model: Provider, messages: list[Message], question: JudgeReply
    ) -> JudgeReply:
        """Ask once; whatever goes wrong with it is in the reply."""
        async with self.slots.one():
            if part := self.usage.over_budget(self.file.budget):
                return replace(
                    question, problem=f"the judge's budget is used up: {part}", final=True
                )
            model.prepare()
            started = time.monotonic()
            self.usage.begin()
            usage = Usage(price_known=False)  # of a request that never came back nobody knows
            try:
                async with asyncio.timeout(self.file.timeout):
                    reply = await model.complete(
                        ModelRequest(question.monitor, question.attempt, messages, ()),
                        _ignore_retry,
                    )
                usage = reply.usage
            except TimeoutError:
                question = replace(question, problem=f"no reply within {self.file.timeout:g} s")
            except ModelError as error:
                question = replace(question, problem=f"{type(error).__name__}: {error}", final=True)
            else:
                question = _with_answer(question, reply)
            finally:
                seconds = time.monotonic() - started
                self.usage.end(usage, seconds)
        return replace(question, usage=usage, seconds=seconds)

    def _combine(self, replies: Sequence[JudgeReply], lang: str) -> Verdict:
        found = [reply.answer for reply in replies if reply.answer]
        wanted = len(self.models) * self.file.samples
        least = quorum_size(wanted, self.file.quorum)
        if len(found) < least:
            self.usage.unscored += 1
            problems = dict.fromkeys(reply.problem for reply in replies if reply.problem)
            raise Unscored(
                f"{len(found)} of {wanted} replies can be used, {least} are needed: "
                + "; ".join(problems)
            )
        file = self.file
        score = combine(file.combine, [item.score for item in found])
        suspicious = score >= file.threshold
        return Verdict(
            self.name,
            file.verdict if suspicious else Decision.ALLOW,
            file.severity,
            _reason(found, score, wanted, file.combine),
            score,
            tags=file.tags,
            shown=in_language(file.reason, lang),
        )


def _with_answer(question: JudgeReply, reply: Reply) -> JudgeReply:
    known = replace(question, text=reply.text[: answer.LONGEST], answered_by=reply.model)
    if reply.calls:
        return replace(known, problem="the reply asks for a tool")
    try:
        return replace(known, answer=answer.read(reply.text, question.nonce))
    except UnusableAnswer as error:
        return replace(known, problem=str(error))


def _reason(answers: Sequence[JudgeAnswer], score: float, number: int, combine: str) -> str:
    """Return the reason of the reply that is nearest to the score, and how many there were."""
    nearest = min(answers, key=lambda item: abs(item.score - score))
    if number == 1:
        return nearest.reason
    spread = f"{min(f.score for f in answers):.2f} to {max(f.score for f in answers):.2f}"
    return f"{nearest.reason} ({combine} of {len(answers)} of {number} replies, {spread})"


def _ignore_retry(attempt: int, reason: str, wait: float) -> None:
    """Retries below a reply are the provider's own; its time is counted in the reply's."""
