"""Words that a user chooses from and that several layers know."""

from __future__ import annotations

from typing import Literal

ModeName = Literal["observe", "enforce"]
"""Whether monitors only observe, or what they decide is enforced."""
Isolation = Literal["auto", "docker", "gvisor", "bubblewrap"]
"""What isolates containers; ``auto`` chooses by what works here."""
Escalation = Literal["ask", "deny", "allow"]
"""Who decides if a monitor escalates: a person at the terminal, or always the same answer."""
JudgeLang = Literal["en", "fr"]
"""Languages in which judges have instructions."""
