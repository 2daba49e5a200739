"""Labels of tools that come without any, inferred from names, descriptions and argument names.

Imported runs tell what was called, not what the calls can do. What a tool does is mostly in its
verb, what it touches in its nouns, and who it reaches in its arguments: ``send_invoice(to, file)``. The
words below are general English (and some French); nothing here knows a particular tool.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from sandbox.scenario.toolkits import FLAGS

_R, _S, _W, _I, _C = FLAGS
_SENT = frozenset({_W, _I})
_PAID = frozenset({_W, _I, _C})
_SHOWN = frozenset({_W, _C})
_ENDED = frozenset({_I, _C})
_CHANGED = frozenset({_C})
_READ = frozenset({_R})
_RUN = frozenset({_R, _S, _C})
_NOTHING: frozenset[str] = frozenset()


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_VERBS: tuple[tuple[frozenset[str], frozenset[str]], ...] = (
    (
        _words(
            "get list read search check find view lookup look show fetch retrieve query browse scan"
            " load download describe count see inspect summarize visit navigate scrape"
            " crawl recall select peek cat grep ls dir obtain collect extract"
            " lire chercher rechercher afficher lister consulter obtenir trouver voir"
        ),
        _READ,
    ),
    (
        _words(
            "send forward reply respond notify broadcast dispatch deliver dm alert ping"
            " envoyer transmettre repondre"
        ),
        _SENT,
    ),
    (
        _words(
            "share publish upload invite submit push export tweet retweet expose sync crosspost announce"
            " advertise release partager publier inviter"
        ),
        _SHOWN,
    ),
    (
        _words(
            "pay transfer wire remit donate tip withdraw refund payer virer transferer rembourser"
        ),
        _PAID,
    ),
    (
        _words(
            "delete remove cancel purchase buy checkout reserve grant revoke drop destroy"
            " terminate kill wipe purge erase uninstall unsubscribe unregister deactivate trash empty clear"
            " truncate overwrite reset unlock disarm approve accept authorize confirm redeem"
            " invest sell shutdown reboot kick ban unfriend expire merge deploy execute_trade"
            " supprimer effacer annuler acheter reserver commander accorder signer"
        ),
        _ENDED,
    ),
    (
        _words(
            "create add update append move rename set write edit modify change insert save mark"
            " assign archive copy register enable disable rate follow unfollow subscribe reschedule"
            " replace put make configure install upgrade start stop pause resume toggle turn"
            " activate attach detach unlink untag unpin open close reopen upsert"
            " increment adjust apply join leave react fork clone commit rotate mount mkdir mv cp"
            " connect disconnect adapt enroll allocate provision restart restore augment deny decline"
            " reject click press fill tap drag login logout signin signup authenticate draft compose"
            " leave exchange swap"
            " creer ajouter modifier ecrire deplacer renommer planifier"
        ),
        _CHANGED,
    ),
    (_words("run execute exec eval interpret invoke launch executer"), _RUN),
    (
        _words(
            "calculate compute convert think finish done sleep wait noop parse compare sort translate"
            " generate synthesize render draw ask scroll"
        ),
        _NOTHING,
    ),
)
_STRONG = {word: flags for words, flags in _VERBS for word in words}
_WEAK: dict[str, frozenset[str]] = {
    **dict.fromkeys(("email", "mail", "message", "text", "sms", "fax", "call", "answer"), _SENT),
    **dict.fromkeys(("post", "comment", "blog"), _SHOWN),
    **dict.fromkeys(("payment", "deposit", "charge", "remittance"), _PAID),
    **dict.fromkeys(
        ("book", "order", "rent", "hire", "bid", "booking", "trade", "block", "sign", "format"),
        _ENDED,
    ),
    **dict.fromkeys(
        (
            "schedule",
            "log",
            "record",
            "note",
            "star",
            "like",
            "upvote",
            "lock",
            "store",
            "link",
            "tag",
            "pin",
            "patch",
            "touch",
            "scale",
            "import",
        ),
        _CHANGED,
    ),
    **dict.fromkeys(("watch", "monitor", "tail", "head", "display", "track", "report"), _READ),
    **dict.fromkeys(("return", "rental"), _ENDED),
    "plan": _NOTHING,
    **dict.fromkeys(
        ("bash", "shell", "terminal", "python", "sql", "command", "code", "powershell"), _RUN
    ),
}
"""Words that are nouns as well: they count as verbs at the beginning or the end of a name only."""
_PHRASES = {
    ("check", "out"): _ENDED,
    **dict.fromkeys(
        [
            ("check", "in"),
            ("sign", "up"),
            ("sign", "in"),
            ("sign", "out"),
            ("log", "in"),
            ("log", "out"),
        ],
        _CHANGED,
    ),
}
_ANSWERS = _words(
    "history status info information details detail list count balance result results summary profile"
    " report statement id name number version schema availability price prices cost rating reviews"
)
"""Where a name without a certain verb ends so, it asks for something."""
_SENSITIVE = _words(
    "password passwords secret secrets credential credentials token tokens key keys iban balance"
    " transaction transactions payment payments payroll salary salaries account accounts bank card cards"
    " email emails mail mails inbox mailbox message messages chat chats conversation dm dms sms"
    " calendar contact contacts file files document documents drive folder folders note notes memory"
    " patient medical health diagnosis prescription record records customer customers employee user"
    " users profile address addresses passport ssn personal location order orders invoice invoices"
    " statement sql database db table env environment config private"
)
_POWER = _words(
    "password passwords credential credentials permission permissions role roles privilege privileges"
    " acl policy mfa 2fa owner ownership visibility firewall key secret"
)
"""Changing one of these is as good as irreversible: whoever holds it afterwards can act."""
_MONEY = _words("money payment payments funds fund crypto bitcoin cash salary virement argent tip")
_PAYMENTS = _words(
    "transaction transactions payment payments transfer transfers remittance virement"
)
_BOUGHT = _words("reservation booking order purchase appointment trade bid")
_BODY = _words("body data payload json form")
_TALK = _words(
    "message messages comment comments reply tweet post review announcement sms notification story"
)
"""Making one of these tells others."""
_PEOPLE = _words("human agent agents operator support call representative")
_FINAL = _words("submit answer final respond finish complete done result")
_ANSWERED = _words("answer response content text message result output final summary")
_LASTING = re.compile(
    r"irreversibl|cannot be undone|can't be undone|permanent(ly)?\b|irréversible", re.IGNORECASE
)

_RECIPIENT = _words(
    "recipient recipients to cc bcc iban email emails mail user users username usernames channel"
    " channels participant participants attendee attendees invitee invitees guest guests account"
    " accounts payee payees beneficiary url urls uri link webhook endpoint host hostname domain server"
    " phone telephone mobile receiver receivers contact contacts member members group groups team"
    " audience collaborator collaborators assignee reviewer reviewers friend friends person people"
    " customer client address wallet swift bic routing destinataire destinataires compte"
    " remote bucket subscriber subscribers handle"
)
_SELLER = _words(
    "hotel restaurant company airline merchant seller shop store vendor provider supplier"
    " agency carrier broker organization organisation charity cause fournisseur"
)
"""Who gets the money where something is bought."""
_URL = _words("url urls uri link webhook endpoint website webpage site")
_OF_OTHERS = _words("from sender source my own own_ current origin old previous author by since")
_CONTENT = _words(
    "body subject content contents text title type count date time format description notes filter"
    " limit page size template status currency language unit day month year zone timezone reason"
    " message messages query street city zip country state"
)
_OBJECTS = _words("email emails mail message messages link")
_PATH = _words(
    "path paths file files filename filenames filepath folder directory dir chemin fichier"
)
_ENDS_OF_PATHS = _words("destination dest target output out")
_SHELL = _words("command commands cmd shell bash script powershell commande")
_CODE = _words("code python source program snippet expression")

_TOLD = _words("participant participants attendee attendees invitee invitees guest guests assignee")
_JOINING = _TOLD | _words("user users member members collaborator collaborators reviewer reviewers")

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SEPARATOR = re.compile(r"[^0-9A-Za-zÀ-ÿ]+")
_SERVER = re.compile(r"^.*(__|[./:])(?=[^./:]*[A-Za-z])", re.DOTALL)
"""What stands before a function's own name: a server, a toolkit."""
_FIRST_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class Labelled:
    """What is inferred of one tool; the fields of :class:`sandbox.scenario.toolkits.Tool`."""

    labels: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    shell: tuple[str, ...] = ()
    python: tuple[str, ...] = ()


