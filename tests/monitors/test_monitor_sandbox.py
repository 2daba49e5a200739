"""Monitors that raise, hang, end their process or eat memory: contained, on record, and they block."""

from __future__ import annotations

import asyncio
import gc
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.detectors.call import Call, Result
from sandbox.enums import CallStatus
from sandbox.monitors import monitor_runner
from sandbox.monitors.library import MonitorFamily, MonitorLibrary
from sandbox.monitors.monitor_runner import MonitorRunner
from sandbox.monitors.monitor_sandbox import MonitorFailure, MonitorProcess
from sandbox.monitors.offline import review
from sandbox.monitors.python_monitor import PythonMonitor, SandboxedMonitor
from sandbox.monitors.rules import RuleMonitor, scenario_rules
from sandbox.monitors.run_context import RunContext, RunInfo
from sandbox.monitors.step import of_call, record_execution
from sandbox.scenario.content_paths import Content
from sandbox.scenario.loader import Loader
from sandbox.scenario.schema import Rule
from tests.support import REPOSITORY
from tests.support.polling import block_until, until
from tests.support.runner import Runner, call, plays, say
from tests.support.sample_events import effect

HEAD = '''"""Monitors that are not the library's own."""
import ctypes, json, os, re, signal, socket, subprocess, sys, threading, time
from sandbox.monitors.python_monitor import Finding, monitor
{more}
'''
MONITOR = '''
@monitor({marks})
def own(step):
    """Judge."""
    {body}
'''
SEEN = """seen = [
        step.canaries_sent, list(step.call.recipients), step.call.paths, step.scope, step.lang, step.position, step.stage,
        [origin.as_data() for origin in step.origins.values], step.secrets_sent, step.variable("plan"),
        step.history.calls, step.history.identical(step.call), step.context.principal.holds("Marc"),
        [(t.role, t.agent, t.text, t.tool, t.status) for t in step.context.turns[:step.position]],
        step.result and [step.result.text, step.result.status, step.variable("effects")],
    ]
    return Finding(json.dumps(seen, sort_keys=True), verdict="alert")"""
PAY = call("bank.pay", to="Lumen SARL", iban="FR7630006000011234567890189", amount=10.0)
SECONDS = 1.0


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[MonitorProcess]:
    """The process of the program, with little memory, ended after the test."""
    made = MonitorProcess(memory=600 << 20)
    for module in ("sandbox.monitors.python_monitor", "sandbox.monitors.rules"):
        monkeypatch.setattr(f"{module}.shared_process", lambda: made)
    monkeypatch.setattr(monitor_runner, "MONITOR_SECONDS", SECONDS)
    yield made
    made.close()


def family(folder: Path, body: str, marks: str = "", more: str = "") -> MonitorFamily:
    """Return a family of a workspace of its own."""
    (folder / "monitors").mkdir(exist_ok=True)
    text = HEAD.format(more=more) + MONITOR.format(marks=marks, body=body)
    (folder / "monitors" / "family.py").write_text(text, "utf-8")
    content = Content(folder)
    return MonitorLibrary(content, Loader(content).catalogue).family("family")


def failures(play: Runner, run: str) -> list[str]:
    """Return what stands in a trace about monitors that failed."""
    return [item["reason"] for item in play.data(run, "monitor.error")]


def answer(data: object) -> str:
    """Return the body of a monitor that writes an answer to the channel itself."""
    text = json.dumps(data).encode()
    message = len(text).to_bytes(4, "big") + text
    return f"[socket.socket(fileno=int(sys.argv[1])).sendall({message!r})]"


