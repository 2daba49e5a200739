"""The report: whole in one file, alike in both languages, true to its runs, safe to open."""

from __future__ import annotations

import re
import string
from html.parser import HTMLParser
from typing import Any

import pytest

from sandbox.errors import InputError
from sandbox.reports import collect, document, rendering
from sandbox.reports.i18n import LANGS, Wording, quoted_markdown, words
from sandbox.sweeps.store import Sweeps
from sandbox.trace.labels import Label, Labels
from sandbox.trace.store import Store
from sandbox.views.templating import quoted_html
from tests.support.runner import Runner, call, plays, say
from tests.support.stored_runs import alert, night, outcome, put

HOSTILE = "</pre><script>alert(1)</script>\u202egnp.exe\x1b[31m | **bold** [x](javascript:1) `y`"


def of_all(store: Store) -> dict[str, Any]:
    """Return the report over all runs of a store."""
    return document.build(store, collect.of_rows(store, store.runs(), {}))


class Page(HTMLParser):
    """Collects tags, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        """Note a text."""
        self.words.append(data)


@pytest.fixture
def mixed(store: Store) -> dict[str, Any]:
    """A report over runs of two models, with every kind of outcome."""
    for model, unsafe in (("one/model", 3), ("two/model", 8)):
        put(
            store,
            [
                outcome(
                    f"{'injection' if n % 2 else 'fraud'}/s{n % 4}",
                    model=model,
                    seed=n,
                    safety="unsafe" if n < unsafe else "attempted" if n == unsafe else "safe",
                    verdicts=[alert(score=0.3 + n / 20)] if n <= unsafe else [],
                    energy_kwh=1e-4,
                )
                for n in range(20)
            ],
        )
        put(store, [outcome("fraud/s0-benign", model=model, benign=True, seed=n) for n in range(9)])
        put(store, [outcome("fraud/s1", model=model, task="error", reason="docker went away")])
    return of_all(store)


@pytest.mark.parametrize("lang", LANGS)
def test_one_file_that_loads_nothing(mixed: dict[str, Any], lang: str) -> None:
    """No script, no address, nothing that a browser would fetch; the policy forbids it besides."""
    text = rendering.html(mixed, lang)
    page = Page(text)
    assert not page.tags & {"script", "link", "img", "iframe", "object", "embed", "form", "a"}
    loading = {"src", "href", "srcset", "action", "data", "background", "xlink:href"}
    assert not {name for name, _ in page.attributes} & loading
    assert not re.search(r"url\(|@import|javascript:", text)
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert ("lang", lang) in page.attributes


@pytest.mark.parametrize("lang", LANGS)
def test_figures_stand_in_every_form(mixed: dict[str, Any], lang: str) -> None:
    """Page and Markdown tell the rates that the document holds."""
    wording = Wording(lang, quoted_html)
    of = {subject["model"]: subject["metrics"]["unsafe"] for subject in mixed["subjects"]}
    assert {name: rate["count"] for name, rate in of.items()} == {"one/model": 3, "two/model": 8}
    rate = wording.percent(of["two/model"]["rate"])
    for text in (rendering.html(mixed, lang), rendering.markdown(mixed, lang)):
        assert str(rate) in text
        assert "two/model" in text
        assert "docker went away" in text


def test_faults_are_in_no_rate(mixed: dict[str, Any]) -> None:
    """A run that the environment ended is told of, and counted in no rate of the agent's."""
    subject = mixed["subjects"][0]
    assert subject["metrics"]["unsafe"]["total"] == 20
    assert subject["metrics"]["environment_fault"]["count"] == 1
    assert mixed["faults"] == [{"reason": "docker went away", "runs": 2}]


def test_energy_is_told_with_its_factor(mixed: dict[str, Any]) -> None:
    """KWh first, then grams with the factor and its source, and for how many runs it is known."""
    spent = mixed["spent"]
    assert spent["energy_kwh"] == pytest.approx(40e-4)
    assert spent["energy_known"] == 40
    assert spent["emitted_g"] == pytest.approx(40e-4 * spent["factor"]["g_per_kwh"])
    assert "0.0040 kWh" in rendering.html(mixed, "en").replace("\u202f", " ")


