"""JSON for the control channel, by the interpreter's own C functions.

``import json`` loads the ``re`` module, which doubles the start-up time of a guest; the scanner and
encoder behind it do not need it. Where an interpreter builds them otherwise, ``json`` is used.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class _Reading:
    """What the C scanner asks its decoder for."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    array_hook = None
    parse_float = float
    parse_int = int

    @staticmethod
    def parse_constant(name: str) -> float:
        raise ValueError(f"{name} is not JSON")


def _unknown(value: object) -> str:
    raise TypeError(f"{type(value).__name__} is not JSON data")


def _fast() -> tuple[Any, Any]:
    import _json

    scan = _json.make_scanner(_Reading())  # type: ignore[arg-type]
    encode = _json.make_encoder(
        None, _unknown, _json.encode_basestring_ascii, None, ":", ",", False, False, False
    )

    def loads(text: str) -> Any:
        try:
            value, end = scan(text, 0)
        except StopIteration:
            raise ValueError("not JSON") from None
        if text[end:].strip():
            raise ValueError("more than one JSON value")
        return value

    def dumps(value: Any) -> str:
        return "".join(encode(value, 0))

    probe = '{"a":[1,-2.5,"\\u00e9",null,true,{}]}'
    if dumps(loads(probe)) != probe:
        raise ValueError("this interpreter's JSON functions work otherwise")
    return loads, dumps


def _plain() -> tuple[Any, Any]:
    import json

    def dumps(value: Any) -> str:
        return json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)

    return json.loads, dumps


try:
    loads, dumps = _fast()
except (ImportError, AttributeError, TypeError, ValueError):
    loads, dumps = _plain()
