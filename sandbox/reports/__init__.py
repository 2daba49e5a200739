"""Reports over many runs, for people: in a terminal, on a page, in a paper."""
