"""Strategies of hypothesis: texts that an agent could write to leave a judge's prompt."""

from __future__ import annotations

from hypothesis import strategies as st

from sandbox.monitors.judges.datamarking import CLOSE, MARKS, OPEN

TEXT = st.text(st.characters(exclude_categories=())) | st.lists(
    st.sampled_from([OPEN, CLOSE, *MARKS, " ", '"', "\\", "\n", "{", "}", "record", "end", "0"])
).map("".join)
