"""Mail: the mailbox that the agent looks after, open to anyone who writes to it."""

from __future__ import annotations

import os

from sandbox.sdk.tools import ToolError, World, best_matches, tool

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is slow to import, and the guest does not need it
    from collections.abc import Iterable, Sequence
    from typing import TypedDict

    Attachment = TypedDict("Attachment", {"name": str, "text": str})  # noqa: UP013
    Message = TypedDict(
        "Message",
        {
            "id": int,
            "folder": str,
            "from": str,
            "to": Sequence[str],
            "cc": Sequence[str],
            "date": str,
            "subject": str,
            "body": str,
            "read": bool,
            "attachments": Sequence[Attachment],
        },
        total=False,
    )

WORLD = {
    "mail": {
        "type": "object",
        "additionalProperties": False,
        "required": ["address", "messages"],
        "properties": {
            "address": {"type": "string"},
            "owner": {"type": "string", "default": ""},
            "messages": {
                "type": "array",
                "items": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["id", "from", "subject", "body"],
                    "properties": {
                        "id": {"type": "integer", "minimum": 1},
                        "folder": {"type": "string", "default": "inbox"},
                        "from": {"type": "string"},
                        "to": {"type": "array", "items": {"type": "string"}, "default": []},
                        "cc": {"type": "array", "items": {"type": "string"}, "default": []},
                        "date": {"type": "string", "default": ""},
                        "subject": {"type": "string"},
                        "body": {"type": "string"},
                        "read": {"type": "boolean", "default": False},
                        "attachments": {
                            "type": "array",
                            "default": [],
                            "items": {
                                "type": "object",
                                "additionalProperties": False,
                                "required": ["name", "text"],
                                "properties": {
                                    "name": {"type": "string"},
                                    "text": {"type": "string"},
                                },
                            },
                        },
                    },
                },
            },
        },
    }
}

_ATTACHMENT_LIMIT = 256 * 1024
_LIMIT = 50


@tool(reads_untrusted=True, reads_sensitive=True)
def list(world: World, folder: str = "inbox") -> str:
    """List the messages of a folder: number, date, sender, subject.

    Args:
        folder: Name of the folder, such as inbox or sent.
    """
    messages = world["mail"]["messages"]
    folders = sorted({"inbox", "sent", *(message["folder"] for message in messages)})
    if folder not in folders:
        raise ToolError(f"there is no folder {folder!r}; there are: {', '.join(folders)}")
    chosen = [message for message in messages if message["folder"] == folder]
    return "\n".join(map(_line, chosen)) or f"{folder} is empty"


@tool(reads_untrusted=True, reads_sensitive=True)
def search(world: World, query: str) -> str:
    """Find messages of all folders by words of their sender, subject, text or attachments.

    Args:
        query: Words to look for; messages that hold most of them are listed.
    """
    messages = world["mail"]["messages"]
    found = best_matches(query, [_whole(message) for message in messages])[:_LIMIT]
    return "\n".join(_line(messages[index]) for index in found) or f"no message holds {query!r}"


@tool(reads_untrusted=True, reads_sensitive=True)
def read(world: World, id: int) -> str:
    """Read a message with its attachments; it counts as read from then on.

    Args:
        id: Number of the message.
    """
    message = _message(world, id)
    message["read"] = True
    return _whole(message)


@tool(writes_external=True, irreversible=True, recipients=("to", "cc"))
def send(
    world: World,
    to: list[str],  # type: ignore[valid-type]  # mypy takes it for the tool of that name
    subject: str,
    body: str,
    cc: list[str] | None = None,  # type: ignore[valid-type]
    attachments: list[str] | None = None,  # type: ignore[valid-type]
) -> str:
    """Send a message.

    Args:
        to: Addresses of the recipients.
        subject: The subject line.
        body: The text.
        cc: Addresses of those who get a copy.
        attachments: Paths of text files to attach, relative to the agent's folder.
    """
    paths: Iterable[str] = attachments or ()
    files = [_attachment(world, path) for path in paths]
    return _send(world, _addresses(to), _addresses(cc or ()), subject, body, files)


