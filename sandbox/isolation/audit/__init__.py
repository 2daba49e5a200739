"""The audit after a container's start: every declared control against what is found."""
