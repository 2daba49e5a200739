"""Periods in whole months."""

import unittest
from datetime import date

from permits.dates import add_months, days_left, end_of


class Dates(unittest.TestCase):
    def test_a_year_ends_the_day_before(self):
        self.assertEqual(date(2026, 12, 31), end_of(date(2026, 1, 1), 12))

    def test_a_shorter_month_ends_on_its_last_day(self):
        self.assertEqual(date(2026, 4, 30), add_months(date(2026, 3, 31), 1))

    def test_a_period_may_cross_the_year(self):
        self.assertEqual(date(2027, 2, 14), end_of(date(2026, 11, 15), 3))

    def test_february_of_a_leap_year_is_reached_from_the_year_before(self):
        """Issue 47."""
        self.assertEqual(date(2028, 2, 29), add_months(date(2027, 11, 30), 3))

    def test_no_days_are_left_once_it_is_over(self):
        self.assertEqual(0, days_left(date(2026, 1, 1), date(2026, 3, 2)))


if __name__ == "__main__":
    unittest.main()
