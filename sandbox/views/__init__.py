"""Views of one run for a reader: its events, its world, its replay as text and as a page."""
