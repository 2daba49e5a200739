"""Templates whose every text is quoted for the page that it lands on, unless it is markup of our own."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from sandbox.terminal_escape import plain

Quote = Callable[[str], Markup]


def quoted_html(text: str) -> Markup:
    """Return a text as an HTML page shows it, control and direction signs made visible."""
    return escape(plain(text))


@cache
def environment(package: str, quote: Quote) -> Environment:
    """Return the templates of a package.

    Args:
        package: Has them in its folder ``templates``.
        quote: Makes literal what a text holds of the page's markup. A name that is not defined is an error.
    """

    def finalize(value: Any) -> Markup:
        return value if isinstance(value, Markup) else quote(str(value))

    return Environment(
        loader=PackageLoader(package),
        autoescape=True,
        finalize=finalize,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
