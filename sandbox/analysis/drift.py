"""What got worse or better between two sets of runs, beyond noise.

Every hypothesis is tested within scenarios (:mod:`sandbox.analysis.stratified`), pair by pair where both
sides ran the same scenarios with the same seeds; all of them
share one chance of a false alarm (Holm's procedure with weights). Most of that chance goes to the
question that a night is asked: did the rate of unsafe runs of a model change. The rest goes to other
outcomes and to families, and what is left to single scenarios and to ways of failing that are new.
A hypothesis that could not be flagged whatever had happened, because too little was counted, takes no
share (R. E. Tarone, Biometrics 46 (1990), 515-522): that depends on totals only, which the tests are
conditional on.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sandbox.analysis import stratified, trend
from sandbox.analysis.outcomes import METRICS, UNSAFE, Metric, Observed, Subject, subjects
from sandbox.analysis.paired import holm
from sandbox.analysis.stratified import RateChange, Stratum

LEVEL = 0.05
"""The chance that two nights that do not differ are flagged at all."""
SHARES = {1: 0.6, 2: 0.25, 3: 0.15}
"""Of that chance, by the rank of a hypothesis."""
PAIRED = 0.95
"""Share of the runs of each side that must have a partner on the other to be compared pair by pair."""
_NAMES = 20  # of monitors in one way of failing


@dataclass(frozen=True)
class DriftFinding:
    """One comparison."""

    what: str
    """The metric and where: ``unsafe, gpt-x, injection``."""
    metric: str
    model: str
    family: str
    scenario: str
    before: float
    after: float
    runs_before: int
    runs_after: int
    difference: float
    low: float
    high: float
    p: float
    adjusted: float
    """Adjusted for all comparisons made."""
    flagged: bool
    direction: str
    """``worse``, ``better``, or ``changed`` where neither can be said; of the difference as it is."""
    new: bool = False
    """Whether it was never seen before."""

    def as_data(self) -> dict[str, object]:
        """Return it as JSON data."""
        data = dict(vars(self))
        low, high = data.pop("low"), data.pop("high")
        return {**data, "ci": [low, high]}


@dataclass(frozen=True)
class Drift:
    """All comparisons of two sets of runs."""

    findings: tuple[DriftFinding, ...]
    pairs: tuple[tuple[str, str], ...]
    """Which subject was compared with which, before and after."""
    unmatched: tuple[str, ...]
    """Subjects of one side only."""
    only_before: tuple[str, ...]
    """Scenarios of one side only; they are in no comparison."""
    only_after: tuple[str, ...]
    level: float

    @property
    def worse(self) -> list[DriftFinding]:
        """What got worse beyond noise."""
        return [item for item in self.findings if item.flagged and item.direction == "worse"]

    @property
    def better(self) -> list[DriftFinding]:
        """What got better beyond noise."""
        return [item for item in self.findings if item.flagged and item.direction == "better"]

    @property
    def new(self) -> list[DriftFinding]:
        """Ways of failing that were never seen before, whether beyond noise or not."""
        return [item for item in self.findings if item.new]

    def as_data(self) -> dict[str, object]:
        """Return it as JSON data."""
        names = ("pairs", "unmatched", "only_before", "only_after")
        return {
            "findings": [item.as_data() for item in self.findings],
            "worse": len(self.worse),
            "better": len(self.better),
            "level": self.level,
            **{name: list(getattr(self, name)) for name in names},
        }


@dataclass(frozen=True)
class _Hypothesis:
    rank: int
    finding: DriftFinding
    least: float


def compare(
    before: Sequence[Observed],
    after: Sequence[Observed],
    *,
    nights: Sequence[Sequence[Observed]] = (),
    level: float = LEVEL,
) -> Drift:
    """Return what changed.

    Args:
        before: The baseline's runs; of several nights, those of all of them.
        after: The runs that are judged.
        nights: The baseline's runs night by night, oldest first, where there are several: a steady
            drift is looked for as well.
        level: The chance that anything is flagged where nothing changed.
    """
    pairs, unmatched = _matched(subjects(before), subjects(after))
    labels = [a for _, a in pairs]
    asked = []
    for old, new in pairs:
        mine = [r for r in before if r.subject == old], [r for r in after if r.subject == new]
        asked += list(_hypotheses(_label(old, new, labels), *mine))
        if len(nights) > 1:
            each = [[r for r in night if r.subject == old] for night in nights]
            asked += _drifting(_label(old, new, labels), [*each, mine[1]])
    scenarios = {r.scenario for r in before}, {r.scenario for r in after}
    return Drift(
        findings=tuple(_judged(asked, level)),
        pairs=tuple((_told(old, pairs, 0), _told(new, pairs, 1)) for old, new in pairs),
        unmatched=tuple(unmatched),
        only_before=tuple(sorted(scenarios[0] - scenarios[1])),
        only_after=tuple(sorted(scenarios[1] - scenarios[0])),
        level=level,
    )


def _told(subject: Subject, pairs: Sequence[tuple[Subject, Subject]], side: int) -> str:
    return subject.label([pair[side] for pair in pairs])


def _label(old: Subject, new: Subject, among: Sequence[Subject]) -> str:
    if old.scaffold != new.scaffold:
        return f"{old.label([old, new])} → {new.label([old, *among])}"
    if old.model == new.model:
        return new.label(among)
    return f"{old.model} → {new.label(among)}"


def _matched(
    before: Iterable[Subject], after: Iterable[Subject]
) -> tuple[list[tuple[Subject, Subject]], list[str]]:
    """Pair what is the same, then what differs in parameters of the model, then one with one."""
    left, right = list(before), list(after)
    pairs: list[tuple[Subject, Subject]] = []
    keys = (
        lambda s: s,
        lambda s: replace(s, model=s.model.partition("?")[0]),
        lambda s: replace(s, model=""),
        lambda s: None,
    )
    for key in keys:
        for old in list(left):
            alike = [new for new in right if key(new) == key(old)]
            rivals = [other for other in left if key(other) == key(old)]
            if len(alike) == len(rivals) == 1:
                pairs.append((old, alike[0]))
                left.remove(old)
                right.remove(alike[0])
    return pairs, [s.label([*left, *right]) for s in (*left, *right)]


def _hypotheses(
    label: str, before: Sequence[Observed], after: Sequence[Observed]
) -> Iterator[_Hypothesis]:
    attempts = any(r.safety == "attempted" for r in (*before, *after))
    for metric in METRICS:
        if metric.name == "tried" and not attempts:
            continue  # the same question as that of the rate of unsafe runs
        rank = 1 if metric is UNSAFE else 2
        yield from _asked(rank, metric, (label, "", ""), before, after)
    families, scenarios = _groups(after, "family"), _groups(after, "scenario")
    for family in families if len(families) > 1 else ():
        parts = [[r for r in side if r.family == family] for side in (before, after)]
        yield from _asked(2, UNSAFE, (label, family, ""), parts[0], parts[1])
    for scenario, family in scenarios.items() if len(scenarios) > 1 else ():
        parts = [[r for r in side if r.scenario == scenario] for side in (before, after)]
        yield from _asked(3, UNSAFE, (label, family, scenario), parts[0], parts[1])
    yield from _ways(label, before, after)


def _groups(runs: Iterable[Observed], name: str) -> dict[str, str]:
    return {getattr(r, name): r.family for r in runs if UNSAFE.over(r)}


def _asked(
    rank: int,
    metric: Metric,
    where: tuple[str, str, str],
    before: Iterable[Observed],
    after: Iterable[Observed],
) -> Iterator[_Hypothesis]:
    sides = metric.select(before), metric.select(after)
    pairs = _pairs(metric, *sides)
    if pairs is None:
        found = stratified.change(_strata(metric, *sides))
    else:
        found = stratified.paired_change(pairs)
    if found is not None:
        label, family, scenario = where
        what = ", ".join(part for part in (metric.name, label, scenario or family) if part)
        if (
            rank > 1
        ):  # many tests of small counts: only the exact one keeps what they promise together
            found = replace(found, p=found.exact)
        yield _Hypothesis(rank, _finding(what, metric, where, found), found.least)


def _finding(
    what: str, metric: Metric, where: tuple[str, str, str], found: RateChange
) -> DriftFinding:
    sign = metric.worse * found.difference
    direction = "changed" if sign == 0 else "worse" if sign > 0 else "better"
    model, family, scenario = where
    return DriftFinding(
        what=what,
        metric=metric.name,
        model=model,
        family=family,
        scenario=scenario,
        before=found.before,
        after=found.after,
        runs_before=found.runs_before,
        runs_after=found.runs_after,
        difference=found.difference,
        low=found.low,
        high=found.high,
        p=found.p,
        adjusted=1.0,
        flagged=False,
        direction=direction,
    )


def _pairs(
    metric: Metric, before: Sequence[Observed], after: Sequence[Observed]
) -> list[tuple[bool, bool]] | None:
    """Return outcomes of runs with one scenario, language and seed; None where too few have a partner."""
    left, right = _keyed(before), _keyed(after)
    shared = left.keys() & right.keys()
    if len(shared) < PAIRED * max(len(left), len(right), 1):
        return None
    return [(metric.holds(left[key]), metric.holds(right[key])) for key in shared]


def _keyed(runs: Iterable[Observed]) -> dict[tuple[str, str, int, int], Observed]:
    times: Counter[tuple[str, str, int]] = Counter()
    found = {}
    for run in runs:
        key = *run.item, run.seed
        found[(*key, times[key])] = run
        times[key] += 1
    return found


def _strata(metric: Metric, before: Iterable[Observed], after: Iterable[Observed]) -> list[Stratum]:
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for place, runs in ((0, before), (2, after)):
        for run in runs:
            cell = counts[run.item]
            cell[place] += metric.holds(run)
            cell[place + 1] += 1
    return [Stratum(*cell) for cell in counts.values()]


def _ways(
    label: str, before: Sequence[Observed], after: Sequence[Observed]
) -> Iterator[_Hypothesis]:
    """Yield every way of failing that either side shows.

    All of them count as asked: to count those only that turned out to be new would be to choose the
    hypotheses by their results.
    """
    known = {way for run in before if (way := way_of_failing(run))}
    found = {way: run.family for run in (*before, *after) if (way := way_of_failing(run))}
    for way, family in sorted(found.items()):
        metric = Metric("new_failure", _in_scenario(way[0]), _fails(way), 1)
        for item in _asked(3, metric, (label, family, way[0]), before, after):
            what = f"{' · '.join(part for part in way if part)}, {label}"
            finding = replace(item.finding, what=what, new=way not in known)
            yield replace(item, finding=finding)


def _in_scenario(scenario: str) -> Callable[[Observed], bool]:
    return lambda run: run.scenario == scenario


def _fails(way: tuple[str, str, str]) -> Callable[[Observed], bool]:
    return lambda run: way_of_failing(run) == way


def way_of_failing(run: Observed) -> tuple[str, str, str] | None:
    """Return how a run failed: scenario, outcome, and which monitors saw it or why it ended.

    None where it did not fail.
    """
    if run.task == "error":
        return run.scenario, "error", re.sub(r"[0-9a-f]*\d[0-9a-f]*", "#", run.reason)[:120]
    if run.harmful:
        names = sorted({str(v.get("monitor")) for v in run.verdicts})[:_NAMES]
        return run.scenario, run.safety, ", ".join(names) or "unseen"
    if run.task == "limit":
        return run.scenario, "limit", run.reason[:120]
    return None


def _drifting(label: str, nights: Sequence[Sequence[Observed]]) -> list[_Hypothesis]:
    tables: dict[tuple[str, str], list[list[int]]] = defaultdict(lambda: [[0, 0] for _ in nights])
    for index, night in enumerate(nights):
        for run in UNSAFE.select(night):
            cell = tables[run.item][index]
            cell[0] += UNSAFE.holds(run)
            cell[1] += 1
    rates = [UNSAFE.rate(night) for night in nights]
    if not (tables and rates[0].total and rates[-1].total):
        return []
    p = trend.trend([[(hits, total) for hits, total in table] for table in tables.values()])
    first, last = rates[0], rates[-1]
    found = stratified.change([Stratum(first.count, first.total, last.count, last.total)])
    assert found is not None
    what = f"drift of unsafe over {len(nights)} nights, {label}"
    finding = replace(_finding(what, UNSAFE, (label, "", ""), found), metric="drift", p=p)
    return [_Hypothesis(2, finding, 0.0 if p < 1 else 1.0)]


def _judged(asked: Sequence[_Hypothesis], level: float) -> list[DriftFinding]:
    possible = {i: item for i, item in enumerate(asked) if item.least <= level}
    ranks = Counter(item.rank for item in possible.values())
    weights = {i: SHARES[x.rank] / ranks[x.rank] for i, x in possible.items()}
    p = {i: item.finding.p for i, item in possible.items()}
    # The share of a rank without hypotheses stays unused, so that every night is judged alike.
    unused = {-rank: share for rank, share in SHARES.items() if not ranks[rank]}
    adjusted = holm(p | dict.fromkeys(unused, 1.0), weights | unused)
    made = []
    for index, item in enumerate(asked):
        value = adjusted.get(index, 1.0)
        made.append(replace(item.finding, adjusted=value, flagged=value <= level))
    return [item for item in made if item.metric != "new_failure" or item.new]
