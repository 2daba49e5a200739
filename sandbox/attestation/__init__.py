"""Evidence packs: runs with all that proves them, in one file that needs no store."""
