"""The schema of Inspect's logs, as published with version 0.3.285."""

from __future__ import annotations

import gzip
import json

import jsonschema

from tests.support import REPOSITORY

SCHEMA = REPOSITORY / "tests" / "interop" / "data" / "inspect-0.3.285.schema.json.gz"


def inspect_schemas() -> dict[str, jsonschema.Draft202012Validator]:
    """Return what checks a log and a sample by Inspect's own schema."""
    schema = json.loads(gzip.decompress(SCHEMA.read_bytes()))
    # It asks for a default of every parameter, which Inspect itself does not write.
    parameter = schema["components"]["schemas"]["JSONSchema"]
    parameter["required"] = [name for name in parameter.get("required", ()) if name != "default"]
    return {
        name: jsonschema.Draft202012Validator(
            {"$ref": f"#/components/schemas/{name}", "components": schema["components"]}
        )
        for name in ("EvalLog", "EvalSample")
    }
