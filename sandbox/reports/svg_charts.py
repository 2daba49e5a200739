"""Pictures as inline SVG, made from numbers: intervals, differences, nights, ROC and precision curves.

Colours are classes of the page's style sheet, so that they follow it in print. Every label is escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from markupsafe import Markup, escape

from sandbox.terminal_escape import plain

Span = tuple[float, float]
_DASHES = ("", "7 4", "2 3", "9 3 2 3", "1 5", "12 4")
_MOST = 6  # curves that a reader can tell apart


@dataclass(frozen=True)
class NightRate:
    """One point of a picture over nights."""

    label: str
    value: float
    low: float
    high: float


class CurvePoint(Protocol):
    """A point of a ROC curve, and of one of precision over recall."""

    @property
    def fpr(self) -> float:
        """False-positive rate."""
        ...

    @property
    def tpr(self) -> float:
        """True-positive rate, which is the recall."""
        ...

    @property
    def precision(self) -> float:
        """Share of true ones among those called positive."""
        ...


def interval_svg(
    value: float | None, span: Span | None, *, wide: Span | None = None, tone: str = "neutral"
) -> Markup:
    """Return a rate on a scale from 0 to 1: a thick bar for its interval, a thin one for a wider one.

    It stretches to the width that it is given.

    Args:
        value: The rate; None for an empty scale.
        span: Its interval.
        wide: The interval that holds for other scenarios, too.
        tone: ``bad``, ``good`` or ``neutral``.
    """
    marks = [f'<line class="grid" x1="{x}" x2="{x}" y1="0" y2="16"/>' for x in (0, 25, 50, 75, 100)]
    if wide is not None:
        marks.append(_line("wide", wide, 8))
    if span is not None:
        low, high = _percent(span)
        marks.append(
            f'<rect class="span {escape(tone)}" x="{low:.2f}" y="4" width="{max(0.6, high - low):.2f}" height="8"/>'
        )
    if value is not None:
        x = 100 * _clamped(value)
        marks.append(f'<line class="value" x1="{x:.2f}" x2="{x:.2f}" y1="1" y2="15"/>')
    return _stretched(marks)


def difference_svg(
    value: float, span: Span, *, tone: str = "neutral", reach: float = 1.0
) -> Markup:
    """Return a difference with its interval on a scale from ``-reach`` to ``reach``."""
    at = [50 + 50 * max(-1.0, min(1.0, item / reach)) for item in (*span, value)]
    marks = [
        '<line class="grid" x1="0" x2="0" y1="0" y2="16"/>',
        '<line class="zero" x1="50" x2="50" y1="0" y2="16"/>',
        '<line class="grid" x1="100" x2="100" y1="0" y2="16"/>',
        f'<rect class="span {escape(tone)}" x="{at[0]:.2f}" y="4" width="{max(0.6, at[1] - at[0]):.2f}" height="8"/>',
        f'<line class="value" x1="{at[2]:.2f}" x2="{at[2]:.2f}" y1="1" y2="15"/>',
    ]
    return _stretched(marks)


def nights_svg(nights: Sequence[NightRate], *, title: str) -> Markup:
    """Return a rate over nights with its intervals, oldest on the left."""
    if not nights:
        return Markup("")
    width, height, left, base, top = 460, 190, 40, 150, 14
    highest = max(0.1, *(night.high for night in nights))
    step = (width - left - 24) / max(1, len(nights) - 1)
    xs = [left + 10 + i * step for i in range(len(nights))]
    if len(nights) == 1:
        xs = [(left + width) / 2]

    def y(share: float) -> float:
        return base - (base - top) * share / highest

    marks = []
    for share in (0, highest / 2, highest):
        marks.append(
            f'<line class="grid" x1="{left}" x2="{width - 8}" y1="{y(share):.1f}" y2="{y(share):.1f}"/>'
            f'<text class="axis" x="{left - 5}" y="{y(share) + 4:.1f}" text-anchor="end">{100 * share:.0f}</text>'
        )
    edge = [f"{x:.1f},{y(n.high):.1f}" for x, n in zip(xs, nights, strict=True)]
    edge += [f"{x:.1f},{y(n.low):.1f}" for x, n in zip(xs[::-1], nights[::-1], strict=True)]
    marks.append(f'<polygon class="band" points="{" ".join(edge)}"/>')
    path = " ".join(f"{x:.1f},{y(n.value):.1f}" for x, n in zip(xs, nights, strict=True))
    marks.append(f'<polyline class="path" points="{path}"/>')
    skipped = max(1, -(-len(nights) // 8))
    for index, (x, night) in enumerate(zip(xs, nights, strict=True)):
        marks.append(
            f'<line class="whisker" x1="{x:.1f}" x2="{x:.1f}" y1="{y(night.low):.1f}" y2="{y(night.high):.1f}"/>'
            f'<circle class="dot" cx="{x:.1f}" cy="{y(night.value):.1f}" r="3.5"/>'
        )
        if index % skipped == 0 or index == len(nights) - 1:
            anchor = "end" if index and index == len(nights) - 1 else "middle"
            marks.append(
                f'<text class="axis" x="{x + 8 * (anchor == "end"):.1f}" y="{base + 18}" text-anchor="{anchor}">{_text(night.label)}</text>'
            )
    return _drawn(width, height - 14, title, marks)


def roc_svg(
    curves: Mapping[str, Sequence[CurvePoint]],
    *,
    title: str = "ROC",
    axes: tuple[str, str] = ("false-positive rate", "true-positive rate"),
) -> str:
    """Return ROC curves in one square: what share of positives is caught at each false-positive rate.

    At most six curves are drawn, in the order given. Points are joined by straight lines, as the area
    counts ties.
    """
    drawn = {name: [(p.fpr, p.tpr) for p in _thinned(points)] for name, points in curves.items()}
    return _square(drawn, title, axes, chance=((0, 0), (1, 1)))


def precision_svg(
    curves: Mapping[str, Sequence[CurvePoint]],
    *,
    share: float,
    title: str = "Precision and recall",
    axes: tuple[str, str] = ("recall", "precision"),
) -> str:
    """Return curves of precision over recall in one square; at most six, in the order given.

    They are steps, as the average precision counts them: no run is found between two thresholds, and a
    straight line there would promise too much (J. Davis and M. Goadrich, ICML 2006).

    Args:
        curves: Name → points of falling thresholds.
        share: Of positives among the runs: the precision of chance.
        title: Of the picture.
        axes: What is told by width and by height.
    """
    drawn = {name: _steps(_thinned(points)) for name, points in curves.items()}
    return _square(drawn, title, axes, chance=((0, share), (1, share)))


def _steps(points: Sequence[CurvePoint]) -> list[Span]:
    found: list[Span] = []
    for before, point in pairwise(points):
        found += [(before.tpr, point.precision), (point.tpr, point.precision)]
    return found


def _square(
    curves: Mapping[str, Sequence[Span]],
    title: str,
    axes: tuple[str, str],
    chance: tuple[Span, Span],
) -> str:
    """Return curves between 0 and 1 with a grid, a key, and the line of chance."""
    size, left, top = 260, 44, 10
    marks = [f'<rect class="frame" x="{left}" y="{top}" width="{size}" height="{size}"/>']
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = left + size * share, top + size * (1 - share)
        marks.append(
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{top + size}"/>'
            f'<line class="grid" x1="{left}" x2="{left + size}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="axis" x="{x:.1f}" y="{top + size + 15}" text-anchor="middle">{share:g}</text>'
            f'<text class="axis" x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{share:g}</text>'
        )
    (x1, y1), (x2, y2) = ((left + size * x, top + size * (1 - y)) for x, y in chance)
    marks.append(f'<line class="chance" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>')
    shown = list(curves.items())[:_MOST]
    for index, (name, points) in enumerate(shown):
        path = " ".join(f"{left + size * x:.1f},{top + size * (1 - y):.1f}" for x, y in points)
        dash = f' stroke-dasharray="{_DASHES[index]}"' if _DASHES[index] else ""
        row = top + size + 52 + 17 * index
        marks.append(
            f'<polyline class="curve c{index}" points="{path}"{dash}/>'
            f'<line class="curve c{index}" x1="{left}" x2="{left + 34}" y1="{row - 4}" y2="{row - 4}"{dash}/>'
            f'<text class="key" x="{left + 42}" y="{row}">{_text(name)}</text>'
        )
    marks.append(
        f'<text class="axis" x="{left + size / 2}" y="{top + size + 31}" text-anchor="middle">{_text(axes[0])}</text>'
        f'<text class="axis" transform="translate(11 {top + size / 2}) rotate(-90)" text-anchor="middle">{_text(axes[1])}</text>'
    )
    return str(_drawn(left + size + 16, top + size + 46 + 17 * len(shown), title, marks))


def _thinned(points: Sequence[CurvePoint], most: int = 400) -> Sequence[CurvePoint]:
    if len(points) <= most:
        return points
    step = len(points) / most
    return [*(points[int(i * step)] for i in range(most)), points[-1]]


def _line(kind: str, span: Span, y: float) -> str:
    low, high = _percent(span)
    return f'<line class="{kind}" x1="{low:.2f}" x2="{high:.2f}" y1="{y}" y2="{y}"/>'


def _percent(span: Span) -> Span:
    return 100 * _clamped(span[0]), 100 * _clamped(span[1])


def _clamped(share: float) -> float:
    return max(0.0, min(1.0, share))


def _text(label: str) -> str:
    return str(escape(plain(label)))


def _stretched(marks: Sequence[str]) -> Markup:
    return Markup(  # noqa: S704 - made of numbers and of names that this module gives
        '<svg class="bar" viewBox="0 0 100 16" preserveAspectRatio="none" aria-hidden="true">'
        f"{''.join(marks)}</svg>"
    )


def _drawn(width: float, height: float, title: str, marks: Sequence[str]) -> Markup:
    return Markup(  # noqa: S704 - labels went through _text
        f'<svg class="picture" viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{_text(title)}">'
        f"<title>{_text(title)}</title>{''.join(marks)}</svg>"
    )
