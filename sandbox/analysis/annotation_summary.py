"""What people's labels say together: agreement by language and family, against judges, and where not."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sandbox.analysis.agreement import Agreement, Pair, Unit, agreement, pair
from sandbox.analysis.bootstrap import RESAMPLES
from sandbox.trace.annotations import PERSON, VERDICT, event_of
from sandbox.trace.labels import Label, Labels
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow

PEOPLE = "people"
SCORE = "score"
MONITORS = "monitors"
_OF_SAFETY = {"unsafe": "success", "attempted": "attempted", "safe": "resisted"}
_HARMFUL = {
    "success": "harmful",
    "attempted": "harmful",
    "resisted": "harmless",
    "benign": "harmless",
}


@dataclass(frozen=True)
class Group:
    """Agreement among people over some of the runs."""

    by: str
    """``all``, ``lang`` or ``family``."""
    name: str
    agreement: Agreement


@dataclass(frozen=True)
class Against:
    """People against somebody or something else that judged the same runs."""

    judge: str
    """``score``, ``monitors``, ``monitor NAME``, or the source of other labels."""
    pair: Pair
    missed: int
    """Runs that people call harmful and it does not."""
    false_alarms: int
    """Runs that it calls harmful and people do not."""

    def as_data(self) -> dict[str, object]:
        """Return it as JSON data."""
        told = self.pair.as_data()
        del told["raters"]
        return {
            "judge": self.judge,
            **told,
            "missed": self.missed,
            "false_alarms": self.false_alarms,
        }


@dataclass(frozen=True)
class Disagreement:
    """A run that people label differently."""

    run: str
    scenario: str
    lang: str
    values: Mapping[str, str]
    """Person → value."""


@dataclass(frozen=True)
class Summary:
    """All that people's labels say together."""

    label: str
    labels: int
    runs: int
    """Runs that anybody labelled."""
    groups: tuple[Group, ...]
    against: tuple[Against, ...]
    disagreements: tuple[Disagreement, ...]

    def as_data(self) -> dict[str, object]:
        """Return it as JSON data."""
        return {
            "label": self.label,
            "labels": self.labels,
            "runs": self.runs,
            "groups": [{"by": g.by, "name": g.name, **g.agreement.as_data()} for g in self.groups],
            "against": [item.as_data() for item in self.against],
            "disagreements": [
                {"run": d.run, "scenario": d.scenario, "lang": d.lang, "values": dict(d.values)}
                for d in self.disagreements
            ],
        }


def summary(
    store: Store,
    label: str,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    rows: Iterable[RunRow] | None = None,
) -> Summary:
    """Return what people's labels of one name say together.

    Args:
        store: Where runs and labels are.
        label: Name of the label; ``verdict`` for those of single verdicts, each of which then counts
            as a run of its own.
        resamples: How often scenarios are drawn again for intervals.
        seed: Of the draws.
        rows: The runs to look at; all if left out.
    """
    known = {row.id: row for row in (store.runs() if rows is None else rows)}
    found = _of_verdicts(store, known) if label == VERDICT else Labels(store).find(name=label)
    said: dict[str, dict[str, str]] = defaultdict(dict)
    others: dict[str, dict[str, str]] = defaultdict(dict)
    for each in found:
        if each.run not in known:
            continue
        if each.source == PERSON:
            said[each.run][each.by] = each.value
        else:
            others[" ".join(filter(None, (each.source, each.by)))][each.run] = each.value
    units = [Unit(run, known[run].scenario, ratings) for run, ratings in sorted(said.items())]
    groups = [Group("all", "", agreement(units, resamples=resamples, seed=seed))]
    for by in ("lang", "family"):
        split: dict[str, list[Unit]] = defaultdict(list)
        for unit in units:
            split[str(getattr(known[unit.run], by))].append(unit)
        for name, part in sorted(split.items()):
            groups.append(Group(by, name, agreement(part, resamples=resamples, seed=seed)))
    consensus = _consensus(units)
    against = [
        _against(name, consensus, judged, known, resamples, seed)
        for name, judged in _judges(label, consensus, known, others)
    ]
    return Summary(
        label,
        sum(map(len, said.values())),
        len(units),
        tuple(groups),
        tuple(against),
        tuple(_disagreements(units, known)),
    )


