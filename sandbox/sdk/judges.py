"""What a script imports that asks judges about stored runs; a judge itself is a YAML file, see ``docs/judges.md``."""

from __future__ import annotations

from sandbox.monitors.judge_reply import JudgeAnswer, JudgeReply
from sandbox.monitors.judges.judge import Judge
from sandbox.monitors.judges.judge_pool import JudgePool
from sandbox.monitors.judges.offline import JudgeScore, RunReview, review_run, review_runs
from sandbox.monitors.judges.schema import JudgeBudget, JudgeFile
from sandbox.monitors.judges.usage import JudgeUsage
from sandbox.monitors.library import MonitorLibrary

__all__ = [
    "Judge",
    "JudgeAnswer",
    "JudgeBudget",
    "JudgeFile",
    "JudgePool",
    "JudgeReply",
    "JudgeScore",
    "JudgeUsage",
    "MonitorLibrary",
    "RunReview",
    "review_run",
    "review_runs",
]
