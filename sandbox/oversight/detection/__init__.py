"""What a text holds: a value, plain or encoded or in pieces; secrets by their form; patterns."""

from sandbox.oversight.detection.layers import decoded
from sandbox.oversight.detection.pattern import matches
from sandbox.oversight.detection.search import holding, holds
from sandbox.oversight.detection.secret import SECRET_PATTERNS, secrets

__all__ = ["SECRET_PATTERNS", "decoded", "holding", "holds", "matches", "secrets"]
