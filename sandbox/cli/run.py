"""``sandbox run``."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sandbox.cli.output import Json, console, note, print_json, table
from sandbox.cli.settings import Settings, reap
from sandbox.errors import EnvironmentFault, InputError, nearest

if TYPE_CHECKING:
    from sandbox.cli.progress import LiveView
    from sandbox.gate.approval import Approver
    from sandbox.monitors.library import MonitorFamily
    from sandbox.runs.run_plan import RunPlan, RunResult
    from sandbox.trace.store import Store

MODES = ("observe", "enforce")
ESCALATIONS = ("ask", "deny", "allow")
FAIL_ON = {
    "unsafe": ("unsafe",),
    "attempted": ("unsafe", "attempted"),
}

Monitors = Annotated[
    str | None,
    typer.Option(help="Monitor families, with commas; 'none' for none.", metavar="NAMES"),
]
PolicyName = Annotated[
    str | None,
    typer.Option(help="What follows from scores together: a name, or FILE.", metavar="FILE"),
]
Mode = Annotated[str, typer.Option(help="observe, or enforce what monitors decide.")]
Isolation = Annotated[str, typer.Option(help="auto, docker, gvisor or bubblewrap.")]
ToolLang = Annotated[
    str | None, typer.Option(help="Language of tool descriptions; the run's if left out.")
]
Limit = Annotated[
    list[str] | None, typer.Option(help="KEY=VALUE in place of a scenario's; repeatable.")
]
OnEscalate = Annotated[
    str | None, typer.Option(help="ask, deny or allow; asks where a person is there.")
]
Image = Annotated[str | None, typer.Option(help="Image of the Docker back end.")]
JudgeModel = Annotated[
    list[str] | None,
    typer.Option(
        help="Model that judges, in place of the judges' own; repeatable: an ensemble.",
        metavar="MODEL",
    ),
]
JudgeCache = Annotated[
    Path | None, typer.Option(help="File of judges' answers: what it holds is not asked again.")
]
Processes = Annotated[
    int | None,
    typer.Option(min=1, help="Processes that share the runs; by runs and processors if left out."),
]
JudgeLang = Annotated[
    str | None, typer.Option(help="Language of judges' instructions; the run's if left out.")
]


def run(
    context: typer.Context,
    what: Annotated[
        list[str], typer.Argument(help="Scenarios, families, folders, suites; @variant behind.")
    ],
    model: Annotated[
        list[str],
        typer.Option(
            "--model",
            "-m",
            help="provider/model, scripted/safe, cassette/FILE; repeatable.",
            metavar="MODEL",
        ),
    ],
    agent: Annotated[
        list[str] | None,
        typer.Option(help="NAME=MODEL for one agent of a team; repeatable.", metavar="NAME=MODEL"),
    ] = None,
    monitors: Monitors = None,
    judge_model: JudgeModel = None,
    judge_cache: JudgeCache = None,
    judge_lang: JudgeLang = None,
    policy: PolicyName = None,
    scaffold: Annotated[
        str,
        typer.Option(
            help="What drives the model: react, plan, repeat_user_prompt, your graph as "
            "module:attribute, or your program as 'program:COMMAND'.",
            metavar="NAME",
        ),
    ] = "react",
    mode: Mode = "observe",
    isolation: Isolation = "auto",
    lang: Annotated[
        str, typer.Option(help="Languages with commas, or 'all'; where a scenario has them.")
    ] = "en",
    tool_lang: ToolLang = None,
    repeat: Annotated[int, typer.Option(min=1, help="Runs of each, with seeds counted up.")] = 1,
    seed: Annotated[int, typer.Option(help="The first seed.")] = 0,
    limit: Limit = None,
    at_once: Annotated[
        int | None, typer.Option("--at-once", "-j", min=1, help="Runs at the same time.")
    ] = None,
    processes: Processes = None,
    on_escalate: OnEscalate = None,
    record: Annotated[
        str | None, typer.Option(help="Write the model's replies to a cassette.", metavar="FILE")
    ] = None,
    image: Image = None,
    purpose: Annotated[
        str | None,
        typer.Option(help="What for, where personal data may be in it.", metavar="TEXT"),
    ] = None,
    legal_basis: Annotated[
        str | None, typer.Option(help="On what grounds it may.", metavar="TEXT")
    ] = None,
    retain: Annotated[
        float | None, typer.Option(min=0.0, help="Days for which the run is kept.", metavar="DAYS")
    ] = None,
    fail_on: Annotated[
        str | None, typer.Option(help="Exit with 1 where a run is unsafe, or attempted.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run scenarios with a model and store every trace.

    The exit status is 0 where every run came to an outcome, 1 by --fail-on, 3 where the environment
    kept a run from one, 130 where it was stopped.
    """
    check("--mode", mode, MODES)
    check("--fail-on", fail_on, FAIL_ON)
    check("--on-escalate", on_escalate, ESCALATIONS)
    settings = Settings.of(context)
    from sandbox.agents.scaffolds import resolve
    from sandbox.cli.progress import LiveView
    from sandbox.models.resolve import assigned

    driver = resolve(scaffold, settings.workspace)
    decider, person = decider_for(on_escalate, as_json)
    settings = settings.judged_by(judge_model or (), judge_cache, judge_lang)
    plans = planned(
        settings,
        what,
        [assigned(name, agent or ()) for name in model],
        monitors,
        mode,
        isolation,
        lang,
        tool_lang,
        repeat,
        seed,
        limits_of(limit or []),
        record,
        image,
        decider,
        policy,
    )
    handling = settings.handling(purpose, legal_basis, retain)
    plans = [replace(plan, handling=handling, scaffold=driver) for plan in plans]
    _note_unasked(plans, named=bool(monitors))
    width = at_once or usual_width()
    if (person is not None and mode == "enforce") or record:  # one person, one cassette
        processes = 1
    view = LiveView(len(plans), quiet=as_json)
    if person is not None:
        person.view = view
    with settings.open_store() as store:
        results = execute_all(plans, store, width, view, processes)
    _print(settings, results, plans, as_json)
    if fail_on and any(result.safety in FAIL_ON[fail_on] for result in results):
        raise typer.Exit(1)
    if any(result.task == "error" for result in results):
        raise typer.Exit(EnvironmentFault.exit_code)


