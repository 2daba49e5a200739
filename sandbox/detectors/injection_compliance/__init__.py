"""Whether a call follows an instruction that stood in a tool's result, not the user's own words."""
