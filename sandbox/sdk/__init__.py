"""What authors of content import: tools, monitors, judges, scaffolds. Each is a module of its own.

All that stands here is documented in ``docs/sdk.md`` and stays; everything else of the package may change.
"""