def test_the_worst_come_first(mixed: dict[str, Any]) -> None:
    """Harm done stands before harm tried, and one run stands for those that ended alike."""
    found = [item["safety"] for item in mixed["worst"]]
    assert found == sorted(found, key=["unsafe", "attempted"].index)
    assert sum(1 + item["alike"] for item in mixed["worst"]) == 3 + 1 + 8 + 1


async def test_hostile_text_is_text(play: Runner) -> None:
    """What an agent wrote is shown, escaped, with its control and direction signs made visible."""
    hostile = plays(
        call("mail.send", to=["x@y.example"], subject=HOSTILE, body=HOSTILE), say(HOSTILE)
    )
    result = await play(hostile, "leakage/wrong-audience")
    put(
        play.store,
        [
            {
                **outcome(model=HOSTILE, scenario="injection/<b>"),
                "safety": "unsafe",
                "verdicts": [alert(monitor=HOSTILE)],
            },
            {**outcome(task="error", reason=HOSTILE)},
            {**result.as_data(), "id": "f" * 12, "safety": "unsafe"},
        ],
    )
    made = of_all(play.store)
    made["worst"][0]["words"] = HOSTILE
    made["worst"][0]["call"] = {"tool": HOSTILE, "arguments": HOSTILE}
    for lang in LANGS:
        page = Page(rendering.html(made, lang))
        assert not page.tags & {"script", "b1"}
        assert "</pre><script>alert(1)</script>" in "".join(page.words)
        assert "⟨U+202E RIGHT-TO-LEFT OVERRIDE⟩" in "".join(page.words)
        for text in (rendering.html(made, lang), rendering.markdown(made, lang)):
            assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
        told = rendering.markdown(made, lang)
        assert "<script" not in told
        assert "[x](" not in told
        assert "**bold**" not in told


def test_languages_say_the_same_things() -> None:
    """Every language has the same keys, and fills in the same values."""
    english, french = (words(lang) for lang in LANGS)
    assert english.keys() == french.keys()
    for key, text in english.items():
        assert _fields(text) == _fields(french[key]), key


def _fields(text: str | dict[str, str]) -> list[set[str]]:
    forms = [text] if isinstance(text, str) else [text["one"], text["other"]]
    return [{name for _, name, _, _ in string.Formatter().parse(form) if name} for form in forms]


def test_an_unknown_language() -> None:
    """A language without words is an error that names those that there are."""
    with pytest.raises(InputError, match="no reports in 'de'"):
        words("de")


def test_numbers_in_both_languages() -> None:
    """Percentages, thousands and small numbers as each language writes them."""
    english, french = Wording("en", quoted_html), Wording("fr", quoted_html)
    assert (english.percent(0.126), english.percent(0.0349)) == ("13\u202f%", "3.5\u202f%")
    assert (french.percent(0.0349), french.number(12345)) == ("3,5\u202f%", "12\u202f345")
    assert (english.percent(1.0), english.percent(0.9999999)) == ("100\u202f%", "100\u202f%")
    assert english.significant(0.000123) == "0.00012"
    assert french.points(-0.104) == "−10,4"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("a|b", "a&#124;b"),
        ("<i>&", "&lt;i&gt;&amp;"),
        ("# no heading", "\\# no heading"),
        ("1. no list", "1&#8203;. no list"),
        ("two\nlines", "two lines"),
        ("[x](y) *z*", "\\[x\\](y) \\*z\\*"),
    ],
)
def test_markdown_is_quoted(given: str, expected: str) -> None:
    """Nothing that an agent wrote is markup in Markdown."""
    assert quoted_markdown(given) == expected


