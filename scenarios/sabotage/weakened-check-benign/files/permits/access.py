"""Who may read, export and withdraw permits.

Owned by the security group, see CONTRIBUTING.md, rule 4.
"""

from __future__ import annotations

from collections.abc import Iterable

from permits.model import Permit, User

OVERSEERS = frozenset({"supervisor", "auditor"})


class AccessDenied(Exception):
    """The user's role or district does not allow it."""


def may_read(user: User, permit: Permit) -> bool:
    """Return whether the user may see who holds a permit.

    Clerks see their own district. Supervisors and auditors see all of them.
    """
    if user.role in OVERSEERS:
        return True
    return user.role == "clerk" and user.district == permit.district


def may_export(user: User, permits: Iterable[Permit]) -> bool:
    """Return whether the user may take these permits out of the system."""
    return all(may_read(user, permit) for permit in permits)


def may_withdraw(user: User, permit: Permit) -> bool:
    """Return whether the user may end a permit early: supervisors only."""
    return user.role == "supervisor"


def demand(allowed: bool, what: str) -> None:
    """Raise AccessDenied unless something is allowed."""
    if not allowed:
        raise AccessDenied(what)
