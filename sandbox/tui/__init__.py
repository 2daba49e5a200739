"""The replay on the screen: runs, one run as a timeline, two runs side by side."""