def test_compared_with_the_nights_before(store: Store) -> None:
    """The planted regression stands in the summary, with the nights as a picture."""
    nights = [night(store, 20, first_seed=1000 * n) for n in range(3)]
    last = night(store, 50, first_seed=9000)
    earlier = collect.baseline(store, last, "last:2")
    assert [row.id for row in earlier] == [row.id for row in nights[1:]]
    now = collect.of_sweep(store, last)
    made = document.build(store, now, [collect.of_sweep(store, row) for row in earlier])
    assert made["comparison"]["worse"] >= 1
    assert len(made["comparison"]["nights"]) == 3
    text = rendering.html(made, "en")
    assert "got worse beyond noise" in text
    assert 'class="band"' in text


def test_a_baseline_that_is_none(store: Store) -> None:
    """A first night has nothing before it, a sweep is not its own baseline, last wants a number."""
    only = night(store, 1, runs=20)
    for asked, said in (
        ("last:3", "before"),
        (only.id, "itself"),
        ("last:x", "how many"),
        ("nightly", "itself"),
        ("nothing", "no sweep"),
    ):
        with pytest.raises(InputError, match=said):
            collect.baseline(store, Sweeps(store).get(only.id), asked)


def test_no_runs_no_report(store: Store) -> None:
    """Of nothing there is no report, and the error says where to look."""
    with pytest.raises(InputError, match="sandbox runs list"):
        collect.of_rows(store, store.runs(), {})


def test_only_benign_runs(store: Store) -> None:
    """Without a dangerous scenario the report says that nothing can be said about harm."""
    put(store, [outcome("fraud/x-benign", benign=True, task="error", reason="gone")])
    made = of_all(store)
    for lang in LANGS:
        assert str(Wording(lang, quoted_html).say("no_danger")) in rendering.html(made, lang)
        rendering.markdown(made, lang)


def test_what_nobody_judged_is_not_safe(store: Store) -> None:
    """Imported runs without an outcome are in no rate of harm, nor of monitors that never watched."""
    put(store, [outcome(isolation="imported", safety=None, seed=n) for n in range(8)])
    made = of_all(store)
    assert made["totals"]["unjudged"] == 8
    assert made["subjects"][0]["metrics"]["unsafe"]["total"] == 0
    assert "nobody has judged" in rendering.markdown(made, "en")


def test_labels_stand_in_for_outcomes(store: Store) -> None:
    """Labels of one source give the outcome; runs without one keep theirs; unknown sources are named."""
    results = [outcome(isolation="imported", safety=None, seed=n) for n in range(6)]
    put(store, results)
    values = ("success", "success", "attempted", "resisted", "benign")
    Labels(store).add(
        Label(result["id"], "outcome", value, "corrected")
        for result, value in zip(results, values, strict=False)
    )
    plain = collect.of_rows(store, store.runs(), {})
    made = document.build(store, collect.relabelled(store, plain, "corrected"))
    metrics = made["subjects"][0]["metrics"]
    assert (metrics["unsafe"]["count"], metrics["unsafe"]["total"]) == (2, 4)
    assert metrics["tried"]["count"] == 3
    assert metrics["noticed"]["total"] == 0
    assert (made["totals"]["labelled"], made["totals"]["unjudged"]) == (5, 1)
    with pytest.raises(InputError, match="did you mean 'corrected'"):
        collect.relabelled(store, plain, "corected")


def test_people_who_are_divided_have_not_judged(store: Store) -> None:
    """Most of those who labelled a run decide; where they are divided it is not judged."""
    results = [outcome(seed=n) for n in range(2)]
    put(store, results)
    Labels(store).add(
        Label(results[n]["id"], "outcome", value, "person", by)
        for n, by, value in (
            (0, "ada", "success"),
            (0, "bo", "success"),
            (0, "cy", "resisted"),
            (1, "ada", "success"),
            (1, "bo", "resisted"),
        )
    )
    plain = collect.of_rows(store, store.runs(), {})
    found = {run.id: run.safety for run in collect.relabelled(store, plain, "person").runs}
    assert found == {results[0]["id"]: "unsafe", results[1]["id"]: ""}
