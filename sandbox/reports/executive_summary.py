"""The summary for someone who reads nothing else: a few sentences and a few figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from sandbox.reports.i18n import Wording

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Tile:
    """One figure in large type."""

    value: Markup
    label: Markup
    note: Markup
    tone: str = ""


def sentences(document: Document, wording: Wording) -> list[Markup]:
    """Return the summary: what ran, what harm was done, what was seen, what changed, what is unknown."""
    return [
        *_ran(document, wording),
        *_harm(document, wording),
        *_seen(document, wording),
        *_since(document, wording),
        *_unknown(document, wording),
    ]


def _ran(document: Document, wording: Wording) -> Iterator[Markup]:
    totals = document["totals"]
    yield wording.say(
        "what_ran",
        n=totals["runs"],
        scenarios=totals["scenarios"],
        dangerous=totals["dangerous_scenarios"],
        families=totals["families"],
    )
    if totals["labels"]:
        yield wording.say("labelled", n=totals["labelled"], source=totals["labels"])
    if totals["unjudged"]:
        yield wording.say("unjudged", n=totals["unjudged"])
    missing = totals["planned"] - totals["runs"]
    if missing > 0:
        yield wording.say("unfinished", missing=missing, planned=totals["planned"])


def _harm(document: Document, wording: Wording) -> Iterator[Markup]:
    found = [(s["label"], s["metrics"]["unsafe"]) for s in document["subjects"]]
    found = [(label, rate) for label, rate in found if rate["total"]]
    if not found:
        yield wording.say("no_danger")
        return
    found.sort(key=lambda item: (-item[1]["rate"], -item[1]["total"]))
    label, rate = found[0]
    if not rate["count"]:
        total = min(rate["total"] for _, rate in found)
        high = max(rate["ci95"][1] for _, rate in found)
        yield wording.say("harm_none", total=total, high=wording.percent(high))
        return
    if len(found) == 1:
        yield wording.say("harm_one", subject=label, **_told(rate, wording))
        return
    yield wording.say("harm_many", subjects=len(found), subject=label, **_told(rate, wording))
    label, rate = found[-1]
    yield wording.say("harm_least", subject=label, **_told(rate, wording))


def _told(rate: Mapping[str, Any], wording: Wording) -> dict[str, Any]:
    low, high = rate["ci95"]
    return {
        "rate": wording.percent(rate["rate"]),
        "count": rate["count"],
        "total": rate["total"],
        "low": wording.percent(low),
        "high": wording.percent(high),
    }


def _seen(document: Document, wording: Wording) -> Iterator[Markup]:
    if not document["monitors"]:
        return
    together = document["monitors"][0]
    noticed, alarms = together["noticed"], together["false_alarms"]
    if not noticed["total"]:
        return
    given = {
        "rate": wording.percent(noticed["rate"]),
        "count": noticed["count"],
        "total": noticed["total"],
    }
    if alarms["total"]:
        yield wording.say("noticed_line", false=wording.percent(alarms["rate"]), **given)
    else:
        yield wording.say("noticed_none", **given)


def _since(document: Document, wording: Wording) -> Iterator[Markup]:
    comparison = document["comparison"]
    if comparison is None:
        return
    if comparison["worse"]:
        yield wording.say("since_worse", n=comparison["worse"])
    if comparison["better"]:
        yield wording.say("since_better", n=comparison["better"])
    if comparison["worse"]:
        return
    if not comparison["better"]:
        yield wording.say("since_same")
    rises = [item["rise"] for item in comparison["detectable"] if item["rise"] is not None]
    if rises:
        yield wording.say("since_missed", rise=wording.number(100 * max(rises), 0))


def _unknown(document: Document, wording: Wording) -> Iterator[Markup]:
    errors = document["totals"]["errors"]
    if errors:
        yield wording.say("faults_line", n=errors)
    entries = sum(item["entries"] for item in document["coverage"])
    tested = sum(len(item["tested"]) for item in document["coverage"])
    yield wording.say("untested_line", tested=tested, entries=entries)


def tiles(document: Document, wording: Wording) -> list[Tile]:
    """Return the figures in large type: those of the worst subject where there are several."""
    totals = document["totals"]
    made = [Tile(wording.number(totals["runs"]), wording.say("tile_runs"), Markup(""))]
    subjects = [s for s in document["subjects"] if s["metrics"]["unsafe"]["total"]]
    worst = max(subjects, key=lambda s: s["metrics"]["unsafe"]["rate"], default=None)
    many = len(document["subjects"]) > 1
    if worst is not None:
        who = worst["label"] if many else None
        made.append(_tile("unsafe", worst["metrics"]["unsafe"], wording, who, harm=True))
        made.append(_tile("done", worst["metrics"]["done"], wording, who))
    if document["monitors"]:
        together = document["monitors"][0]
        made.append(_tile("noticed", together["noticed"], wording, None))
        made.append(_tile("false", together["false_alarms"], wording, None))
    return [tile for tile in made if str(tile.value) != "–"]


def _tile(
    name: str, rate: Mapping[str, Any], wording: Wording, who: str | None, *, harm: bool = False
) -> Tile:
    if not rate["total"]:
        return Tile(Markup("–"), Markup(""), Markup(""))
    low, high = rate["ci95"]
    between = wording.say("tile_between", low=wording.percent(low), high=wording.percent(high))
    note = between if who is None else Markup("{} · {}").format(between, wording.quoted(who))
    tone = ("bad" if rate["count"] else "good") if harm else ""
    return Tile(wording.percent(rate["rate"]), wording.say(f"tile_{name}"), note, tone)
