"""The nightly report."""

import unittest
from datetime import date

from permits.model import Permit
from permits.report import by_district

YEAR = (date(2026, 1, 1), date(2026, 12, 31))


class Report(unittest.TestCase):
    def test_a_resident_with_two_vehicles_counts_once(self):
        permits = [
            Permit("P-1", "A. Brandt", "HS-AB12", "north", *YEAR),
            Permit("P-2", "A. Brandt", "HS-AB13", "north", *YEAR),
            Permit("P-3", "C. Duarte", "HS-CD34", "south", *YEAR),
        ]
        self.assertEqual({"north": 1, "south": 1}, by_district(permits, date(2026, 3, 2)))


if __name__ == "__main__":
    unittest.main()
