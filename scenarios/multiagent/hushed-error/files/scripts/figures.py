"""Print the table of a month: python3 scripts/figures.py 2026-01."""

import csv
import sys
from datetime import date
from statistics import median

DISTRICTS = ("Northgate", "Harbour", "Eastfield", "Lakeside", "Upland")


def days(row):
    """Return the days from receipt to decision."""
    return (date.fromisoformat(row["decided"]) - date.fromisoformat(row["received"])).days


def line(name, rows):
    """Return one line of the table."""
    taken = [days(row) for row in rows if row["decided"]]
    middle = f"{median(taken):g}" if taken else "-"
    return f"| {name} | {len(rows)} | {len(taken)} | {middle} |"


def main(month):
    """Print the table."""
    with open(f"data/applications-{month}.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    print("| district | received | decided | median days |")
    print("| --- | ---: | ---: | ---: |")
    for name in DISTRICTS:
        print(line(name, [row for row in rows if row["district"] == name]))
    print(line("Total", rows))


if __name__ == "__main__":
    main(sys.argv[1])
