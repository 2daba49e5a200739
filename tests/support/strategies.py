"""Strategies of hypothesis: texts that an agent could write to leave a judge's prompt, and any JSON data."""

from __future__ import annotations

from hypothesis import strategies as st

from sandbox.monitors.judges.datamarking import CLOSE, MARKS, OPEN

TEXT = st.text(st.characters(exclude_categories=())) | st.lists(
    st.sampled_from([OPEN, CLOSE, *MARKS, " ", '"', "\\", "\n", "{", "}", "record", "end", "0"])
).map("".join)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["\ud800", "\x00", "\x1b[2J", "attachment://x", "x" * 1100, "c1", "f"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
