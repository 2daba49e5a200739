"""Exchange: traces from and for other programs, and evidence that proves itself without the store."""
