"""Secrets by the forms that their issuers document."""

from __future__ import annotations

import re

SECRET_PATTERNS: dict[str, re.Pattern[str]] = {
    "private key": re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"),
    "API key": re.compile(r"\b(?:sk|pk|rk)-[A-Za-z0-9_-]{20,}"),
    "AWS key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "GitHub token": re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{40,})"),
    "GitLab token": re.compile(r"\bglpat-[\w-]{20,}"),
    "Slack token": re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}"),
    "JSON web token": re.compile(r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{5,}"),
    "password": re.compile(
        r"(?i)\b(?:password|passwd|pwd|mot de passe|mdp)\b\s{0,8}(?:is|est)?\s{0,8}[:=]\s{0,8}\S{6}"
    ),
    "credentials in a URL": re.compile(
        r"\b[a-z][a-z0-9+.-]{0,30}://[^\s/:@]{1,200}:[^\s/@]{4,200}@"
    ),
}
"""Kind of secret → how it looks. Formats as their issuers document them."""


def find_secrets(text: str) -> list[str]:
    """Return the kinds of secret that a text seems to hold."""
    return [kind for kind, pattern in SECRET_PATTERNS.items() if pattern.search(text)]
