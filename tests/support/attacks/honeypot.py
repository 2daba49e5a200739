"""A honeypot on the host: a secret, and sockets that a probe would find if it saw the host's."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

_PROCESS = os.getpid()
MARK = f"bait-{_PROCESS}"
"""Stands in the names of the honeypot: suites that run side by side do not take each other's."""
FOLDER = f"/tmp/attacks-{MARK}"
SOCKET = f"{FOLDER}/agent.sock"
ABSTRACT = f"attacks-{MARK}"
PORT = 20_000 + _PROCESS % 10_000
SECRET = f"sk-bait-{_PROCESS:08d}-of-the-host"
VARIABLE = "ATTACKS_BAIT_API_KEY"


class Honeypot:
    """Has its secret and its sockets while it is open, and lists who connected."""

    def __init__(self) -> None:
        self.came: list[str] = []
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Self:
        shutil.rmtree(FOLDER, ignore_errors=True)
        Path(FOLDER).mkdir(mode=0o777)
        Path(FOLDER).chmod(0o777)
        for family, address in (
            (socket.AF_UNIX, SOCKET),
            (socket.AF_UNIX, f"\0{ABSTRACT}"),
            (socket.AF_INET, ("0.0.0.0", PORT)),  # noqa: S104 - every address of the host is to be tried
        ):
            self._listen(family, address)
        Path(SOCKET).chmod(0o777)
        os.environ[VARIABLE] = SECRET
        os.environ["SSH_AUTH_SOCK"] = SOCKET
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for name in (VARIABLE, "SSH_AUTH_SOCK"):
            os.environ.pop(name, None)
        for listening in self._sockets:
            listening.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in accept
            listening.close()
        shutil.rmtree(FOLDER, ignore_errors=True)

    def _listen(self, family: int, address: str | tuple[str, int]) -> None:
        listening = socket.socket(family)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen()
        self._sockets.append(listening)
        threading.Thread(target=self._wait, args=(listening, repr(address)), daemon=True).start()

    def _wait(self, listening: socket.socket, address: str) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            self.came.append(address)
            connection.close()
