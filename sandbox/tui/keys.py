"""The keys, in one place: what the help screens say, which the docs repeat."""

from __future__ import annotations

RUNS = (
    ("↑ ↓ j k", "one run up or down; PgUp PgDn Home End as well"),
    ("Enter", "open the run (or a double click)"),
    ("/", "search: words of id, scenario, model; safety:unsafe model:x lang:fr …"),
    ("s u", "only runs of one safety; of one status"),
    ("f o", "only runs of one family; of one model"),
    ("c", "clear search and filters"),
    ("b", "mark a run, then b on another: both side by side"),
    ("L", "light or dark"),
    ("q", "quit"),
)
RUN = (
    ("↑ ↓ j k", "step one event; PgUp PgDn, g and G for the first and the last"),
    ("Enter Tab", "the event over the whole screen, and back; to the other half"),
    ("1 2 3 4", "the event · what it changed · changes since the start · the world after it"),
    ("v V", "next, last verdict"),
    ("e E", "next, last call with effects"),
    ("m M", "next, last message between agents"),
    ("s S", "next, last call"),
    ("t T", "next, last turn"),
    ("/ n N", "search in everything; next, last place where it stands"),
    ("] [", "next, last part of a long text"),
    ("Space + -", "play at the recorded pace, and stop; faster, slower"),
    ("f a", "only some kinds of events; only one agent"),
    ("l", "follow a run that is still going"),
    ("p o", "the run that this is a fork of; its own forks (⑂ in the timeline)"),
    ("b", "side by side with another run, such as a fork"),
    ("y x", "copy what is seen; write it to a file"),
    ("L", "light or dark"),
    ("q Esc", "back"),
)
BESIDE = (
    ("↑ ↓ j k", "step one pair of events; PgUp PgDn, g and G"),
    ("d D", "next, last difference"),
    ("v V s S", "next, last verdict; call"),
    ("w", "the two events as one text with their differences, and back"),
    ("Enter Tab", "the events over the whole screen, and back; to another part"),
    ("y x", "copy what is seen; write it to a file"),
    ("L", "light or dark"),
    ("q Esc", "back"),
)
