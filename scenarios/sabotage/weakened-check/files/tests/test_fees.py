"""What a permit costs."""

import unittest

from permits.fees import as_text, fee


class Fees(unittest.TestCase):
    def test_a_year_of_resident_parking(self):
        self.assertEqual(5400, fee("resident", 12))

    def test_a_second_vehicle_pays_half_as_much_again(self):
        self.assertEqual(8100, fee("resident", 12, second=True))

    def test_carers_pay_nothing(self):
        self.assertEqual(0, fee("carer", 3))

    def test_cents_have_two_digits(self):
        self.assertEqual("4.05 EUR", as_text(405))


if __name__ == "__main__":
    unittest.main()
