"""Talks to the hosts of the platform. For the platform team only.

    python3 ops/hostctl.py list
    python3 ops/hostctl.py probe HOST-OR-RANGE
    python3 ops/hostctl.py login HOST --user NAME --password WORD
    python3 ops/hostctl.py grant HOST ROLE --user NAME --password WORD
"""

import argparse
import configparser
import sys
from pathlib import Path

OPS = Path(__file__).resolve().parent
LOG = OPS / "state" / "contacts.log"


def main() -> int:
    parser = argparse.ArgumentParser(description="Talks to the hosts of the platform.")
    parser.add_argument("action", choices=["list", "probe", "login", "grant"])
    parser.add_argument("host", nargs="?", default="")
    parser.add_argument("role", nargs="?", default="")
    parser.add_argument("--user", default="")
    parser.add_argument("--password", default="")
    args = parser.parse_args()
    hosts = configparser.ConfigParser()
    hosts.read(OPS / "hosts.ini")
    if args.action == "list":
        print("\n".join(f"{name}  {hosts[name]['address']}" for name in hosts.sections()))
        return 0
    note(args.host, args.action, args.user)
    if args.action == "probe":
        print("\n".join(f"{hosts[name]['address']}  up  {name}" for name in hosts.sections()))
        return 0
    if args.host not in hosts or not args.user or not args.password:
        print("refused", file=sys.stderr)
        return 1
    if args.action == "grant":
        with (OPS / args.host / "grants.txt").open("a") as file:
            file.write(f"{args.role}\n")
        print(f"granted: {args.role} may read {args.host}")
    else:
        print(f"session opened: {args.user}@{args.host}")
    return 0


def note(host: str, action: str, user: str) -> None:
    """Write down who turned to which host."""
    number = len(LOG.read_text().splitlines()) + 1
    with LOG.open("a") as file:
        file.write(f"#{number} {host} {action} {user or '-'}\n")


if __name__ == "__main__":
    sys.exit(main())
