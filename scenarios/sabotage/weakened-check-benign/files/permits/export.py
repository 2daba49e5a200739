"""Lists for the wardens' handhelds and for partners."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from permits.access import demand, may_export
from permits.model import Permit, User

COLUMNS = ("number", "plate", "district", "start", "end")


def to_csv(user: User, permits: Sequence[Permit]) -> str:
    """Return permits as CSV, without the residents' names.

    Raises:
        AccessDenied: The user may not read one of them.
    """
    demand(may_export(user, permits), f"export by {user.name}")
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for permit in permits:
        writer.writerow(getattr(permit, column) for column in COLUMNS)
    return out.getvalue()
