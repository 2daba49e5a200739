"""What a type checker says of events that are recorded and read: `make check` holds the code base to it."""

from __future__ import annotations

from pathlib import Path

import pytest
from mypy import api

from tests.support import REPOSITORY

HEAD = """\
from sandbox.enums import EffectKind, Stage
from sandbox.trace.call_events import ToolResultEvent, VerdictData, VerdictEvent
from sandbox.trace.effects import Effect
from sandbox.trace.model_events import ChannelMessageEvent
from sandbox.trace.recorder import Recorder
from sandbox.trace.run_events import LimitEvent

def use(recorder: Recorder, said: VerdictData, result: ToolResultEvent, effect: Effect) -> None:
    """
SOUND = (
    'recorder.record(LimitEvent, "a", limit="turns", used=1, most=1)',
    'recorder.record(VerdictEvent, "a", call="", tool="", stage=Stage.END, **said)',
    'recorder.record(ChannelMessageEvent, **{"from": "a", "to": "b", "text": ""})',
    'print(result["effects"], result.get("fault"))',
    'if effect["kind"] == EffectKind.WORLD: print(effect["detail"]["patch"])',
)
REFUSED = {
    'recorder.record(LimitEvent, limit="turns", used=1)': 'Missing named argument "most"',
    'recorder.record(LimitEvent, limit="turns", used="1", most=1)': 'Argument "used"',
    'recorder.record(LimitEvent, limit="turns", used=1, most=1, x=1)': "Unexpected keyword argument",
    'recorder.record(VerdictEvent, call="", tool="", stage="end", **said)': 'Argument "stage"',
    'recorder.record("limit", limit="turns", used=1, most=1)': 'Argument 1 to "record"',
    'print(result["efects"])': 'has no key "efects"',
    'print(effect["detail"]["patch"])': 'has no key "patch"',
    'if effect["kind"] == EffectKind.FIEL: print()': 'has no attribute "FIEL"',
}


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What mypy says of each line, all asked at once."""
    folder = tmp_path_factory.mktemp("typing")
    lines = [*SOUND, *REFUSED]
    for number, line in enumerate(lines):
        (folder / f"use{number}.py").write_text(HEAD + line + "\n")
    trace = REPOSITORY / "sandbox" / "trace"
    events = [str(path) for path in trace.glob("*_events.py")]
    known = [str(trace / name) for name in ("effects.py", "recorder.py", "fields.py")]
    enums = str(REPOSITORY / "sandbox" / "enums.py")
    options = ["--strict", "--follow-imports=skip", f"--cache-dir={folder}", "--no-incremental"]
    uses = [str(path) for path in sorted(folder.glob("use*.py"))]
    out, err, _ = api.run([*options, enums, *events, *known, *uses])
    assert not err
    return {
        line: "\n".join(row for row in out.splitlines() if f"use{number}.py:" in row)
        for number, line in enumerate(lines)
    }


@pytest.mark.parametrize("line", SOUND)
def test_what_is_sound(output: dict[str, str], line: str) -> None:
    """Events with all their fields pass, and data is known by its class."""
    assert output[line] == ""


@pytest.mark.parametrize(("line", "expected"), REFUSED.items())
def test_what_is_refused(output: dict[str, str], line: str, expected: str) -> None:
    """A field that is missing, wrong or none of the event's is an error."""
    assert expected in output[line]


def test_the_repository_is_checked() -> None:
    """The same checker, as strict, looks at everything that records or reads events."""
    text = Path(REPOSITORY, "pyproject.toml").read_text("utf-8")
    assert 'strict = true\npython_version = "3.11"\nfiles = ["sandbox", "tests"]' in text
