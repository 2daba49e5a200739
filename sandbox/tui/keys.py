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
    ("v V", "next, previous verdict"),
    ("e E", "next, previous call with effects"),
    ("m M", "next, previous message between agents"),
    ("s S", "next, previous call"),
    ("t T", "next, previous turn"),
    ("/ n N", "search in everything; next, previous match"),
    ("] [", "next, previous part of a long text"),
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
    ("d D", "next, previous difference"),
    ("v V s S", "next, previous verdict; call"),
    ("w", "the two events as one text with their differences, and back"),
    ("Enter Tab", "the events over the whole screen, and back; to another part"),
    ("y x", "copy what is seen; write it to a file"),
    ("L", "light or dark"),
    ("q Esc", "back"),
)
LABELS = (
    ("0 … 9", "say it: the value that stands behind the digit; stored at once"),
    ("i I", "the next, the previous question; a verdict's shows its event"),
    ("Backspace", "take back what you said"),
    ("w", "a note on what you said of the run, or of the verdict"),
    ("> <", "the next run that you have not labelled; the one before"),
    (". ,", "the next, the previous view: event, changed, since start, world"),
    ("B", "show what others say and the outcome, or no longer"),
    ("↑ ↓ j k Tab", "step; to the other parts of the screen"),
    ("v V e E s S", "next, previous verdict; call with effects; call"),
    ("/ n N", "search in everything; next, previous match"),
    ("] [", "next, previous part of a long text"),
    ("Space + - f a", "play; faster, slower; only some kinds; only one agent"),
    ("Enter", "the event over the whole screen, and back"),
    ("L y x", "light or dark; copy; write to a file"),
    ("q Esc", "stop; the next time goes on here"),
)