@tool(writes_external=True, irreversible=True, recipients=("to",))
def forward(
    world: World,
    id: int,
    to: list[str],  # type: ignore[valid-type]
    note: str = "",
) -> str:
    """Send a message of the mailbox on to others, with its attachments.

    Args:
        id: Number of the message.
        to: Addresses of the recipients.
        note: Text to put before the message.
    """
    message = _message(world, id)
    head = "".join(
        f"{k.title()}: {message[k]}\n" for k in ("from", "date", "subject") if k in message
    )
    body = f"{note}\n\n---------- Forwarded message ----------\n{head}\n{message['body']}".lstrip()
    files = [item.copy() for item in message.get("attachments", ())]
    return _send(world, _addresses(to), [], f"Fwd: {message['subject']}", body, files)


@tool(irreversible=True)
def delete(world: World, id: int) -> str:
    """Delete a message for good.

    Args:
        id: Number of the message.
    """
    world["mail"]["messages"].remove(_message(world, id))
    return f"message {id} is deleted"


def _message(world: World, number: int) -> Message:
    messages: Sequence[Message] = world["mail"]["messages"]
    for message in messages:
        if message["id"] == number:
            return message
    known = ", ".join(str(message["id"]) for message in messages[:_LIMIT])
    raise ToolError(f"there is no message {number}; there are: {known or 'none'}")


def _send(
    world: World,
    to: Sequence[str],
    cc: Sequence[str],
    subject: str,
    body: str,
    files: Sequence[Attachment],
) -> str:
    mail = world["mail"]
    if not to:
        raise ToolError("a message needs at least one recipient")
    number = max((message["id"] for message in mail["messages"]), default=0) + 1
    about = {"id": number, "folder": "sent", "from": mail["address"], "to": to, "cc": cc}
    text = {"subject": subject, "body": body, "attachments": files}
    mail["messages"].append({**about, "date": world.now, **text, "read": True})
    return f"sent as message {number} to {', '.join([*to, *cc])}"


def _addresses(texts: Iterable[str]) -> Sequence[str]:
    addresses = [address.strip() for address in texts]
    for address in addresses:
        name, _, domain = address.partition("@")
        if not name or "." not in domain or set(address) & set(" ,;\n\t<>"):
            raise ToolError(f"{address!r} is not a mail address such as name@organisation.example")
    return addresses


def _attachment(world: World, path: str) -> Attachment:
    try:
        handle = os.open(world.path(path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            data = file.read(_ATTACHMENT_LIMIT + 1) or b""  # None: a pipe with nothing in it
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a valid path"
        raise ToolError(f"cannot attach {path!r}: {reason}") from None
    if len(data) > _ATTACHMENT_LIMIT:
        raise ToolError(f"cannot attach {path!r}: more than {_ATTACHMENT_LIMIT} bytes")
    return {"name": path.rpartition("/")[2], "text": data.decode("utf-8", "replace")}


def _line(message: Message) -> str:
    marks = ("" if message.get("read") else "  [unread]") + "  [attachment]" * bool(
        message.get("attachments")
    )
    about = f"{message['id']}  {message.get('date', '')}  {message['folder']}"
    who = f"to {', '.join(message['to'])}" if message["folder"] == "sent" else message["from"]
    return f"{about}  {who}  {message['subject']}{marks}"


def _whole(message: Message) -> str:
    lines = [f"From: {message['from']}", f"To: {', '.join(message.get('to', ()))}"]
    lines += [f"Cc: {', '.join(message['cc'])}"] if message.get("cc") else []
    lines += [f"Date: {message.get('date', '')}", f"Subject: {message['subject']}"]
    lines += ["", message["body"].rstrip()]
    for item in message.get("attachments", ()):
        lines += ["", f"--- attachment: {item['name']} ---", item["text"].rstrip()]
    return "\n".join(lines)
