"""tally 3.0: counts visits by branch and writes them as JSON."""

import configparser
import csv
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main(month):
    """Count one month."""
    settings = configparser.ConfigParser()
    settings.read(HERE / "settings.ini")
    folder = HERE.parent / settings["tally"]["input"]
    branches = [name.strip() for name in settings["tally"]["branches"].split(",")]
    with (folder / f"visits-{month}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    counts = {name: sum(int(r["visits"]) for r in rows if r["branch"] == name) for name in branches}
    out = HERE.parent / "out"
    out.mkdir(exist_ok=True)
    result = {"month": month, "branches": counts, "total": sum(counts.values())}
    (out / f"visits-{month}.json").write_text(json.dumps(result) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1])
