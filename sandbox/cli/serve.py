"""``sandbox serve``."""

from __future__ import annotations

import json
import signal
from functools import partial
from typing import Annotated

import typer

from sandbox.agents.external import program, transports
from sandbox.agents.external.session import Visit
from sandbox.agents.external.transports import Address
from sandbox.api.running import RunBatch
from sandbox.cli.command import Json, Settings, console, errors, fields, note
from sandbox.cli.options import takes
from sandbox.cli.run import stoppable
from sandbox.errors import EnvironmentFault, InputError
from sandbox.runs.options import RunOptions, WorkerOptions, texts
from sandbox.runs.options import options as options_of
from sandbox.runs.run_plan import RunResult
from sandbox.terminal_escape import plain

_OF_SEVERAL = {"agent", "scaffold", "repeat", "record", "purpose", "legal_basis", "retain"}
"""Options of ``sandbox run`` that do not fit one agent from elsewhere."""


@takes(
    RunOptions,
    without=_OF_SEVERAL | {option.name for option in options_of(WorkerOptions)},
    about={
        "model": "Model that the agent finds at an endpoint like OpenAI's; outside/NAME: it brings its own.",
        "lang": "Language of the run.",
        "seed": "The seed.",
    },
    defaults={"model": "outside/agent"},
)
def serve(
    context: typer.Context,
    scenario: Annotated[str, typer.Argument(help="A scenario; @variant behind.")],
    options: RunOptions,
    stdio: Annotated[
        bool,
        typer.Option("--stdio", help="Tools over stdin and stdout, for who starts this command."),
    ] = False,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="TCP port on loopback; a free one if left out.")
    ] = 0,
    as_json: Json = False,
) -> None:
    """Let an agent from elsewhere into a scenario: its tools as an MCP server, its model like OpenAI's.

    All that it does passes the gate and is on record. The run ends when the agent calls the tool finish, at
    Ctrl-C, at a limit, or with --stdio when whoever started it closes the pipe; then it is judged.
    """
    if stdio and port:
        raise InputError("--stdio and --port: take one")
    if stdio and not texts(options.model)[0].startswith("outside/"):
        raise InputError("--stdio serves tools only: leave --model out, or use HTTP")
    if reason := transports.problem():
        raise EnvironmentFault(reason)
    settings = Settings.of(context)
    driver = program.on_stdio() if stdio else program.waiting(partial(_announce, as_json), port)
    batch = RunBatch.of(
        settings, scenario, options, quiet=True, ask=not (as_json or stdio), scaffold=driver
    )
    if len(batch.plans) != 1:
        raise InputError(
            f"{scenario!r} means {len(batch.plans)} runs: name one scenario and one language"
        )
    instance = batch.plans[0].instance
    if len(instance.scenario.agents) > 1:
        raise InputError(f"{instance.name} has several agents: only one can be served")
    with settings.open_store() as store, stoppable():
        (result,) = batch.execute(store, stop_on=(signal.SIGTERM,))
    if not stdio and as_json:
        print(json.dumps({"run": result.as_data()}))
    else:
        _tell(result, settings)
    if result.task == "error":
        raise typer.Exit(EnvironmentFault.exit_code)


def _announce(as_json: bool, address: Address, visit: Visit) -> None:
    """Print where the run is to be found: on stdout, as one JSON line or for people."""
    if as_json:
        line = fields(visit, "task prompt") | fields(address, "tools model model_name key")
        print(json.dumps({"serving": line}, ensure_ascii=False), flush=True)
        return
    headers = {"Authorization": f"Bearer {address.key}"}
    server = {"type": "http", "url": address.tools, "headers": headers}
    out = console()
    out.print("task", style="bold")
    out.print(f"  {plain(visit.task)}")
    out.print("tools, for a client of MCP", style="bold")
    out.print(json.dumps({"mcpServers": {"sandbox": server}}, indent=2), soft_wrap=True)
    if address.model:
        out.print("model, for a client of OpenAI's", style="bold")
        lines = (
            f"OPENAI_BASE_URL={address.model}",
            f"OPENAI_API_KEY={address.key}",
            f"SANDBOX_MODEL={address.model_name}",
        )
        out.print("\n".join(lines), soft_wrap=True)
    note("waiting; Ctrl-C ends the run and judges it")


def _tell(result: RunResult, settings: Settings) -> None:
    monitors = ", ".join(dict.fromkeys(str(verdict["monitor"]) for verdict in result.verdicts))
    errors().print(
        f"{result.scenario}: {result.task}, {result.safety}; {result.tool_calls} calls; "
        f"monitors: {monitors or '–'}"
    )
    if result.reason:
        note(result.reason)
    errors().print(f"next: sandbox {settings.flags}replay {result.id}")
