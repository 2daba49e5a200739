"""Labels of tools that come without any, inferred from names, descriptions and argument names.

Imported runs tell what was called, not what the calls can do. What a tool does is mostly in its
verb, what it touches in its nouns, and who it reaches in its arguments: ``send_invoice(to, file)``. Words
and rules are in ``tool_lexicon.yaml``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from importlib.resources import files
from itertools import pairwise
from typing import Annotated, NamedTuple

import yaml
from pydantic import BaseModel, BeforeValidator

from sandbox.scenario.toolkits import FLAGS

Words = Annotated[frozenset[str], BeforeValidator(str.split)]
_ACTS = frozenset(FLAGS[2:])
_CHANGES = frozenset({"irreversible", "changes_world"})
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SEPARATOR = re.compile(r"[^0-9A-Za-zÀ-ÿ]+")
_SERVER = re.compile(r"^.*(__|[./:])(?=[^./:]*[A-Za-z])", re.DOTALL)
"""What stands before a function's own name: a server, a toolkit."""
_PERMANENT = re.compile(
    r"irreversibl|cannot be undone|can't be undone|permanent(ly)?\b|irréversible", re.IGNORECASE
)
_WORD = re.compile(r"[^\W\d_]+")
_ENDINGS = (("s", ""), ("es", ""), ("ies", "y"), ("ing", ""), ("ing", "e"))


@dataclass(frozen=True)
class ToolLabels:
    """What is inferred of one tool; the fields of :class:`sandbox.scenario.toolkits.Tool`."""

    labels: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    shell: tuple[str, ...] = ()
    python: tuple[str, ...] = ()


class _Rule(BaseModel, extra="forbid"):
    """Labels that are added, or that take the place of all others, under conditions."""

    name: tuple[str, ...] = ()
    first: str = ""
    last: str = ""
    only: tuple[str, str] | None = None
    arguments: tuple[str, ...] = ()
    permanent: bool = False
    any_of: frozenset[str] = frozenset()
    none_of: frozenset[str] = frozenset()
    add: frozenset[str] = frozenset()
    replace: str = ""


class _Lexicon(BaseModel, extra="forbid"):
    """What words do."""

    labels: dict[str, frozenset[str]]
    verbs: dict[str, Words]
    nouns: dict[str, Words]
    phrases: dict[str, frozenset[str]]
    words: dict[str, Words]
    rules: list[_Rule]
    rules_with_recipients: list[_Rule]

    @cached_property
    def by_verb(self) -> dict[str, frozenset[str]]:
        """Verb or phrase → labels."""
        return self._labels_by_word(self.verbs) | self._labels_by_word(self.phrases)

    @cached_property
    def by_noun(self) -> dict[str, frozenset[str]]:
        """Noun → labels."""
        return self._labels_by_word(self.nouns)

    def _labels_by_word(self, kind: dict[str, frozenset[str]]) -> dict[str, frozenset[str]]:
        return {word: self.labels[does] for does, words in kind.items() for word in words}


@cache
def _lexicon() -> _Lexicon:
    text = files("sandbox.interop.importers").joinpath("tool_lexicon.yaml").read_text("utf-8")
    return _Lexicon.model_validate(yaml.safe_load(text))


class _Tool(NamedTuple):
    """A tool as words."""

    words: tuple[str, ...]
    own: tuple[str, ...]
    """Without those of its server or toolkit."""
    description: str
    arguments: dict[str, tuple[str, ...]]


def infer_labels(name: str, description: str, arguments: Iterable[str]) -> ToolLabels:
    """Return the labels of a tool.

    Args:
        name: As the model calls it; a toolkit or a server may stand before it.
        description: What the model reads about it; empty if that is not known.
        arguments: Names of its arguments.
    """
    return _infer(name, description[:2000], tuple(arguments))


@lru_cache(maxsize=4096)
def _infer(name: str, description: str, arguments: tuple[str, ...]) -> ToolLabels:
    lexicon, words = _lexicon(), _lexicon().words
    own = split(_SERVER.sub("", name))
    tool = _Tool(split(name), own, description, {each: split(each) for each in arguments})
    by_verb = _by_verb(tool)
    interprets = by_verb >= lexicon.labels["runs"]
    labels = _apply(lexicon.rules, tool, by_verb)
    acts = labels & _ACTS
    # Whoever reads a URL tells its host what stands in it.
    recipients = tuple(
        each
        for each, parts in tool.arguments.items()
        if (_is_recipient(parts, labels) if acts else words["url"] & {*parts})
    )
    if acts and recipients:
        labels = _apply(lexicon.rules_with_recipients, tool, labels)
    writes = labels & _CHANGES and "writes_external" not in labels
    shell = _having(tool, "shell") if interprets else ()
    return ToolLabels(
        tuple(label for label in FLAGS if label in labels),
        recipients,
        tuple(each for each in arguments if writes and _is_path(each, tool)),
        shell,
        tuple(each for each in _having(tool, "code") if interprets and each not in shell),
    )


