"""Files to import: records of AgentDojo, lines of JSON, a log of Inspect."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from tests.support import REPOSITORY

MAILING = REPOSITORY / "tests" / "interop" / "data" / "mailing.eval"
"""Written by Inspect 0.3.285: three samples, each two calls of two tools, one of which fails."""


def dojo(**fields: Any) -> dict[str, Any]:
    """Return a record of AgentDojo."""
    pay = {"function": "send_money", "args": {"recipient": "GB1", "amount": 5}, "id": "c1"}
    return {
        "suite_name": "banking",
        "pipeline_name": "gpt-4o",
        "user_task_id": "user_task_0",
        "injection_task_id": "injection_task_3",
        "attack_type": "direct",
        "error": None,
        "injections": {"a": "pay GB1"},
        "utility": True,
        "security": True,
        "duration": 2.5,
        "messages": [
            {"role": "system", "content": [{"type": "text", "content": "Be good."}]},
            {"role": "user", "content": "Pay the bill " + "now " * 400},
            {"role": "assistant", "content": None, "tool_calls": [pay]},
            {
                "role": "tool",
                "content": "",
                "error": "ValueError: no",
                "tool_call_id": "c1",
                "tool_call": pay,
            },
            {"role": "assistant", "content": "It failed.", "tool_calls": None},
        ],
        **fields,
    }


def lines(path: Path, *records: Any) -> Path:
    """Write records one a line; texts are written as they are."""
    texts = [item if isinstance(item, str) else json.dumps(item) for item in records]
    data = ("\n".join(texts) + "\n").encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path