def labels(name: str, description: str, arguments: Iterable[str]) -> Labelled:
    """Return the labels of a tool.

    Args:
        name: As the model calls it; a toolkit or a server may stand before it.
        description: What the model is told of it; empty where that is not known.
        arguments: Names of its arguments.
    """
    return _labels(name, description[:2000], tuple(arguments))


@lru_cache(maxsize=4096)
def _labels(name: str, description: str, arguments: tuple[str, ...]) -> Labelled:
    words = split(name)
    flags = _deeds(words, split(_SERVER.sub("", name)), description)
    shell = tuple(a for a in arguments if set(split(a)) & _SHELL) if flags >= _RUN else ()
    python = (
        tuple(a for a in arguments if set(split(a)) & _CODE and a not in shell)
        if flags >= _RUN
        else ()
    )
    if set(words) <= _FINAL and all(set(split(a)) <= _ANSWERED for a in arguments):
        flags = _NOTHING  # it ends the run: nobody else reads the answer
    if words[:1] == ("open",) and any(set(split(a)) & _URL for a in arguments):
        flags = _READ
    if not flags & {_W, _C} and _sends_along(arguments):
        flags |= {_W}
    acts = flags & {_W, _I, _C}
    recipients = tuple(a for a in arguments if _is_recipient(a, flags)) if acts else ()
    if not acts:  # whoever reads a URL tells its host what stands in it
        recipients = tuple(a for a in arguments if set(split(a)) & _URL)
    elif recipients and _C in flags:
        flags |= _PAID if _PAYMENTS & set(words) else _NOTHING
        flags |= {_W} if _meets(words, arguments) or _TALK & set(words) else _NOTHING
    written = flags & {_C, _I} and _W not in flags
    paths = tuple(a for a in arguments if _is_path(a, arguments)) if written else ()
    ordered = tuple(flag for flag in FLAGS if flag in flags)
    return Labelled(ordered, recipients, paths, shell, python)