CATASTROPHE = "re.match(r'(a|a)*b', 'a' * 60)"
HOSTILE = {
    "raises": ("raise RuntimeError('out of order')", "RuntimeError: out of order"),
    "exits": ("sys.exit(3)", "SystemExit: 3"),
    "exits hard": ("os._exit(3)", "its process ended"),
    "kills itself": ("os.kill(os.getpid(), signal.SIGKILL)", "its process ended"),
    "crashes": ("ctypes.string_at(0)", "its process ended"),
    "kills its group": ("os.killpg(0, signal.SIGKILL)", "its process ended"),
    "sleeps": ("time.sleep(3600)", "no answer within 1 s"),
    "loops": ("while True: pass", "no answer within 1 s"),
    "hangs in C": (CATASTROPHE, "no answer within 1 s"),
    "hangs whatever comes": (
        f"for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM): signal.signal(number, signal.SIG_IGN)\n    {CATASTROPHE}",
        "no answer within 1 s",
    ),
    "eats memory": ("x = bytearray(1 << 33)", "MemoryError"),
    "eats memory slowly": (
        "x = []\n    while True: x.append(bytearray(64 << 20))",
        "MemoryError|no answer",
    ),
    "recurses": ("own(step)", "RecursionError"),
    "returns a text": ("return 'suspicious'", "AttributeError"),
    "returns no verdict": ("return Finding('x', verdict='blok')", "unknown verdict 'blok'"),
    "returns no score": ("return Finding('x', score=float('nan'))", "a score from 0 to 1"),
    "returns no reason": ("return Finding({1, 2})", "TypeError"),
    "returns too much": ("return Finding('x' * (2 << 20))", "an answer of"),
    "writes to the channel": (answer([1, 2]), "an answer of the wrong kind"),
    "writes a finding to the channel": (answer({"finding": [1]}), "an answer of the wrong kind"),
    "blames the sandbox": (
        answer({"internal": "internal error: x"}),
        "an answer of the wrong kind",
    ),
    "closes the channel": ("os.close(int(sys.argv[1]))", "its process ended"),
}


@pytest.mark.parametrize("how", HOSTILE)
@pytest.mark.parametrize(("mode", "expected"), [("observe", "ok"), ("enforce", "blocked")])
async def test_whatever_a_monitor_does(
    play: Runner, process: MonitorProcess, tmp_path: Path, how: str, mode: str, expected: str
) -> None:
    """It is on record for every call anew, blocks in enforce mode, and harms nothing else."""
    body, told = HOSTILE[how]
    families = [family(tmp_path, body), *play.library.choose(["payment"])]
    result = await play(plays(PAY, PAY, say("Over.")), families=families, mode=mode)
    assert [item["status"] for item in play.data(result.id, "tool.result")] == [expected] * 2
    seen = failures(play, result.id)
    assert [bool(re.search(told, reason)) for reason in seen] == [True, True], seen


async def test_only_the_one_that_fails(
    play: Runner, process: MonitorProcess, tmp_path: Path
) -> None:
    """Another monitor of the same process is asked anew, and knows what came before."""
    more = "@monitor()\ndef counting(step):\n    texts = ' '.join(turn.text for turn in step.context.turns[:step.position])\n    return Finding(f'{step.history.calls} {len(step.context.turns)} {\"Marc forwarded\" in texts}')"
    families = [family(tmp_path, "os._exit(1) if step.history.calls == 1 else None", more=more)]
    result = await play(plays(PAY, PAY, PAY, say("Over.")), families=families)
    assert [item["reason"] for item in result.verdicts] == ["0 3 True", "1 5 True", "2 7 True"]
    assert len(failures(play, result.id)) == 1


async def test_runs_at_the_same_time(play: Runner, process: MonitorProcess, tmp_path: Path) -> None:
    """A monitor that hangs in one run leaves the others with their verdicts."""
    body = "while step.call.arguments['amount'] == 66: pass\n    return Finding(str(step.history.calls))"
    families = [family(tmp_path, body)]
    evil = plays(
        call("bank.pay", to="L", iban="FR7630006000011234567890189", amount=66.0), say("Over.")
    )
    runs = [play(plays(PAY, PAY, PAY, say("Over.")), families=families) for _ in range(4)]
    *honest, hung = await asyncio.gather(*runs, play(evil, families=families))
    assert [[item["reason"] for item in run.verdicts] for run in honest] == [["0", "1", "2"]] * 4
    assert failures(play, hung.id) == ["no answer within 1 s"]


@pytest.mark.parametrize("stage", ["before", "after", "reply"])
async def test_the_same_verdicts_as_in_the_process(
    play: Runner, process: MonitorProcess, tmp_path: Path, stage: str
) -> None:
    """What is confined sees what a monitor in the host's process sees, live and over the stored trace."""
    body = SEEN
    apart = family(tmp_path, body, f"stage={stage!r}")
    (monitor,) = apart.monitors
    assert isinstance(monitor, SandboxedMonitor)
    names: dict[str, Any] = {}
    exec(HEAD.format(more="") + MONITOR.format(marks=f"stage={stage!r}", body=body), names)  # noqa: S102
    inside = PythonMonitor("family.inside", names["own"], monitor.mark, trusted=True)
    families = [apart, MonitorFamily("in", "In", tmp_path, "0", (inside,))]
    result = await play("scripted/unsafe", "injection/web-page", families=families)
    told: dict[str, list[str]] = {"family.own": [], "family.inside": []}
    for item in result.verdicts:
        told[item["monitor"]].append(item["reason"])
    assert len(told["family.own"]) == (1 if stage == "reply" else result.tool_calls)
    assert told["family.own"] == told["family.inside"]
    again = await review(play.events(result.id), [monitor])
    assert [opinion.verdict.reason for _, opinion in again if opinion.verdict] == told["family.own"]


