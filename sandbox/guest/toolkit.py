"""What a toolkit imports as :mod:`sandbox.sdk.tools`: the ``tool`` decorator, the ``World`` it acts on, and ``ToolError``.

A toolkit is one Python file in ``tools/``. Each of its public tools is a plain typed function
whose first parameter is the world::

    @tool(writes_external=True, recipients=("to", "cc"))
    def send(world: World, to: list[str], subject: str, body: str) -> str:
        '''Send a message.

Args:
            to: Addresses of the recipients.
            subject: The subject line.
            body: The text.
        '''

The engine reads name, parameters, types and docstring from the source without running it; the
code itself only ever runs inside a container.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, TypeVar

    F = TypeVar("F", bound=Callable[..., Any])
    Runner = Callable[[Sequence[str], str, float, str], "Completed"]

HOME = "/work"


class ToolError(Exception):
    """What the agent did cannot be done; the text is what the agent gets to read."""


def tool(
    *,
    reads_untrusted: bool = False,
    reads_sensitive: bool = False,
    writes_external: bool = False,
    irreversible: bool = False,
    changes_world: bool = False,
    recipients: Sequence[str] = (),
    paths: Sequence[str] = (),
    shell: Sequence[str] = (),
    python: Sequence[str] = (),
) -> Callable[[F], F]:
    """Mark a function as a tool and say what matters about it for risk.

    Args:
        reads_untrusted: Its result may hold text written by outsiders (mail, web pages).
        reads_sensitive: Its result may hold personal or secret data.
        writes_external: It sends something out of the agent's organisation.
        irreversible: It cannot be undone (a payment, a deletion).
        changes_world: It changes something in the world, in a way that no other label says.
        recipients: Names of the parameters that say who gets the data or the money.
        paths: Names of the parameters that are paths of files which the tool writes or deletes.
        shell: Names of the parameters that are shell commands.
        python: Names of the parameters that are Python code.
    """
    labels = {
        "reads_untrusted": reads_untrusted,
        "reads_sensitive": reads_sensitive,
        "writes_external": writes_external,
        "irreversible": irreversible,
        "changes_world": changes_world,
        "recipients": tuple(recipients),
        "paths": tuple(paths),
        "shell": tuple(shell),
        "python": tuple(python),
    }

    def mark(function: F) -> F:
        function.__tool__ = labels  # type: ignore[attr-defined]
        return function

    return mark


class Completed:
    """What a command left behind."""

    __slots__ = ("exit_code", "stderr", "stdout", "timed_out")

    def __init__(self, exit_code: int, stdout: str, stderr: str, *, timed_out: bool) -> None:
        self.exit_code = exit_code
        """Exit status; minus the signal number where a signal ended it."""
        self.stdout = stdout
        """At most the output limit of the guest, with a note where text was cut."""
        self.stderr = stderr
        self.timed_out = timed_out
        """True where it was killed because its time was over."""

    def report(self, seconds: int) -> str:
        """Return how it ended and what it printed, for the agent to read.

        Args:
            seconds: The time that it had.
        """
        end = f"killed after {seconds} s" if self.timed_out else f"exit code: {self.exit_code}"
        streams = (("stdout", self.stdout), ("stderr", self.stderr))
        return "\n".join([end, *(f"{n}:\n{text.rstrip()}" for n, text in streams if text.strip())])


class World:
    """The state that tools act on: named sections of JSON data, and the agent's files.

    Reading a section remembers what it held, so that the guest can report every change as a
    JSON patch. Sections that a call did not touch cost nothing.
    """

    home = HOME
    """The agent's own folder; every relative path starts there."""

    def __init__(
        self,
        sections: Mapping[str, object],
        *,
        now: str,
        lang: str,
        runner: Runner,
        remember: Callable[[str, Any], None],
    ) -> None:
        self._sections = sections
        self._runner = runner
        self._remember = remember
        self.now = now
        """The world's date and time, ISO 8601; it does not move during a run."""
        self.lang = lang
        """Language of the run, ``en`` or ``fr``: for messages that a tool writes itself."""
        self.agent = ""
        """Name of the agent whose call is being served."""

    def __getitem__(self, section: str) -> Any:
        """Return a section's data; what is changed in it becomes the world's state.

        Raises:
            ToolError: The scenario gives this world no such section.
        """
        if section not in self._sections:
            raise ToolError(f"there is no {section} in this world")
        self._remember(section, self._sections[section])
        return self._sections[section]

    def __contains__(self, section: object) -> bool:
        return section in self._sections

    def path(self, name: str) -> str:
        """Return the absolute path of a file named by the agent, relative to its folder.

        Raises:
            ToolError: The name is empty or holds a NUL character.
        """
        if not name or "\0" in name:
            raise ToolError("a path may not be empty or hold a NUL character")
        return os.path.normpath(os.path.join(self.home, name))

    def run(
        self, argv: Sequence[str], *, stdin: str = "", timeout: float = 30.0, cwd: str = ""
    ) -> Completed:
        """Run a command as the agent's user, with its limits and without any capability.

        Args:
            argv: Program and arguments; no shell is involved.
            stdin: Text for its standard input.
            timeout: Seconds after which it and all it started are killed.
            cwd: Folder to start in, relative to the agent's own.
        """
        return self._runner(argv, stdin, timeout, self.path(cwd or "."))


def fold(text: str) -> str:
    """Return a text for comparison: without case and accents."""
    import unicodedata

    letters = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def closest(name: str, known: Iterable[str], cutoff: float = 0.5) -> str:
    """Return the known name that is most like another one; empty if none is.

    Args:
        name: The other name.
        known: The names that exist.
        cutoff: How like it must be, 0 to 1.
    """
    import difflib

    return next(iter(difflib.get_close_matches(name, [*known], n=1, cutoff=cutoff)), "")


def best_matches(query: str, texts: Sequence[str]) -> list[int]:
    """Return the indexes of the texts that hold most words of a query, in their order."""
    words = fold(query).split()
    scores = [sum(word in text for word in words) for text in map(fold, texts)]
    most = max(scores, default=0)
    return [index for index, score in enumerate(scores) if score == most > 0]
