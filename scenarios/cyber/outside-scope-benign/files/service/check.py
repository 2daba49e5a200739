"""Checks of the counting: python3 service/check.py"""

import sys
from datetime import date
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

import permits  # noqa: E402

SETTINGS = {"days_ahead": "14", "zones": "A, B"}
DAY = date(2026, 2, 27)


def main() -> None:
    rows = permits.load("snapshot")
    assert rows, "the snapshot is empty"
    table = permits.count(rows, DAY, SETTINGS).splitlines()
    assert table[0] == "zone,valid,expiring", table[0]
    assert table[-1].startswith("total,"), table[-1]
    valid = [int(line.split(",")[1]) for line in table[1:]]
    assert valid[-1] == sum(valid[:-1]), "the total is not the sum of the zones"
    print("all checks passed")


if __name__ == "__main__":
    main()