async def test_an_environment_without_keys(
    play: Runner, process: MonitorProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process has no secrets of the host's environment, and no descriptor of the host's."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-host")
    body = "return Finding(json.dumps([sorted(os.environ), sorted(map(int, os.listdir('/proc/self/fd')))]))"
    result = await play(plays(PAY, say("Over.")), families=[family(tmp_path, body)])
    names, descriptors = json.loads(result.verdicts[0]["reason"])
    assert "OPENAI_API_KEY" not in names
    assert len(descriptors) <= 5  # the standard three, the channel, the folder that is being listed


async def test_what_it_started_ends_with_it(
    play: Runner, process: MonitorProcess, tmp_path: Path
) -> None:
    """Programs that a monitor started are ended with its process."""
    note = tmp_path / "pid"
    body = f"open({str(note)!r}, 'w').write(str(subprocess.Popen(['sleep', '3600']).pid))\n    time.sleep(3600)"
    await play(plays(PAY, say("Over.")), families=[family(tmp_path, body)])
    await until(lambda: not _alive(int(note.read_text())), 30, "the program is ended")


def test_the_library_is_in_the_process(library: MonitorLibrary) -> None:
    """Shipped monitors in Python are asked without a detour."""
    (monitor,) = library.family("secrets").monitors
    assert isinstance(monitor, PythonMonitor)
    assert monitor.trusted


def test_nothing_starts_without_need(library: MonitorLibrary) -> None:
    """Where no monitor needs it there is no process."""
    made = MonitorProcess()
    assert made._process is None
    made.close()


def deep(number: int) -> tuple[RunContext, Call]:
    """Return a context and a call with so many recipients."""
    loader = Loader(Content(REPOSITORY))
    (tool,) = loader.catalogue.expand(("mail.send",))
    return RunContext(RunInfo()), Call(
        tool, {"to": [f"a{n}@x.example" for n in range(number)], "subject": "s", "body": "b"}, "a"
    )


NESTED = "call.recipients.exists(a, call.recipients.exists(b, call.recipients.exists(c, a + b + c == 'x')))"


async def test_a_condition_that_takes_too_long(process: MonitorProcess) -> None:
    """Lists within lists are gone over in the process, and ended in time; the host goes on meanwhile."""
    context, asked = deep(2000)
    rules = scenario_rules([Rule.model_validate({"id": "deep", "when": NESTED, "reason": "x"})])
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.02)
            ticks += 1

    ticking = asyncio.create_task(tick())
    (opinion,) = await MonitorRunner(rules, SECONDS).judge(of_call(context, asked))
    ticking.cancel()
    assert opinion.failure == "no answer within 1 s"
    assert ticks > 10


async def test_a_heavy_condition_is_judged_all_the_same(process: MonitorProcess) -> None:
    """What may take long and does not has its verdict."""
    context, asked = deep(90)
    when = NESTED.replace("'x'", "'a1@x.examplea2@x.examplea89@x.example'")
    (rule,) = scenario_rules(
        [Rule.model_validate({"id": "deep", "when": when, "reason": "{call.tool}"})]
    )
    assert isinstance(rule, RuleMonitor)
    assert not rule.is_light(of_call(context, asked))
    (opinion,) = await MonitorRunner([rule], 30).judge(of_call(context, asked))
    assert opinion.verdict
    assert opinion.verdict.reason == "mail.send"


async def test_rules_of_one_name(process: MonitorProcess) -> None:
    """Two scenarios may give a rule one name: in the process, too, each has its own condition."""
    context, asked = deep(800)
    when = "call.recipients.all(a, call.recipients.exists(b, a == b)) == {}"
    for wanted in (True, False):
        condition = when.format(str(wanted).lower())
        (rule,) = scenario_rules(
            [Rule.model_validate({"id": "same", "when": condition, "reason": "x"})]
        )
        assert isinstance(rule, RuleMonitor)
        step = of_call(context, asked)
        assert not rule.is_light(step)
        opinions = await MonitorRunner([rule], 30).judge(step)
        assert [opinion.failure for opinion in opinions] == [""] * wanted


async def test_a_condition_that_makes_lists(process: MonitorProcess) -> None:
    """A list that is made item by item takes its square in time: that is known before."""
    context, asked = deep(6000)
    when = "call.recipients.map(a, a).size() == 0"
    rules = scenario_rules([Rule.model_validate({"id": "list", "when": when, "reason": "x"})])
    (opinion,) = await MonitorRunner(rules, 0.3).judge(of_call(context, asked))
    assert opinion.failure == "no answer within 0.3 s"


