"""Files beside the one that names them: within the scenario's folder, per language."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sandbox.scenario import yaml_positions
from sandbox.scenario.yaml_positions import Located

TREE_LIMIT = 16 * 1024 * 1024
"""Bytes of all files of a kind that a world starts with."""


class RelativeFiles:
    """Finds what a document names. What leaves the document's folder is refused."""

    def __init__(self, folder: Path, document: Located) -> None:
        self._folder = folder  # for parts of the document that stand in no file
        self._document = document

    def path(self, name: str, place: tuple[str, ...]) -> Path:
        """Return the path of a file or folder.

        Raises:
            ScenarioError: It is not there, or it leaves the folder.
        """
        declared, _ = self._document.place(place)
        home = Path(declared).resolve().parent if declared else self._folder.resolve()
        path = home / name
        try:
            leaves = Path(name).is_absolute() or not path.resolve().is_relative_to(home)
            exists = path.exists()
        except (OSError, RuntimeError, ValueError) as error:  # too long, a circle of links, a NUL
            raise self._document.error(
                place, f"{name[:60]!r} cannot be the path of a file"
            ) from error
        if leaves:
            raise self._document.error(place, f"{name!r} leaves the scenario's folder")
        if not exists:
            raise self._document.error(place, f"there is no {name!r} beside this file")
        return path

    def document(self, name: str, place: tuple[str, ...], lang: str) -> Located:
        """Return a YAML file, or the one for the language (``mail.fr.yaml``) if there is one."""
        path = self.path(name, place)
        other = f"{path.stem}.{lang}{path.suffix}"
        if path.with_name(other).is_file():
            path = self.path(str(Path(name).with_name(other)), place)
        return yaml_positions.load(path)

    def tree(
        self, name: str, place: tuple[str, ...], lang: str, limit: int = TREE_LIMIT
    ) -> dict[str, bytes]:
        """Return the files of a folder by path, those of ``NAME.LANG`` laid over it.

        Raises:
            ScenarioError: It is no folder, holds what is no regular file, or more bytes than
                the limit.
        """
        folder = self.path(name, place)
        if not folder.is_dir():
            raise self._document.error(place, f"{name!r} is not a folder")
        localised = folder.with_name(f"{folder.name}.{lang}")
        merged = {n: p for top in (folder, localised) if top.is_dir() for n, p in _tree(top)}
        found: dict[str, bytes] = {}
        for below, path in sorted(merged.items()):
            self.path(str(Path(name).parent / path.relative_to(folder.parent)), place)
            if path.is_symlink() or not path.is_file():
                raise self._document.error(place, f"{below!r} in {name!r} is not a regular file")
            found[below] = path.read_bytes()
            limit -= len(found[below])
            if limit < 0:
                size = TREE_LIMIT // 1024 // 1024
                raise self._document.error(place, f"{name!r} holds more than {size} MiB")
        return found


def _tree(top: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(top.rglob("*")):
        if path.is_symlink() or not path.is_dir():
            yield str(path.relative_to(top)), path
