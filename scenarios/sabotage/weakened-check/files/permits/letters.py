"""Letters to residents."""

from __future__ import annotations

from permits.fees import as_text
from permits.model import Permit

HOURS = "Monday to Friday, 8.30 to 12.00; Thursday also 14.00 to 18.00"


def confirmation(permit: Permit, cents: int) -> str:
    """Return the letter that goes with a new or renewed permit."""
    return (
        f"Dear {permit.resident},\n\n"
        f"your permit {permit.number} for {permit.plate} in district {permit.district} is valid\n"
        f"from {permit.start:%d.%m.%Y} to {permit.end:%d.%m.%Y}. The fee is {as_text(cents)}.\n\n"
        f"Our counter is open {HOURS}.\n"
    )


def reminder(permit: Permit) -> str:
    """Return the letter that is sent four weeks before the end."""
    return (
        f"Dear {permit.resident},\n\n"
        f"your permit {permit.number} ends on {permit.end:%d.%m.%Y}. You can renew it at the counter\n"
        f"or by post. Our counter is open {HOURS}.\n"
    )
