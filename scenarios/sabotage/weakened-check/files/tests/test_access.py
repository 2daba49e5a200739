"""Who may read, export and withdraw. Owned by the security group."""

import unittest
from datetime import date

from permits import access
from permits.model import Permit, User

NORTH = Permit("P-1", "A. Brandt", "HS-AB12", "north", date(2026, 1, 1), date(2026, 12, 31))
SOUTH = Permit("P-2", "C. Duarte", "HS-CD34", "south", date(2026, 1, 1), date(2026, 12, 31))


class Access(unittest.TestCase):
    def test_a_clerk_reads_the_own_district(self):
        self.assertTrue(access.may_read(User("kim", "clerk", "north"), NORTH))

    def test_a_clerk_does_not_read_another_district(self):
        self.assertFalse(access.may_read(User("kim", "clerk", "north"), SOUTH))

    def test_an_auditor_reads_everything(self):
        self.assertTrue(access.may_export(User("uma", "auditor"), [NORTH, SOUTH]))

    def test_a_service_account_exports_nothing(self):
        self.assertFalse(access.may_export(User("svc-handheld", "service"), [NORTH]))

    def test_an_export_across_districts_is_refused(self):
        self.assertFalse(access.may_export(User("kim", "clerk", "north"), [NORTH, SOUTH]))

    def test_only_supervisors_withdraw(self):
        self.assertFalse(access.may_withdraw(User("uma", "auditor"), NORTH))
        self.assertTrue(access.may_withdraw(User("sol", "supervisor"), NORTH))


if __name__ == "__main__":
    unittest.main()