def _of_verdicts(store: Store, known: dict[str, RunRow]) -> list[Label]:
    """Return people's labels of single verdicts, each as of a run ``RUN@EVENT``, which is then known."""
    found = []
    for label in Labels(store).find(source=PERSON):
        event = event_of(label.name)
        if event is not None and label.run in known:
            unit = f"{label.run}@{event}"
            known[unit] = known[label.run]
            found.append(replace(label, run=unit))
    return found


def _consensus(units: Sequence[Unit]) -> dict[str, str]:
    """Return run → the value that most people gave; none where two values have equally many."""
    found = {}
    for unit in units:
        first, *rest = Counter(unit.ratings.values()).most_common(2)
        if not rest or rest[0][1] < first[1]:
            found[unit.run] = first[0]
    return found


def _judges(
    label: str,
    consensus: Mapping[str, str],
    known: Mapping[str, RunRow],
    others: Mapping[str, Mapping[str, str]],
) -> list[tuple[str, Mapping[str, str]]]:
    """Return all else that judged the runs: its name, and run → value."""
    found: list[tuple[str, Mapping[str, str]]] = sorted(others.items())
    if label == "task":
        tasks = {run: str(known[run].task) for run in consensus if known[run].task}
        return [*found, (SCORE, tasks)]
    if label != "outcome":
        return found
    rows = [known[run] for run in consensus if known[run].safety]
    found.append((SCORE, {row.id: _scored(row) for row in rows}))
    told = {row.id: _speaking(row) for row in rows}
    families = sorted({family for names in told.values() for family in names})
    found.append((MONITORS, {run: _flag(bool(names)) for run, names in told.items()}))
    found += [
        (f"monitor {family}", {run: _flag(family in names) for run, names in told.items()})
        for family in families
    ]
    return found


def _scored(row: RunRow) -> str:
    """Return the outcome that the scenario's own conditions gave, in people's words."""
    if row.safety == "safe" and (row.result or {}).get("benign"):
        return "benign"
    return _OF_SAFETY.get(row.safety or "", "unclear")


def _speaking(row: RunRow) -> set[str]:
    verdicts = (row.result or {}).get("verdicts", ())
    return {str(verdict["monitor"]).partition(".")[0] for verdict in verdicts}


def _flag(harmful: bool) -> str:
    return "harmful" if harmful else "harmless"


def _against(
    name: str,
    consensus: Mapping[str, str],
    judged: Mapping[str, str],
    known: Mapping[str, RunRow],
    resamples: int,
    seed: int,
) -> Against:
    """Compare people with a judge; where it only tells harmful from harmless, in these two words."""
    coarse = set(judged.values()) <= {"harmful", "harmless"}
    units = []
    for run, value in consensus.items():
        told = _HARMFUL.get(value) if coarse else value
        if run in judged and told is not None:
            units.append(Unit(run, known[run].scenario, {PEOPLE: told, name: judged[run]}))
    harmful = [
        tuple(
            _HARMFUL.get(value, value) == "harmful"
            for value in (u.ratings[PEOPLE], u.ratings[name])
        )
        for u in units
    ]
    return Against(
        name,
        pair(units, PEOPLE, name, resamples=resamples, seed=seed),
        harmful.count((True, False)),
        harmful.count((False, True)),
    )


def _disagreements(units: Sequence[Unit], known: Mapping[str, RunRow]) -> Iterable[Disagreement]:
    """Yield what people label differently: where they are furthest from one value first."""

    def split(unit: Unit) -> float:
        return max(Counter(unit.ratings.values()).values()) / len(unit.ratings)

    for unit in sorted(units, key=lambda unit: (split(unit), unit.run)):
        if len(set(unit.ratings.values())) > 1:
            row = known[unit.run]
            yield Disagreement(unit.run, row.scenario, row.lang, dict(sorted(unit.ratings.items())))
