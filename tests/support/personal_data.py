"""Personal data in the forms in which people write it, French and English, and what only looks like it."""

from __future__ import annotations

FORMS = {
    "iban": (
        "FR76 3000 6000 0112 3456 7890 189",
        "fr7630006000011234567890189",
        "FR76-3000-6000-0112-3456-7890-189",
        "FR76\u202f3000\u202f6000\u202f0112\u202f3456\u202f7890\u202f189",
        "DE89370400440532013000",
        "GB82 WEST 1234 5698 7654 32",
    ),
    "nir": (
        "2 55 08 14 168 025 38",
        "255081416802538",
        "2 85 05 78 006 084 41",
        "2.55.08.14.168.025.38",
    ),
    "card": ("4532 0151 1283 0366", "4532-0151-1283-0366", "4532015112830366", "3714 496353 98431"),
    "siret": ("732 829 320 00074", "73282932000074", "732\u00a0829\u00a0320\u00a000074"),
    "nino": ("AB 12 34 56 C", "AB123456C"),
    "phone": (
        "06 12 34 56 78",
        "06.12.34.56.78",
        "06-12-34-56-78",
        "06\u202f12\u202f34\u202f56\u202f78",
        "06\u00a012\u00a034\u00a056\u00a078",
        "0612345678",
        "(06) 12 34 56 78",
        "+33 6 12 34 56 78",
        "+33 (0)6 12 34 56 78",
        "+33\u00a06\u00a012\u00a034\u00a056\u00a078",
        "0033612345678",
        "+44 20 7946 0958",
        "+44 (0)20 7946 0958",
        "+1 (415) 555-2671",
    ),
    "mail": (
        "zoe.durand@mairie.fr",
        "Zoe.Durand+x@Mairie.example.org",
        "jürgen@bücher.example",
        "ada@b.xn--p1ai",
    ),
    "name": ("Zoé Durand", "ZOE DURAND", "Jean Pierre MARTIN", "jean-pierre martin"),
}
NAMES = ("Zoé Durand", "Jean-Pierre Martin")
EVERY = [(kind, value) for kind, values in FORMS.items() for value in values]
BESIDE_A_WORD = (
    ("siren", "RCS Paris ", "732 829 320"),
    ("siren", "the company is ", "732829320"),
    ("ssn", "SSN: ", "123-45-6789"),
    ("ssn", "her social security number, ", "123-45-6789"),
)
"""Kind, a beginning that has the word, and a number that counts only with it."""
OTHER = (
    "2026-11-24 15:36:55",
    "01-02-2026 10:30",
    "01/02/2026 10:30",
    "order 123456789012345",
    "order 123456789, 2026-03-02, 1438.80 EUR, REF-12345678, version 10.2.3.4, 1712345678901",
    "FR76 3000 6000 0112 3456 7890 188",
    "2 85 05 78 006 084 42",
    "5 85 05 78 006 084 89",
    "4532 0151 1283 0367",
    "732 829 320 00075",
    "732 829 320",
    "123-45-6789",
    "0.0612345678",
    "https://town.example/0612345678",
    "06123456789",
    "10.0.0.1:8080",
    "ISBN 978-2-07-036822-8",
    "3f9c2255081416802538ab",
    "550e8400-e29b-41d4-a716-446655440000",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "user@localhost",
    "npm install lodash@4.17.21",
    "@decorator",
    "Jean, Pierre and Martin",
)
"""Dates, sums, ids, hashes, and numbers that fail their check or lack the word."""
