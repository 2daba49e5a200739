"""Pictures: well-formed SVG whatever the numbers and labels, within their frames."""

from __future__ import annotations

import re
from xml.dom.minidom import parseString

from hypothesis import given
from hypothesis import strategies as st

from sandbox.analysis.detection_metrics import RocPoint
from sandbox.reports.svg_charts import (
    NightRate,
    difference_svg,
    interval_svg,
    nights_svg,
    precision_svg,
    roc_svg,
)

share = st.floats(0, 1)


def _xs(svg: str) -> list[float]:
    return [float(x) for x in re.findall(r'\bx[12]?="(-?[\d.]+)"', svg)]


@given(st.lists(share, min_size=3, max_size=3), st.none() | st.tuples(share, share))
def test_rates_stay_within_the_scale(ends: list[float], wide: tuple[float, float] | None) -> None:
    """Bars and marks lie between 0 and 100 %."""
    low, value, high = sorted(ends)
    svg = interval_svg(value, (low, high), wide=wide)
    parseString(svg)  # noqa: S318 - made by us
    assert all(0 <= x <= 100 for x in _xs(svg))


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(0.01, 1))
def test_differences_stay_within_the_scale(a: float, b: float, reach: float) -> None:
    """A difference beyond the reach of the scale ends at its edge."""
    low, high = sorted((a, b))
    svg = difference_svg((low + high) / 2, (low, high), reach=reach)
    parseString(svg)  # noqa: S318 - made by us
    assert all(0 <= x <= 100 for x in _xs(svg))


def test_labels_are_escaped() -> None:
    """A name of a monitor or a night is text in the picture, whatever it holds."""
    bad = '"><script>\u202e'
    curve = [RocPoint(0, 0, 1, 1), RocPoint(1, 1, 0, 0)]
    for svg in (
        nights_svg([NightRate(bad, 0.1, 0, 0.2)], title=bad),
        roc_svg({bad: curve}, title=bad, axes=(bad, bad)),
        precision_svg({bad: curve}, share=0.1, title=bad, axes=(bad, bad)),
    ):
        parseString(svg)  # noqa: S318 - made by us
        assert "<script" not in svg
        assert "\u202e" not in svg


def test_many_points_are_thinned() -> None:
    """A curve of a hundred thousand points does not make a page of megabytes, and ends where it ends."""
    points = [RocPoint(i / 1e5, i / 1e5, 0, 0) for i in range(100_001)]
    svg = roc_svg({f"m{i}": points for i in range(9)})
    assert len(svg) < 60_000
    assert svg.count('<polyline class="curve') == 6


def test_precision_goes_in_steps() -> None:
    """Between two thresholds the precision is that of the looser one; chance lies at the share."""
    points = [
        RocPoint(0.0, 0.0, 1.0, 9),
        RocPoint(0.0, 0.5, 1.0, 0.9),
        RocPoint(1.0, 1.0, 0.25, 0.1),
    ]
    svg = precision_svg({"m": points}, share=0.25)
    path = re.search(r'curve c0" points="([^"]+)"', svg)
    assert path is not None
    assert path[1] == "44.0,10.0 174.0,10.0 174.0,205.0 304.0,205.0"
    assert '<line class="chance" x1="44.0" y1="205.0" x2="304.0" y2="205.0"/>' in svg
    assert "<polyline" in precision_svg({"m": []}, share=0.0)


def test_no_nights_no_picture() -> None:
    """Of nothing there is no picture; a hundred nights do not write over each other."""
    assert nights_svg([], title="x") == ""
    many = nights_svg([NightRate(str(i), 0.5, 0.4, 0.6) for i in range(100)], title="x")
    assert many.count('class="dot"') == 100
    assert many.count("<text") < 16