def _having(tool: _Tool, words: str) -> tuple[str, ...]:
    """Return the arguments that have a word of a list."""
    return tuple(
        each for each, parts in tool.arguments.items() if _lexicon().words[words] & {*parts}
    )


def _apply(rules: Iterable[_Rule], tool: _Tool, labels: frozenset[str]) -> frozenset[str]:
    for rule in rules:
        if _holds(rule, tool, labels):
            labels = (_lexicon().labels[rule.replace] if rule.replace else labels) | rule.add
    return labels


def _holds(rule: _Rule, tool: _Tool, labels: frozenset[str]) -> bool:
    lists, words = _lexicon().words, frozenset(tool.words)
    conditions = (
        all(words & lists[name] for name in rule.name),
        not rule.first or lists[rule.first] & {*tool.words[:1]},
        not rule.last or lists[rule.last] & {*tool.words[-1:]},
        all(_having(tool, name) for name in rule.arguments),
        rule.only is None
        or (
            words <= lists[rule.only[0]]
            and all(lists[rule.only[1]].issuperset(parts) for parts in tool.arguments.values())
        ),
        not rule.permanent or _PERMANENT.search(tool.description),
        not rule.any_of or labels & rule.any_of,
        not labels & rule.none_of,
    )
    return all(conditions)


def split(name: str) -> tuple[str, ...]:
    """Return the words of a name in lower case: ``GmailSendEmail``, ``gmail.send_email`` alike."""
    spaced = _CAMEL.sub(" ", name[:300])
    return tuple(_SEPARATOR.sub(" ", spaced).lower().split())


def _by_verb(tool: _Tool) -> frozenset[str]:
    """Return the labels of all verbs of a name, else of the first verb of the description."""
    verbs = [
        labels for part in _parts(tool.own or tool.words) if (labels := _verb(part)) is not None
    ]
    return frozenset().union(*verbs) if verbs else _described(tool.description)


def _parts(words: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return the names that stand in one: ``search_and_replace`` does both."""
    ends = [i for i, word in enumerate(words) if word in ("and", "or", "then")]
    return [words[start + 1 : end] for start, end in pairwise((-1, *ends, len(words)))]


def _verb(words: tuple[str, ...]) -> frozenset[str] | None:
    """Return what the verb of a name does, or None if there is none."""
    lexicon = _lexicon()
    queries = lexicon.words["queries"]
    for word, following in pairwise((*words, "")):
        verb = word if word not in queries or word == words[0] else ""
        labels = lexicon.by_verb.get(f"{word} {following}", lexicon.by_verb.get(verb))
        if labels is not None:
            return labels
    if queries & {*words[-1:]}:
        return lexicon.labels["reads"]
    nouns = [word for word in (*words[:1], *words[-1:]) if word in lexicon.by_noun]
    return lexicon.by_noun[nouns[0]] if nouns else None


def _described(description: str) -> frozenset[str]:
    """Return what the first verb of a description does; reading, if nothing says otherwise."""
    lexicon = _lexicon()
    for word in _WORD.findall(description.lower())[:12]:
        for stem in (word, *(word.removesuffix(end) + new for end, new in _ENDINGS)):
            if stem in lexicon.by_verb:
                return lexicon.by_verb[stem]
    return lexicon.labels["reads"]


def _is_recipient(parts: tuple[str, ...], labels: frozenset[str]) -> bool:
    words, own = _lexicon().words, frozenset(parts)
    if own & words["senders"] or words["content"] & {*parts[-1:]}:
        return False
    if own & words["mails"] and {*parts[-1:]} & {"id", "ids"}:
        return False  # the id of a mail is no address
    if "irreversible" in labels and own & words["sellers"]:
        return True
    if len(parts) > 1 and parts[0] == "to" and not own - {"to"} & words["recipients"]:
        return parts[-1] in ("id", "name", "number")
    return bool(own & words["recipients"])


def _is_path(argument: str, tool: _Tool) -> bool:
    words, own = _lexicon().words, frozenset(tool.arguments[argument])
    if own & {"id", "ids", "type", "size", "count"}:
        return False
    files = any(
        {*parts} & (words["paths"] | {"src", "source"}) for parts in tool.arguments.values()
    )
    return bool(own & words["paths"]) or bool(files and own & words["destinations"])
