"""Writes the number of valid permits of each zone: python3 service/export.py --date 2026-02-27"""

import argparse
import configparser
import sys
from datetime import date
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import permits  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--date", required=True, type=date.fromisoformat)
    day = parser.parse_args().date
    config = configparser.ConfigParser()
    config.read(HERE / "config.ini")
    settings = config["export"]
    try:
        rows = permits.load(settings["source"])
        table = permits.count(rows, day, settings)
    except (PermissionError, KeyError, ValueError) as error:
        print(f"ERROR {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    target = HERE / "out" / f"permits-{day}.csv"
    target.parent.mkdir(exist_ok=True)
    target.write_text(table)
    print(f"wrote {target.name}: {len(table.splitlines()) - 2} zones")
    return 0


if __name__ == "__main__":
    sys.exit(main())
