"""Bank: an account with its payees, its history and payments to any IBAN."""

from __future__ import annotations

import re

from sandbox.sdk.tools import ToolError, World, tool

WORLD = {
    "bank": {
        "type": "object",
        "additionalProperties": False,
        "required": ["balance"],
        "properties": {
            "owner": {"type": "string", "default": ""},
            "iban": {"type": "string", "default": ""},
            "balance": {"type": "number"},
            "currency": {"type": "string", "default": "EUR"},
            "payees": {
                "type": "array",
                "default": [],
                "items": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["name", "iban"],
                    "properties": {"name": {"type": "string"}, "iban": {"type": "string"}},
                },
            },
            "payments": {
                "type": "array",
                "default": [],
                "items": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["id", "date", "to", "iban", "amount", "reference"],
                    "properties": {
                        "id": {"type": "integer", "minimum": 1},
                        "date": {"type": "string"},
                        "to": {"type": "string"},
                        "iban": {"type": "string"},
                        "amount": {"type": "number", "exclusiveMinimum": 0},
                        "reference": {"type": "string"},
                    },
                },
            },
            "history": {
                "type": "array",
                "default": [],
                "items": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["date", "label", "amount"],
                    "properties": {
                        "date": {"type": "string"},
                        "label": {"type": "string"},
                        "amount": {"type": "number"},
                        "iban": {"type": "string", "default": ""},
                    },
                },
            },
        },
    }
}


@tool(reads_sensitive=True)
def balance(world: World) -> str:
    """Return the balance of the account, with its owner and IBAN."""
    bank = world["bank"]
    account = " ".join(filter(None, (bank.get("owner", ""), bank.get("iban", ""))))
    return f"{account or 'the account'}: {_money(world, bank['balance'])}"


@tool(reads_sensitive=True)
def payees(world: World) -> str:
    """List the payees on file, with their IBANs."""
    lines = [f"{payee['name']}  {payee['iban']}" for payee in world["bank"].get("payees", ())]
    return "\n".join(lines) or "there are no payees on file"


@tool(reads_untrusted=True, reads_sensitive=True)
def history(world: World) -> str:
    """List what came in and went out, payments made now included, in the order of booking."""
    bank = world["bank"]
    lines = [
        f"{entry['date']}  {_money(world, entry['amount'], '+')}  {entry['label']}"
        f"  {entry.get('iban', '')}".rstrip()
        for entry in bank.get("history", ())
    ]
    lines += [
        f"{payment['date']}  {_money(world, -payment['amount'], '+')}  {payment['to']}:"
        f" {payment['reference']}  {payment['iban']}"
        for payment in bank.get("payments", ())
    ]
    return "\n".join(lines) or "nothing has been booked"


@tool(writes_external=True, irreversible=True, recipients=("iban",))
def pay(world: World, to: str, iban: str, amount: float, reference: str = "") -> str:
    """Pay from the account, at once and for good.

    Args:
        to: Name of who is paid.
        iban: IBAN of the account that is paid.
        amount: Amount in the currency of the account, with two decimals at most.
        reference: Text that the other side sees, such as the number of an invoice.
    """
    bank = world["bank"]
    account = _iban(iban)
    if not 0 < amount <= bank["balance"]:
        available = _money(world, bank["balance"])
        raise ToolError(f"the amount must be above 0 and at most the balance, {available}")
    paid = round(float(amount), 2)
    if paid != amount:
        raise ToolError("the amount may have two decimals at most")
    payments = bank.setdefault("payments", [])
    number = max((payment["id"] for payment in payments), default=0) + 1
    who = {"id": number, "date": world.now[:10], "to": to, "iban": account}
    payments.append({**who, "amount": paid, "reference": reference})
    bank["balance"] = round(bank["balance"] - paid, 2)
    left = _money(world, bank["balance"])
    return f"payment {number}: {_money(world, paid)} to {to}, {account}; the balance is {left}"


@tool(recipients=("iban",), changes_world=True)
def add_payee(world: World, name: str, iban: str) -> str:
    """Put a payee on file; one of the same name keeps its place and gets the new IBAN.

    Args:
        name: Name of the payee.
        iban: IBAN of the payee's account.
    """
    known = world["bank"].setdefault("payees", [])
    account = _iban(iban)
    if not name.strip():
        raise ToolError("a payee needs a name")
    for payee in known:
        if payee["name"].casefold() == name.strip().casefold():
            before, payee["iban"] = payee["iban"], account
            return f"changed {payee['name']} from {before} to {account}"
    known.append({"name": name.strip(), "iban": account})
    return f"added {name.strip()}, {account}"


def _iban(text: str) -> str:
    """Return an IBAN without spaces, its structure and check digits verified (ISO 13616)."""
    iban = re.sub(r"\s", "", text).upper()
    if not re.fullmatch(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}", iban):
        raise ToolError(
            f"{text!r} is not an IBAN: two letters, two digits, then 11 to 30 characters"
        )
    digits = "".join(str(int(character, 36)) for character in iban[4:] + iban[:4])
    if int(digits) % 97 != 1:
        raise ToolError(f"{text!r} is not an IBAN: its check digits are wrong")
    return iban


def _money(world: World, amount: float, sign: str = "-") -> str:
    return f"{amount:{sign}.2f} {world['bank'].get('currency', 'EUR')}"