def usual_width() -> int:
    """Return how many runs there are at once on this machine, where nobody says."""
    return 2 * (os.cpu_count() or 1) + 2


def check(option: str, value: str | None, known: Any) -> None:
    """Raise an error with the nearest name where an option has an unknown value."""
    if value is not None and value not in known:
        raise InputError(f"{option}: unknown value {value!r}{nearest(value, known)}")


def decider_for(wanted: str | None, as_json: bool) -> tuple[Approver, Any]:
    """Return who decides what is escalated, and the person at the terminal where it is one."""
    from sandbox.cli.approval import Person, is_there
    from sandbox.gate.approval import FixedApprover

    if wanted == "ask" and not is_there():
        raise InputError("--on-escalate ask: there is no terminal to ask at")
    if wanted == "ask" or (wanted is None and is_there() and not as_json):
        person = Person()
        return person, person
    return FixedApprover(allow=wanted == "allow"), None


def limits_of(given: Sequence[str]) -> dict[str, float]:
    """Return limits from what stands behind ``--limit``."""
    found = {}
    for item in given:
        name, equals, value = item.partition("=")
        try:
            found[name] = float(value)
        except ValueError:
            equals = ""
        if not equals:
            raise InputError(f"--limit: write KEY=NUMBER, not {item!r}")
    return {name: int(value) if value.is_integer() else value for name, value in found.items()}


def planned(
    settings: Settings,
    what: list[str],
    models: list[str],
    monitors: str | None,
    mode: str,
    isolation: str,
    lang: str,
    tool_lang: str | None,
    repeat: int,
    seed: int,
    limits: dict[str, float],
    record: str | None,
    image: str | None,
    decider: Approver,
    policy: str | None,
) -> list[RunPlan]:
    """Return every run that is meant: all input is checked before the first one starts."""
    from sandbox.isolation.backends import backend
    from sandbox.models.resolve import check_keys, resolve
    from sandbox.runs.limit_meter import with_overrides
    from sandbox.runs.run_plan import RunPlan
    from sandbox.scenario.schema import Limits
    from sandbox.scenario.selection import select

    with_overrides(Limits.model_validate({}), limits)
    sources = {name: _recorded(resolve(name), record) for name in models}
    for name in (*models, *(() if settings.judge_cache else settings.judge_models)):
        check_keys(name)
    chosen_policy = settings.library.policy(policy) if policy else None
    scenarios = select(settings.loader, what)
    chosen = backend(isolation, image)
    reap(chosen)
    plans = []
    for scenario in scenarios:
        families = _families(settings, monitors, scenario.scenario.monitors)
        families = settings.library.with_contributors(families, chosen_policy)
        for language in _languages(lang, scenario.scenario.languages):
            for name, source in sources.items():
                for number in range(seed, seed + repeat):
                    plans.append(
                        RunPlan(
                            scenario.instance(language, number),
                            name,
                            source,
                            chosen,
                            scenario.catalogue,
                            families,
                            decider,
                            mode,  # type: ignore[arg-type]
                            tool_lang or language,
                            limits=limits,
                            policy=chosen_policy,
                        )
                    )
    if not plans:
        raise InputError(f"none of these scenarios exists in {lang!r}")
    for plan in plans:
        plan.model(plan.instance)  # a scripted model may name a reference that is not there
    return plans


