"""Reading a judge's file, its instructions, and the models that it is given."""

from __future__ import annotations

import hashlib
from pathlib import Path

from sandbox.errors import InputError, ScenarioError
from sandbox.models.litellm import Provider
from sandbox.models.resolve import unbound
from sandbox.monitors.judges.judge import Judge
from sandbox.monitors.judges.judge_pool import JudgePool
from sandbox.monitors.judges.schema import JudgeFile
from sandbox.scenario.toolkits import Catalogue
from sandbox.scenario.validation import validate
from sandbox.scenario.yaml_positions import Located

PROMPT_BYTES = 64 * 1024
"""Most that one file of instructions may hold."""


def is_judge(document: Located) -> bool:
    """Return whether a file in ``monitors/`` says that it is a judge."""
    return isinstance(document.data, dict) and "kind" in document.data


def load(
    name: str, path: Path, document: Located, catalogue: Catalogue, pool: JudgePool
) -> tuple[Judge, str]:
    """Return a judge, and the hash of its file and its instructions.

    Raises:
        ScenarioError: The file cannot be used.
    """
    file = validate(JudgeFile, document)
    file = file.model_copy(update={"lang": pool.lang or file.lang})
    problems = [
        document.problem(("tools", index), problem)
        for index, tool in enumerate(file.tools)
        if (problem := catalogue.problem_with(tool))
    ]
    models: list[Provider] = []
    for index, model in enumerate(pool.models or file.model):
        try:
            models.append(unbound(model))
        except InputError as error:
            problems.append(document.problem(("model", index), str(error)))
    prompts = {}
    for lang, beside in file.prompt.items():
        try:
            prompts[lang] = _prompt(path.parent, beside)
        except InputError as error:
            problems.append(document.problem(("prompt", lang), str(error)))
    if problems:
        raise ScenarioError(problems)
    judge = Judge(f"{name}.judge", file, prompts, tuple(models), pool.cache, pool.slots)
    return judge, _digest(path, prompts)


def _prompt(home: Path, name: str) -> str:
    path = home / name
    try:
        if not path.resolve().is_relative_to(home.resolve()):
            raise InputError(f"{name!r} leaves the folder of this file")
        with path.open("rb") as file:
            raw = file.read(PROMPT_BYTES + 1)
        text = raw.decode("utf-8").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        raise InputError(f"{name!r} cannot be read: {reason}") from error
    if not text or len(raw) > PROMPT_BYTES:
        raise InputError(f"{name!r} should hold text, at most {PROMPT_BYTES // 1024} KiB")
    return text


def _digest(path: Path, prompts: dict[str, str]) -> str:
    hasher = hashlib.sha256()
    parts = [path.read_bytes()]
    parts += [part.encode() for item in sorted(prompts.items()) for part in item]
    for part in parts:
        hasher.update(len(part).to_bytes(8, "big") + part)
    return hasher.hexdigest()
