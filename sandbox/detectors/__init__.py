"""What a text holds: a value, plain or encoded or in pieces; secrets by their form; patterns."""

from sandbox.detectors.decoded_layers import decode_text
from sandbox.detectors.glob import matches
from sandbox.detectors.secret_formats import SECRET_PATTERNS, find_secrets
from sandbox.detectors.value_search import find_values, holds

__all__ = ["SECRET_PATTERNS", "decode_text", "find_secrets", "find_values", "holds", "matches"]