def _recorded(source: Any, path: str | None) -> Any:
    if path is None:
        return source
    from sandbox.models.cassette import RecordingModel

    return lambda instance: RecordingModel(source(instance), Path(path))


def _families(settings: Settings, given: str | None, wanted: Any) -> tuple[MonitorFamily, ...]:
    if given is None:
        return settings.library.choose(wanted)
    names = [name.strip() for name in given.split(",") if name.strip()]
    return settings.library.choose([] if names == ["none"] else names)


def _note_unasked(plans: list[RunPlan], *, named: bool) -> None:
    """Say which judges are not asked, where someone named them: a run they do not see is not fine."""
    wanted = [p for p in plans if named or p.instance.scenario.monitors is not None]
    names = sorted({family.name for p in wanted for family in p.families if family.lacks_model})
    if names:
        note(f"not asked, for want of a model: {', '.join(names)}; name one with --judge-model")


def _languages(given: str, known: tuple[str, ...]) -> list[str]:
    if given == "all":
        return list(known)
    return [lang for lang in (item.strip() for item in given.split(",")) if lang in known]


def execute_all(
    plans: list[RunPlan], store: Store, at_once: int, view: LiveView, processes: int | None = 1
) -> tuple[RunResult, ...]:
    """Execute runs under a live view; a signal stops them with a word about what is kept."""
    from sandbox.runs.batch import execute
    from sandbox.runs.worker_pool import processes_for, spread

    async def together() -> tuple[RunResult, ...]:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        batch = await execute(
            plans, store, at_once=at_once, watchers=(view.watch,), done=view.done, runner=runner
        )
        return batch.results

    count = processes or processes_for(len(plans), at_once)
    try:
        with spread(plans.__getitem__, store, count, view.kinds) as runner, view:
            return asyncio.run(together())
    except (asyncio.CancelledError, KeyboardInterrupt):
        note("stopped: what had finished is stored, what was running is marked interrupted")
        raise KeyboardInterrupt from None


def _print(
    settings: Settings, results: tuple[RunResult, ...], plans: list[RunPlan], as_json: bool
) -> None:
    from rich.text import Text

    from sandbox.reports import summary
    from sandbox.terminal_escape import plain

    if as_json:
        print_json({"runs": [r.as_data() for r in results], "summary": summary.as_data(results)})
        return
    out = console()
    models = list(dict.fromkeys(result.model for result in results))
    for name in models:
        if len(models) > 1:
            out.print(Text(f"\n{plain(name)}", style="bold"))
        out.print(summary.runs_table([r for r in results if r.model == name], width=out.width))
    _print_monitors(results)
    if used := summary.judges(results):
        note(used)
    for reason in summary.errors_of(results):
        note(reason)
    out.print()
    out.print(summary.paper(results, _facts(results, plans)), soft_wrap=True)
    worst = next((r for r in results if r.safety == "unsafe"), results[0])
    where = f"--store {settings.store_url} " if settings.store_url else ""
    out.print(f"\nnext: sandbox {where}replay {worst.id}", style="bold")


def _print_monitors(results: tuple[RunResult, ...]) -> None:
    seen: dict[str, list[int]] = {}
    for result in results:
        for name in {str(verdict["monitor"]) for verdict in result.verdicts}:
            counts = seen.setdefault(name, [0, 0, 0])
            counts[0 if result.safety != "safe" else 2 if result.benign else 1] += 1
    if seen:
        console().print()
        heading = ("monitor", "harmful runs", "safe runs", "benign twins")
        table(heading, [(name, *counts) for name, counts in sorted(seen.items())])


def _facts(results: tuple[RunResult, ...], plans: list[RunPlan]) -> dict[str, Any]:
    from importlib.metadata import version

    seeds = sorted({r.seed for r in results})
    families = [family for plan in plans for family in plan.families if not family.lacks_model]
    names = sorted({family.name for family in families})
    return {
        "version": version("agent-risk-sandbox"),
        "isolation": results[0].isolation,
        "mode": results[0].mode,
        "scaffold": results[0].scaffold,
        "monitors": ", ".join(names) or "none",
        "seeds": f"{seeds[0]}–{seeds[-1]}" if len(seeds) > 1 else str(seeds[0]),
    }
