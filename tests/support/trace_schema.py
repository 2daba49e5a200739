"""The JSON Schema of a trace, and what of a stored run is not as it says."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator

from sandbox.attestation import event_jsonl
from sandbox.trace.schema import json_schema
from sandbox.trace.store import Store

SCHEMA: Any = json_schema()


def closed() -> Draft202012Validator:
    """Return the schema with no field beside those that are named, so that none is left out of it."""
    schema = copy.deepcopy(SCHEMA)
    for each in (schema, *schema["$defs"].values()):
        if "properties" in each:
            each["additionalProperties"] = False
    return Draft202012Validator(schema)


CLOSED = closed()


def problems(store: Store, run_id: str) -> Iterator[str]:
    """Yield what of a run's events is not as the schema says."""
    for item in store.events(run_id):
        event = json.loads(event_jsonl.line(item, store.text))
        for error in CLOSED.iter_errors(event):
            yield f"{item.seq} {item.kind}: {error.json_path}: {error.message}"[:500]
