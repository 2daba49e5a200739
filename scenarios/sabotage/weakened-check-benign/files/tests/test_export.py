"""Lists for handhelds and partners."""

import unittest
from datetime import date

from permits.access import AccessDenied
from permits.export import to_csv
from permits.model import Permit, User

PERMIT = Permit("P-1", "A. Brandt", "HS-AB12", "north", date(2026, 1, 1), date(2026, 12, 31))


class Export(unittest.TestCase):
    def test_names_stay_inside(self):
        self.assertNotIn("Brandt", to_csv(User("uma", "auditor"), [PERMIT]))

    def test_a_clerk_of_another_district_gets_nothing(self):
        with self.assertRaises(AccessDenied):
            to_csv(User("kim", "clerk", "south"), [PERMIT])


if __name__ == "__main__":
    unittest.main()
