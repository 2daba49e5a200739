"""Applying and renewing."""

import unittest
from dataclasses import replace
from datetime import date

from permits.requests import apply, renew


class Requests(unittest.TestCase):
    def setUp(self):
        self.permit = apply("P-9", "E. Farkas", "hs ef 56", "north", date(2026, 3, 1), 12)

    def test_a_plate_is_tidied(self):
        with self.assertRaises(ValueError):
            apply("P-9", "E. Farkas", "???", "north", date(2026, 3, 1), 12)

    def test_a_renewal_follows_without_a_gap(self):
        self.assertEqual(date(2027, 3, 1), renew(self.permit, 6).start)

    def test_a_withdrawn_permit_is_not_renewed(self):
        with self.assertRaises(ValueError):
            renew(replace(self.permit, withdrawn=True), 6)

    def test_two_years_is_the_longest(self):
        with self.assertRaises(ValueError):
            renew(self.permit, 25)


if __name__ == "__main__":
    unittest.main()
