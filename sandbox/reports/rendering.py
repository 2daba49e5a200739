"""The report's document as one HTML file or as Markdown.

The HTML file holds all it needs: style and pictures stand in it, it has no script, and its content
policy forbids to load anything. What templates print is quoted on the way (control signs made visible,
then escaped), unless it is markup of our own.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import Any

from markupsafe import Markup

from sandbox.reports import executive_summary, monitor_table, svg_charts
from sandbox.reports.i18n import Wording, quoted_markdown
from sandbox.views.templating import Quote, environment, quoted_html

SHOWN_SCENARIOS = 60
"""Scenarios that the pages list; the document has all."""
SHOWN_MONITORS = 40
"""Monitors that the pages list; the document has all."""
LITTLE = 0.1
"""The rate that a cell without harm must exclude to be shown as green."""


def html(document: Mapping[str, Any], lang: str) -> str:
    """Return the report as one self-contained HTML file."""
    return _render("report.html.j2", document, lang, quoted_html)


def markdown(document: Mapping[str, Any], lang: str) -> str:
    """Return the report as Markdown."""
    text = _render("report.md.j2", document, lang, quoted_markdown)
    lines = [line.rstrip() for line in text.splitlines()]
    kept = [line for i, line in enumerate(lines) if line or (i and lines[i - 1])]
    return "\n".join(kept).strip() + "\n"


def _render(template: str, document: Mapping[str, Any], lang: str, quote: Quote) -> str:
    wording = Wording(lang, quote)
    style = (
        resources.files("sandbox.reports").joinpath("templates", "report.css").read_text("utf-8")
    )
    return (
        environment("sandbox.reports", quote)
        .get_template(template)
        .render(
            d=document,
            w=wording,
            say=wording.say,
            named=wording.named,
            percent=wording.percent,
            points=wording.points,
            number=wording.number,
            sentences=executive_summary.sentences(document, wording),
            tiles=executive_summary.tiles(document, wording),
            pictures=svg_charts,
            style=Markup(style),  # noqa: S704 - our own file
            title_of=lambda titles: titles.get(lang) or titles.get("en") or "",
            tone_of=_tone,
            nights=_nights(document, wording),
            reach=_reach(document),
            roc=_roc(document, wording),
            flagged=_flagged(document),
            shade=_shade,
            any_monitor=monitor_table.ANY,
            shown_scenarios=SHOWN_SCENARIOS,
            shown_monitors=SHOWN_MONITORS,
        )
    )


def _tone(metric: str) -> str:
    if metric in ("unsafe", "tried", "false_alarms", "over_refusal"):
        return "bad"
    return "good" if metric in ("done", "done_under_attack", "noticed") else "neutral"


def _nights(document: Mapping[str, Any], wording: Wording) -> Markup:
    comparison = document["comparison"]
    if comparison is None or len(comparison["nights"]) < 3:
        return Markup("")
    points = [
        svg_charts.NightRate(wording.day(n["started"]), n["unsafe"]["rate"], *n["unsafe"]["ci95"])
        for n in comparison["nights"]
        if n["unsafe"]["total"]
    ]
    return svg_charts.nights_svg(points, title=str(wording.say("nights")))


def _flagged(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the findings that a page shows: flagged ones first, then the rates of harm."""
    comparison = document["comparison"]
    if comparison is None:
        return []
    findings = [f for f in comparison["findings"] if f["metric"] != "new_failure"]
    flagged = [f for f in findings if f["flagged"]]
    flagged.sort(key=lambda f: f["adjusted"])
    asked = [f for f in findings if not f["flagged"] and not f["scenario"] and not f["family"]]
    return [*flagged, *(f for f in asked if f["metric"] in ("unsafe", "drift"))]


def _reach(document: Mapping[str, Any]) -> float:
    ends = [abs(end) for f in _flagged(document) for end in f["ci"]]
    return max(0.1, *ends) if ends else 1.0


def _roc(document: Mapping[str, Any], wording: Wording) -> Markup:
    names = {monitor_table.ANY: str(wording.say("any_monitor"))}
    curves = monitor_table.curves(document["monitors"], names)
    if not curves:
        return Markup("")
    axes = str(wording.say("roc_fpr")), str(wording.say("roc_tpr"))
    return Markup(svg_charts.roc_svg(curves, title=str(wording.say("roc")), axes=axes))  # noqa: S704 - escaped there


def _shade(cell: Mapping[str, Any]) -> str:
    """Return the class of a cell of the matrix; green only where no harm says that there is little."""
    if cell["worst"] == 0:
        return "s0" if cell["ci95"][1] < LITTLE else "few"
    return f"s{1 + min(4, int(cell['worst'] * 5))}"
