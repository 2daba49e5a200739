"""An incident file as Markdown, in English or French."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from sandbox.reports.i18n import Wording, quoted_markdown
from sandbox.reports.incident import Incident
from sandbox.views.templating import environment


def markdown(document: Incident, lang: str) -> str:
    """Return an incident file as Markdown; nothing in it that came from the trace is markup.

    Args:
        document: As :func:`sandbox.reports.incident.build` returns it.
        lang: Language of the words.
    """
    wording = Wording(lang, quoted_markdown)

    def say(key: str | int, n: int | None = None, **values: Any) -> Markup:
        return wording.say(f"incident_{key}", n, **values)

    template = environment("sandbox.reports", quoted_markdown).get_template("incident.md.j2")
    return template.render(d=document, w=wording, say=say)
