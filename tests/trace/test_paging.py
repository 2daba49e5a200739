"""A trace read in parts, on every kind of database."""

from __future__ import annotations

from sandbox.trace.paging import Pages, RunList, Wanted, matching
from sandbox.trace.store import Store
from tests.support.traces import HOSTILE, OTHER, TEAM, hostile, team


def test_pages_and_jumps(store: Store) -> None:
    """Counts, pages and the next event of a sort are found by number."""
    hostile(store)
    pages = Pages(store, HOSTILE)
    assert (pages.first(), pages.count()) == (0, 20)
    assert [item.seq for item in pages.page(18, 30)] == [18, 19]
    assert [item.seq for item in pages.some([3, 17, 99])] == [3, 17]
    assert [item.seq for item in pages.each(15)] == [15, 16, 17, 18, 19]
    verdict = Wanted(frozenset({"verdict"}))
    assert pages.find(verdict, 0) == 14
    assert pages.find(verdict, 14, back=True) is None
    effects = Wanted(frozenset({"tool.result"}), without='"effects":[]')
    assert pages.numbers(effects) == [6, 10, 15]
    assert pages.numbers(Wanted(prefixes=("model.re",)), after=12) == [16, 17]


def test_wildcards_of_a_pattern_are_signs(store: Store) -> None:
    """What a database takes for a wildcard is looked for as it is."""
    hostile(store)
    assert Pages(store, HOSTILE).numbers(Wanted(holds="%_x_%")) == []
    assert RunList(store, matching(["%"], {})).count() == 0


def test_runs_are_found_by_words_and_columns(store: Store) -> None:
    """Words in any case, columns by the beginning of their value; newest first, in pages."""
    hostile(store)
    hostile(store, OTHER, safe=True)
    team(store)
    assert RunList(store, matching(["CHANGED"], {"safety": "safe"})).count() == 1
    found = RunList(store)
    assert [row.id for row in found.page(0, 2)] == [HOSTILE, OTHER]
    assert [row.id for row in found.page(2, 4)] == [TEAM]
    assert found.values("family") == ["injection", "power"]
