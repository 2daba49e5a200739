"""The replay as one HTML file: everything is text, nothing is loaded, nothing runs."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from sandbox.trace.store import Store
from sandbox.views.replay_html import MOST, render, together
from tests.support.cli import command
from tests.support.traces import HOSTILE, OTHER, TEAM, Writer, call, fixed, score, start, turn

TAGS = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "h1",
    "h2",
    "p",
    "strong",
    "table",
    "tr",
    "th",
    "td",
    "a",
    "article",
    "div",
    "span",
    "pre",
    "ins",
    "del",
    "mark",
    "details",
    "summary",
}
ATTACK = (
    "</pre><script>alert(1)</script><img src=x onerror=alert(1)>\"'><svg/onload=alert(1)> &lt;b&gt; "
    "<!-- --><a href='javascript:alert(1)'>x</a>\x1b[2J\u202e<iframe src=//evil.example></iframe>"
)


class Page(SingleFileSnapshotExtension):
    """A page as a file."""

    _file_extension = "html"
    _write_mode = WriteMode.TEXT


class Parsed(HTMLParser):
    """What a browser would see: tags, attributes, text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str]] = set()
        self.text: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.tags.add(tag)
        self.attributes |= {(name, value or "") for name, value in attrs}

    def handle_data(self, data: str) -> None:
        """Note a text."""
        self.text.append(data)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with fixed runs and one that attacks a browser in every field."""
    with fixed(tmp_path) as opened:
        writer = Writer(opened, "ffff00000006")
        writer.add("run.start", start([ATTACK], title={"en": ATTACK}, versions={ATTACK: ATTACK}))
        turn(writer, 0, ATTACK, ATTACK, agent=ATTACK)
        patch = [{"op": "add", "path": "/mail/x", "value": ATTACK}]
        changed = {
            "kind": "world",
            "action": "change",
            "target": ATTACK,
            "status": ATTACK,
            "source": "world",
            "detail": {"patch": patch},
        }
        call(
            writer,
            "c1",
            {ATTACK: ATTACK},
            ATTACK,
            [changed],
            tool=ATTACK,
            agent=ATTACK,
            verdict=ATTACK,
        )
        writer.add("strange.kind" + ATTACK, {"x": ATTACK}, ATTACK)
        score(writer, ATTACK)
        said = {
            "event": 4,
            "monitor": ATTACK,
            "verdict": ATTACK,
            "severity": ATTACK,
            "reason": ATTACK,
        }
        odd = {"event": '"><script>', "verdict": ATTACK}
        writer.row(
            model=ATTACK,
            scenario=ATTACK,
            safety=ATTACK,
            result={"verdicts": [said, odd]},
            started=0.0,
        )
        yield opened


def test_an_attack_in_any_field_is_text(store: Store) -> None:
    """No tag, attribute or comment of a trace gets into the page; its text can be read there."""
    page = render(store, "ffff00000006")
    parsed = Parsed(page)
    assert parsed.tags <= TAGS
    assert {name for name, _ in parsed.attributes} <= {
        "lang",
        "charset",
        "http-equiv",
        "content",
        "name",
        "class",
        "id",
        "href",
    }
    assert all(re.fullmatch(r"#e\d+", value) for name, value in parsed.attributes if name == "href")
    assert all(re.fullmatch(r"e\d+", value) for name, value in parsed.attributes if name == "id")
    assert "<!--" not in page
    assert "<img src=x onerror=alert(1)>" in "".join(parsed.text)
    assert "\x1b" not in page
    assert "\u202e" not in page


def test_the_page_forbids_all_but_its_own_style(store: Store) -> None:
    """The policy names the hash of the one style; there is no script and nothing to load."""
    page = render(store, HOSTILE)
    style = re.search(r"<style>(.*)</style>", page, re.DOTALL)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert style is not None
    assert policy is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy[1]
    assert policy[1].startswith("default-src 'none'")
    assert "url(" not in style[1]
    assert "@import" not in style[1]


def test_long_texts_are_cut_with_a_word(store: Store) -> None:
    """A result of 10 MB is told by its beginning and by how much more there is."""
    page = render(store, HOSTILE)
    assert len(page) < 10 * MOST
    assert "characters more, in the trace" in page


def test_calls_stand_whole_with_what_they_changed(store: Store) -> None:
    """A call's arguments, verdict and result are together; its change of the world follows."""
    text = "".join(Parsed(render(store, HOSTILE)).text)
    order = (
        "→ mail.read",
        "← ok  event 6",
        "world/mail/messages/0/read",
        "- false",
        "→ files.write",
    )
    places = [text.index(piece) for piece in order]
    assert places == sorted(places)


def test_several_runs_stand_in_one_page(store: Store) -> None:
    """The page of several runs lists them, and each link leads to a place that is there once."""
    rows = [store.run(run) for run in (HOSTILE, TEAM, "ffff00000006")]
    page = together(store, rows).decode()
    parsed = Parsed(page)
    ids = re.findall(r' id="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    assert {value[1:] for name, value in parsed.attributes if name == "href"} <= set(ids)
    assert parsed.tags <= {*TAGS, "section"}
    assert together(store, rows).decode() == page


def test_each_agent_of_a_team_is_named(store: Store) -> None:
    """Turns and events name their agents."""
    text = "".join(Parsed(render(store, TEAM)).text)
    assert "Turn 2 · buyer" in text


def test_the_command_writes_the_page(store: Store, tmp_path: Path) -> None:
    """``sandbox replay RUN --html FILE`` writes it."""
    target = tmp_path / "page.html"
    store_file = str(tmp_path / "fixed.db")
    command("--store", store_file, "replay", HOSTILE, "--html", str(target)).check_returncode()
    assert target.read_text("utf-8") == render(store, HOSTILE)


@pytest.mark.parametrize("run", [OTHER, TEAM])
def test_the_page_of_a_fixed_run(store: Store, snapshot: SnapshotAssertion, run: str) -> None:
    """The whole page, to be read where it changes."""
    assert render(store, run) == snapshot(extension_class=Page)
