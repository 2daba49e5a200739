"""What a text holds: a value, plain or encoded or in pieces; secrets by their form; patterns."""

from sandbox.detectors.decoded_layers import decoded
from sandbox.detectors.glob import matches
from sandbox.detectors.secret_formats import SECRET_PATTERNS, secrets
from sandbox.detectors.value_search import holding, holds

__all__ = ["SECRET_PATTERNS", "decoded", "holding", "holds", "matches", "secrets"]
