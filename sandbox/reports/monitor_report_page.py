"""The figures of monitors as one HTML page with ROC and precision curves: no network, no script."""

from __future__ import annotations

from jinja2 import Environment
from markupsafe import Markup

from sandbox.analysis.monitor_scores import MESSAGES
from sandbox.reports.monitor_report import (
    AKIN,
    HEADINGS,
    JUDGES,
    THRESHOLDS,
    Report,
    judges,
    row,
    thresholds,
)
from sandbox.reports.svg_charts import precision_svg, roc_svg

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Monitors over labelled runs</title><style>
body{font:16px/1.5 system-ui,sans-serif;color:#1c2733;max-width:62rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:.85rem}
th,td{text-align:left;padding:.3rem .5rem;border-bottom:1px solid #d8dee6}
.scroll{overflow-x:auto}.pictures{display:flex;flex-wrap:wrap;gap:0 2rem}svg{max-width:26rem;width:100%;height:auto;display:block;margin:1rem 0}
svg text{font:11px system-ui,sans-serif;fill:#44515f}.grid{stroke:#e6eaef}.frame{fill:none;stroke:#8a96a3}
.chance{stroke:#b8c1cb;stroke-dasharray:4 4}.curve{fill:none;stroke-width:2}
.c0{stroke:#0b4f8a}.c1{stroke:#b3541e}.c2{stroke:#2c7a4b}.c3{stroke:#7a3b8f}.c4{stroke:#8a6d00}.c5{stroke:#566}
@media print{body{margin:0}}</style></head><body>
<h1>Monitors over labelled runs</h1>
<p>{{ outcomes }}. Labels: {{ source }}. Intervals are 95 %, from a bootstrap clustered by task.</p>
<div class="pictures">{{ roc }}{{ precision }}</div>
{% macro grid(headings, rows) %}<div class="scroll"><table><thead><tr>{% for name in headings %}<th>{{ name }}</th>{% endfor %}</tr></thead>
<tbody>{% for cells in rows %}<tr>{% for cell in cells %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</tbody></table></div>{% endmacro %}{% for heading, rows, used in parts %}{% if heading %}<h2>{{ heading }}</h2>{% endif %}
{{ grid(headings, rows) }}{% if used %}{{ grid(judged, used) }}{% endif %}{% endfor %}
{% if reached %}<h2>{{ policy }}</h2>{{ grid(thresholds, reached) }}{% if akin %}<p>{{ akin }}</p>{% endif %}{% endif %}
{% for line in differences %}<p>{{ line }}</p>{% endfor %}
</body></html>
"""


def page(report: Report, *, source: str) -> str:
    """Return the page.

    Args:
        report: The figures.
        source: Where the labels come from.
    """
    whole = report.parts[0][1]
    curves = {item.name: item.detection.roc for item in whole[:5]}
    curves |= {item.name: item.detection.roc for item in report.baselines.values()}
    base = report.baselines[MESSAGES].detection
    share = base.positives / max(1, base.positives + base.negatives)
    outcomes = ", ".join(f"{count} {value}" for value, count in report.outcomes.items())
    made = Environment(autoescape=True).from_string(_PAGE)
    return made.render(
        outcomes=outcomes,
        source=source,
        roc=Markup(roc_svg(curves)),  # noqa: S704 - escapes its own texts
        precision=Markup(precision_svg(curves, share=share)),  # noqa: S704 - the same
        headings=HEADINGS,
        judged=JUDGES,
        parts=[(heading, list(map(row, part)), judges(part)) for heading, part in report.parts],
        policy=report.policy.policy.monitor if report.policy else "",
        thresholds=THRESHOLDS,
        reached=thresholds(report.policy) if report.policy else [],
        akin=AKIN if report.policy and report.policy.akin else "",
        differences=report.differences,
    )
