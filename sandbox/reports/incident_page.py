"""An incident file as Markdown, in English or French."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from markupsafe import Markup

from sandbox.reports.i18n import Wording, quoted_markdown

Section = Callable[[Mapping[str, Any], "_Page"], Iterator[Markup]]


def markdown(document: Mapping[str, Any], lang: str) -> str:
    """Return an incident file as Markdown; nothing in it that came from the trace is markup.

    Args:
        document: As :func:`sandbox.reports.incident.build` returns it.
        lang: Language of the words.
    """
    return "\n".join(_lines(document, _Page(lang))) + "\n"


class _Page:
    """Puts lines together, in one language."""

    def __init__(self, lang: str) -> None:
        self.wording = Wording(lang, quoted_markdown)

    def say(self, key: str, n: int | None = None, **given: Any) -> Markup:
        return self.wording.say(f"incident_{key}", n, **given)

    def item(self, key: str, value: Any) -> Markup:
        """Return an entry of a list; a value that is not markup is quoted."""
        shown = value if isinstance(value, Markup) else self.wording.quoted(str(value))
        return _line("- {}{}{}", self.say(key), self.wording.colon, shown)

    def inner(self, value: Any) -> Markup:
        """Return an entry of a list within a list."""
        shown = value if isinstance(value, Markup) else self.wording.quoted(str(value))
        return _line("  - {}", shown)

    def happened(self, kind: str, given: Mapping[str, Any]) -> Markup:
        """Return one step of the chain in words."""
        known = {k: v for k, v in given.items() if k not in ("event", "at", "agent", "kind")}
        return self.say(f"step_{kind}", **known)


def _lines(document: Mapping[str, Any], page: _Page) -> Iterator[str]:
    yield _line("# {}", page.say("title"))
    yield ""
    named = {name: document[name] for name in ("run", "scenario", "model")}
    yield page.say("about", **named)
    yield ""
    yield page.say("sandbox")
    if not document["is_incident"]:
        yield ""
        yield _line("**{}**", page.say("safe"))
    for field in document["fields"]:
        number = field["number"]
        yield ""
        yield _line("## {}. {}", number, page.say(str(number)))
        yield ""
        if field["value"] is not None:
            yield from _SECTIONS[number](field["value"], page)
        note = page.say(f"{number}_note")
        yield _line(
            "- **{}** ({}){}{}", page.say("note"), page.say("by_person"), page.wording.colon, note
        )
    yield ""
    yield _line("## {}", page.say("deadlines"))
    yield ""
    for days in document["deadlines_days"]:
        yield _line("- {}", page.say(f"deadline_{days}"))
    yield ""
    yield page.wording.quoted(document["source"])


def _line(text: str, *given: Any) -> Markup:
    return Markup(text).format(*given)  # noqa: S704 - the text is ours, what is filled in is quoted


def _dates(value: Mapping[str, Any], page: _Page) -> Iterator[Markup]:
    yield page.item("start", value["start"])
    yield page.item("end", value["end"])


def _harm(value: Mapping[str, Any], page: _Page) -> Iterator[Markup]:
    yield page.item("harm", page.wording.named("outcome", str(value["safety"])))
    if value["conditions"]:
        yield page.item("condition", ", ".join(value["conditions"]))
    yield page.item("effects", "" if value["effects"] else page.say("none"))
    for effect in value["effects"]:
        yield page.inner(effect)


def _chain(value: Mapping[str, Any], page: _Page) -> Iterator[Markup]:
    for index, step in enumerate(value["events"], start=1):
        agent = page.wording.quoted(step["agent"])
        told = page.happened(step["kind"], step)
        yield _line("{}. {} {}{}{}", index, step["at"], agent, page.wording.colon, told)
    if value["left_out"]:
        yield _line("- {}", page.say("cut", n=value["left_out"]))


def _model(value: Mapping[str, Any], page: _Page) -> Iterator[Markup]:
    yield page.item("model", ", ".join(dict.fromkeys([value["model"], *value["replies_as"]])))
    described = value["described"] or {}
    told = "; ".join(f"{k} {v}" for k, v in described.items() if v is not None)
    if told:
        yield page.item("described", told)


def _material(value: Mapping[str, Any], page: _Page) -> Iterator[Markup]:
    yield page.item("trace", page.say("events_of", run=value["trace"], number=value["events"]))
    yield page.item("head", value["head"])
    verdict = page.say("verified_ok" if value["verified"] else "verified_bad")
    problem = page.wording.quoted(f" ({value['problem']})" if value["problem"] else "")
    yield page.item("verified", _line("{}{}", verdict, problem))
    yield page.item("scenario_digest", value["scenario_sha256"])
    yield page.item("commands", "; ".join(value["commands"]))


def _cause(value: Mapping[str, Any], page: _Page) -> Iterator[Markup]:
    for text in value["inputs"]:
        yield page.item("inputs", text)
    yield page.item("outputs", "")
    for call in value["outputs"]:
        yield page.inner(page.happened("call", call))
    if value["last_words"]:
        yield page.inner(page.happened("answer", {"text": value["last_words"]}))
    mode = page.say("mode_enforce" if value["mode"] == "enforce" else "mode_observe")
    families = page.wording.quoted(", ".join(value["monitors"]))
    yield page.item("mitigations", _line("{}. {}", families, mode))
    if not value["verdicts"]:
        yield page.inner(page.say("silent"))
    for verdict in value["verdicts"]:
        told = {name: verdict.get(name) for name in ("verdict", "severity", "event", "reason")}
        name = page.wording.quoted(str(verdict.get("monitor")))
        yield page.inner(_line("{} {}", name, page.say("said", **told)))


def _patterns(value: Mapping[str, Any], page: _Page) -> Iterator[Markup]:
    counts = {"total": value["runs"], "unsafe": value["unsafe"], "attempted": value["attempted"]}
    yield _line("- {}", page.say("patterns", **counts))


_SECTIONS: Mapping[int, Section] = {
    1: _dates,
    2: _harm,
    3: _chain,
    4: _model,
    5: _material,
    8: _cause,
    9: _patterns,
}