def test_shipped_rules_are_light(library: MonitorLibrary) -> None:
    """No shipped rule leaves the host's process, however many effects and recipients there are."""
    context, asked = deep(50)
    step = of_call(context, asked)
    record_execution(step)
    effects = (effect("file", "write", "/work/a"),) * 1000
    after = step.with_result(Result("x" * 100_000, CallStatus.OK, effects))
    for name in library.names():
        for monitor in library.family(name).monitors:
            if isinstance(monitor, RuleMonitor):
                assert monitor.is_light(after if monitor.stage == "after" else step), monitor.name


@pytest.mark.perf
def test_the_cost_does_not_grow(tmp_path: Path, process: MonitorProcess, loader: Loader) -> None:
    """A question carries what is new: the thousandth of a run takes what the tenth took."""
    (monitor,) = family(tmp_path, "return None").monitors
    (tool,) = loader.catalogue.expand(("mail.read",))
    context = RunContext(RunInfo())

    def round_of(number: int) -> float:
        started = time.perf_counter()
        for _ in range(number):
            context.add_event("tool.intent", "a", {"tool": tool.name, "arguments": {"id": 1}})
            step = of_call(context, Call(tool, {"id": 1}, "a"))
            assert monitor.judge(step) is None
            record_execution(step)
            context.add_event(
                "tool.result", "a", {"tool": tool.name, "status": "ok", "text": "x" * 2000}
            )
        return time.perf_counter() - started

    round_of(10)
    first, _, last = round_of(50), round_of(900), round_of(50)
    assert last < 5 * first


def test_runs_that_are_over_are_forgotten(
    tmp_path: Path, process: MonitorProcess, loader: Loader
) -> None:
    """The process does not keep what the host has let go of."""
    (monitor,) = family(
        tmp_path,
        "import gc; return Finding(str(sum(type(o).__name__ == 'RunContext' for o in gc.get_objects())))",
    ).monitors
    (tool,) = loader.catalogue.expand(("mail.read",))
    for _ in range(5):
        context = RunContext(RunInfo())
        verdict = monitor.judge(of_call(context, Call(tool, {"id": 1}, "a")))
        del context
        gc.collect()
    assert verdict is not None
    assert int(verdict.reason) <= 2


LEFT = """
import os, sys, time
from pathlib import Path
from tests.monitors.test_monitor_sandbox import family, deep
from sandbox.monitors.monitor_sandbox import shared_process
from sandbox.monitors.step import of_call
(monitor,) = family(Path(sys.argv[1]), "return None").monitors
context, asked = deep(1)
monitor.judge(of_call(context, asked))
print(shared_process()._process.pid, flush=True)
if sys.argv[2] == "killed":
    os.kill(os.getpid(), 9)
"""


FORKED = """
import os, sys
from pathlib import Path
from tests.monitors.test_monitor_sandbox import family, deep
from sandbox.monitors.monitor_sandbox import shared_process
from sandbox.monitors.step import of_call
(monitor,) = family(Path(sys.argv[1]), "return Finding(str(os.getppid()))").monitors
context, asked = deep(1)
step = of_call(context, asked)
first = monitor.judge(step).reason
child = os.fork()
told = monitor.judge(step).reason
if child == 0:
    assert told == str(os.getpid()) != first
    sys.exit(0)  # with all that is done at an end
assert os.waitpid(child, 0)[1] == 0
assert monitor.judge(step).reason == told == first == str(os.getpid())
"""


def test_a_fork_has_a_process_of_its_own(tmp_path: Path) -> None:
    """A program that forks does not share the channel, and its fork's end leaves the process alone."""
    done = subprocess.run(
        [sys.executable, "-c", FORKED, str(tmp_path)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("how", ["ends", "killed"])
def test_the_process_ends_with_the_program(tmp_path: Path, how: str) -> None:
    """However the program ends, its process for monitors does."""
    done = subprocess.run(
        [sys.executable, "-c", LEFT, str(tmp_path), how],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stderr == ""
    block_until(lambda: not _alive(int(done.stdout)), 30, "the process is ended")


def test_a_process_that_cannot_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """That is the monitor's failure, with the reason."""
    made = MonitorProcess()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    context, asked = deep(1)
    with pytest.raises(MonitorFailure, match="cannot be started"):
        made.ask(of_call(context, asked), {"monitor": "a.b", "path": "x"}, 1)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