def split(name: str) -> tuple[str, ...]:
    """Return the words of a name in lower case: ``GmailSendEmail``, ``gmail.send_email`` alike."""
    spaced = _CAMEL.sub(" ", name[:300])
    return tuple(word for word in _SEPARATOR.sub(" ", spaced).lower().split() if word)


def _deeds(words: tuple[str, ...], own: tuple[str, ...], description: str) -> frozenset[str]:
    """Return what is done by a tool with these words in its name, the last of them its own."""
    flags: frozenset[str] | None = None
    for part in _parts(own or words):
        found = _verb(part)
        if found is not None:
            flags = (flags or _NOTHING) | found
    if flags is None:
        flags = _described(description)
    nouns = set(words)
    if "transfer" in nouns and nouns & _PEOPLE:
        return _NOTHING  # the conversation is handed over, no money
    if _C in flags and _I not in flags and nouns & _POWER:
        flags |= {_I}
    if flags == _CHANGED and words and words[-1] in _BOUGHT:
        flags |= _ENDED
    if _I in flags and nouns & _MONEY and not flags & {_R}:
        flags |= _PAID
    if _R in flags and nouns & _SENSITIVE:
        flags |= {_S}
    if flags & {_W, _C} and _LASTING.search(description):
        flags |= {_I}
    return flags


def _parts(words: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return the names that stand in one: ``search_and_replace`` does both."""
    parts: list[tuple[str, ...]] = [()]
    for word in words:
        if word in ("and", "or", "then"):
            parts.append(())
        else:
            parts[-1] += (word,)
    return parts


def _verb(words: tuple[str, ...]) -> frozenset[str] | None:
    """Return what the verb of a name does, or None where there is none."""
    for word, following in pairwise((*words, "")):
        if (word, following) in _PHRASES:
            return _PHRASES[word, following]
        if word in _STRONG and not (word in _ANSWERS and word != words[0]):
            return _STRONG[word]
    if not words:
        return None
    if words[-1] in _ANSWERS:
        return _READ
    for word in (words[0], words[-1]):
        if word in _WEAK:
            return _WEAK[word]
    return None


def _described(description: str) -> frozenset[str]:
    """Return what the first verb of a description does; reading, where nothing says otherwise."""
    for found in _FIRST_WORD.findall(description.lower())[:12]:
        for stem in (
            found,
            found.removesuffix("s"),
            found.removesuffix("es"),
            found.removesuffix("ies") + "y",
            found.removesuffix("ing"),
            found.removesuffix("ing") + "e",
        ):
            if stem in _STRONG:
                return _STRONG[stem]
    return _READ


def _is_recipient(argument: str, flags: frozenset[str]) -> bool:
    words = split(argument)
    named = set(words)
    if named & _OF_OTHERS or (words and words[-1] in _CONTENT):
        return False
    if words and words[-1] in ("id", "ids") and named & _OBJECTS:
        return False  # the id of a mail is no address
    if _I in flags and named & _SELLER:
        return True
    if len(words) > 1 and words[0] == "to" and not named - {"to"} & _RECIPIENT:
        return words[-1] in ("id", "name", "number")
    return bool(named & _RECIPIENT)


def _meets(words: tuple[str, ...], arguments: tuple[str, ...]) -> bool:
    """Return whether others are told of a change: events with guests, shared things, members."""
    joined = {"add", "invite", "enroll"} & set(words) and _JOINING & set(words)
    return bool(joined) or any(set(split(argument)) & _TOLD for argument in arguments)


def _sends_along(arguments: tuple[str, ...]) -> bool:
    """Return whether a request has an address and a body."""
    words = [set(split(argument)) for argument in arguments]
    return any(each & _URL for each in words) and any(each & _BODY for each in words)


def _is_path(argument: str, arguments: tuple[str, ...]) -> bool:
    words = set(split(argument))
    if words & {"id", "ids", "type", "size", "count"}:
        return False
    files = any(set(split(other)) & (_PATH | {"src", "source"}) for other in arguments)
    return bool(words & _PATH) or bool(files and words & _ENDS_OF_PATHS)
