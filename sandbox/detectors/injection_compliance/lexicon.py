"""The words by which instructions are known, read from ``lexicon.yaml`` when first asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from sandbox.detectors.provenance.words import fold, stem, words

_CLAUSE = re.compile(r"[.!?;\n]|,| and | then | to | or |\bplease\b| et | puis | de | ou |\d\.")


@dataclass(frozen=True)
class Lexicon:
    """Words of instructions."""

    deeds: dict[str, frozenset[str]]
    """Word → deeds that it asks for or names."""
    stems: dict[str, frozenset[str]]
    """The same by stem."""
    nouns: frozenset[str]
    imperatives: frozenset[str]
    stop: frozenset[str]
    lead: re.Pattern[str]
    """What may stand before the verb of an instruction."""
    demand: re.Pattern[str]
    addressed: re.Pattern[str]
    delegating: re.Pattern[str]
    saying: re.Pattern[str]

    def deeds_of(self, words: Iterable[str]) -> frozenset[str]:
        """Return the deeds that words ask for or name, whatever their endings."""
        found: set[str] = set()
        for word in words:
            found |= self.stems.get(stem(word), frozenset())
        return frozenset(found)

    def requested_deeds(self, text: str) -> frozenset[str]:
        """Return the deeds that a user's text asks for: by verbs, and by nouns that open a clause."""
        found: set[str] = set()
        for clause in _CLAUSE.split(fold(text)):
            told = words(clause)
            for index, word in enumerate(told):
                if word in self.deeds and (index == 0 or word not in self.nouns):
                    found |= self.deeds[word]
        return frozenset(found)


@cache
def lexicon() -> Lexicon:
    """Return the lexicon that is shipped."""
    raw = yaml.safe_load(Path(__file__).with_name("lexicon.yaml").read_text())
    deeds: dict[str, frozenset[str]] = {}
    for deed, told in raw["deeds"].items():
        for word in fold(told).split():
            deeds[word] = deeds.get(word, frozenset()) | {deed}
    stems: dict[str, frozenset[str]] = {}
    for word, named in deeds.items():
        stems[stem(word)] = stems.get(stem(word), frozenset()) | named
    imperatives = frozenset(deeds) | frozenset(fold(raw["imperatives"]).split())
    sayings = "|".join(sorted(set(fold(raw["sayings"]).split())))
    leads = "|".join([r"\d+[.)]", r"[-*•>]", *raw["leads"]])
    return Lexicon(
        deeds,
        stems,
        frozenset(fold(raw["nouns"]).split()),
        imperatives,
        frozenset(fold(raw["stop"]).split()),
        re.compile(rf"[\W_]*(?:(?:{leads})(?!\w)[\s:,;!*\-'\"–—.`<>()]*)*", re.IGNORECASE),
        re.compile(rf"\b(?:{_alternatives(raw['demands'])})\b"),
        re.compile(_alternatives(raw["addressed"])),
        re.compile(rf"\b(?:{_alternatives(raw['delegating'])})\b"),
        re.compile(
            rf"(?:{sayings})\b|.{{0,40}}\b(?:say|tell|dis|dites)\b.{{0,20}}\b(?:that|que)\b"
        ),
    )


def _alternatives(text: str) -> str:
    """Return alternatives that YAML folded into one line."""
    return text.replace(" |", "|")
