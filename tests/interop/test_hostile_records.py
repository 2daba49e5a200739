"""Records of any shape: each is a sound run or a named problem, and nothing else ever happens."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.interop.importers.ingest import enter
from sandbox.trace.store import Store
from sandbox.trace.verify import verify_all
from tests.support.strategies import VALUES


def near(**fields: Any) -> Any:
    """Return objects that have these fields, any of them missing or anything at all."""
    return st.fixed_dictionaries(
        {}, optional={key: value | VALUES for key, value in fields.items()}
    )


CALLS = st.lists(
    near(
        id=st.sampled_from(["", "c1", "c2"]),
        function=st.sampled_from(["f", "send_email"]) | near(name=st.just("f"), arguments=VALUES),
        args=st.dictionaries(st.text(max_size=3), VALUES, max_size=3),
        arguments=st.dictionaries(st.text(max_size=3), VALUES, max_size=3),
    ),
    max_size=2,
)
ROLES = st.sampled_from(["system", "user", "assistant", "tool"])
MESSAGES = st.lists(
    st.builds(
        lambda role, rest: {**rest, "role": role},
        ROLES,
        near(
            content=st.text(max_size=5),
            tool_calls=CALLS,
            tool_call_id=st.sampled_from(["c1", ""]),
            function=st.just("f"),
            tool_call=near(function=st.just("f"), args=st.just({})),
            id=st.just("m"),
        ),
    ),
    max_size=5,
)
EVENTS = st.lists(
    near(
        event=st.just("model"),
        input=MESSAGES,
        input_refs=st.lists(st.lists(st.integers(0, 3), min_size=2, max_size=2), max_size=2),
        output=near(
            choices=st.lists(near(message=near(id=st.just("m"))), max_size=1), usage=VALUES
        ),
        tools=st.lists(near(name=st.just("f"), parameters=VALUES), max_size=2),
        timestamp=VALUES,
    ),
    max_size=2,
)
RECORDS = {
    "agentdojo": near(
        suite_name=st.just("banking"),
        pipeline_name=st.just("m"),
        user_task_id=st.just("user_task_0"),
        attack_type=st.just("direct"),
        injection_task_id=st.just("i"),
        messages=MESSAGES,
        security=st.booleans(),
        duration=st.floats(),
        evaluation_timestamp=st.just("2024-01-01"),
        _path=st.just("a"),
    ),
    "chat": near(
        messages=MESSAGES,
        id=st.text(max_size=3),
        model=st.just("m"),
        metadata=near(suite=st.just("s")),
        labels=st.dictionaries(st.text(max_size=3), VALUES, max_size=2),
        tools=st.lists(
            near(function=near(name=st.just("f"), parameters=VALUES), name=st.just("g")), max_size=2
        ),
    ),
    "inspect": st.builds(
        lambda spec, samples: {"version": 2, "eval": spec, "samples": samples},
        near(task=st.just("t"), model=st.just("m"), created=VALUES),
        st.lists(
            near(
                id=st.just("s"),
                epoch=st.integers(1, 2),
                messages=MESSAGES,
                events=EVENTS,
                scores=st.dictionaries(st.text(max_size=3), near(value=VALUES), max_size=2),
                events_data=near(messages=MESSAGES),
                attachments=VALUES,
                total_time=st.floats(),
                error=near(message=VALUES),
                metadata=VALUES,
                started_at=st.just("2024-01-01T00:00:00+00:00"),
            ),
            max_size=2,
        ),
    ),
}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(sorted(RECORDS)).flatmap(
        lambda name: st.tuples(st.just(name), st.lists(RECORDS[name], min_size=1, max_size=4))
    )
)
def test_any_record_is_a_sound_run_or_a_problem(told: tuple[str, list[Any]]) -> None:
    """Importers never break, what they take verifies, and what they leave is told with its line."""
    name, records = told
    with TemporaryDirectory() as folder, Store(str(Path(folder) / "runs.db")) as store:
        path = Path(folder) / "a.jsonl"
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        report = enter(store, [path], format_name=name)
        rows = store.runs()
        assert len(rows) == report.entered
        assert [found.problem for found in verify_all(store, rows)] == [None] * len(rows)
        if name != "inspect":
            assert report.entered + report.present + len(report.problems) == len(records)
        again = enter(store, [path], format_name=name)
        assert (again.entered, len(again.problems)) == (0, len(report.problems))
