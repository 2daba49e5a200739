"""Reports: what people read of runs, in a terminal or pasted into a paper."""
