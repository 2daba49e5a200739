"""The gate: the one door through which every tool call passes, and who approves what is escalated."""
