"""Which files a shell command or a piece of Python says it will change, before it runs.

A reading of what is written, no more: variables, globs, scripts and tricks pass it by. What a call
really changed is in its effects, which monitors of the ``after`` stage judge.
"""

from __future__ import annotations

import ast
import itertools
import posixpath
import re
import shlex
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import pairwise

_SEPARATORS = frozenset({"`", ";", "|", "||", "&", "&&", "\n", "(", ")", ";;", "|&"})
_REDIRECTIONS = frozenset({">", ">>", ">|", "&>", "&>>"})
_ALL = frozenset({"rm", "rmdir", "unlink", "shred", "truncate", "tee", "touch", "mkdir", "mv"})
_AFTER_FIRST = frozenset({"chmod", "chown", "chgrp", "chattr"})
_LAST = frozenset({"cp", "ln", "install", "rsync"})
_PREFIXES = frozenset(
    {"sudo", "env", "nohup", "time", "nice", "command", "exec", "xargs", "timeout", "busybox"}
)
_KEYWORDS = frozenset({"if", "then", "elif", "else", "do", "while", "until", "{", "!"})
_VALUED = {
    "sudo": ("-u", "-g"),
    "env": ("-u",),
    "nice": ("-n",),
    "timeout": ("-s", "-k"),
    "xargs": ("-n", "-I", "-P"),
    "truncate": ("-s", "-r"),
    "touch": ("-d", "-r", "-t"),
    "mkdir": ("-m",),
    "shred": ("-n", "-s"),
}
"""Command → options whose value is a word of its own."""
_DURATION = re.compile(r"\d+(?:\.\d+)?[smhd]?")
_HEREDOC = re.compile(r"<<-?[ \t]*(?P<quote>['\"]?)(?P<end>\w+)(?P=quote)")
_RUNS = re.compile(r"(?:^|[;&|/\s])(?P<name>sh|bash|dash|zsh|python[0-9.]*)(?:\s+-\S*)*\s*$")
_SHELLS = frozenset({"sh", "bash", "dash", "zsh"})
_EDITORS = {
    "sed": (
        re.compile(r"-[nrEsuz]*i.*|--in-place.*"),
        re.compile(r"-[nrEsuz]*[ef]|--expression|--file"),
        re.compile(r"-[nrEsuz]*[ef].+|--(?:expression|file)=.*"),
    ),
    "perl": (
        re.compile(r"-[a-zA-Z0]*i.*"),
        re.compile(r"-[a-hj-zA-Z0]*[eE]"),
        re.compile(r"-[a-hj-zA-Z0]*[eE].+"),
    ),
}
"""Command → options that change files in place; that a script follows; that hold one themselves."""
_EXECUTES = frozenset({"-exec", "-execdir", "-ok"})
_NESTING = 4
_CODE_LIMIT = 100_000
_COMMAND_LIMIT = 131_072
"""Characters of a command that are read: the kernel starts nothing with a longer argument
(MAX_ARG_STRLEN), and a reading that takes long would hold up every other run."""
_WORD_LIMIT = 16_384
"""Characters of one word that are read, four times those of the longest path: shlex takes their square."""
_WORD = re.compile(
    rf"""\\.|'[^']*'|"(?:\\.|[^"\\])*"|[^\s;()<>|&'"`\\]{{{_WORD_LIMIT},}}""", re.DOTALL
)
"""An escaped sign, a quoted text, or a long run of other signs; quotes in their pairs, as the shell reads them."""
_WRITERS = frozenset(
    [
        "remove",
        "unlink",
        "rmdir",
        "removedirs",
        "rmtree",
        "rename",
        "replace",
        "truncate",
        "write_text",
        "write_bytes",
        "mkdir",
        "makedirs",
        "touch",
        "chmod",
        "move",
        "copy",
        "copyfile",
        "copy2",
        "copytree",
        "symlink",
        "link",
    ]
)
_WRITE_MODE = re.compile(r"[wax+]")


@lru_cache(maxsize=1024)
def shell_paths(command: str, depth: int = 0) -> tuple[str, ...]:
    """Return the paths that a shell command names as written, moved or deleted."""
    found: list[str] = []

    command, documents = _without_documents(command[:_COMMAND_LIMIT])
    command = _WORD.sub(_shortened, command)
    for before, body in documents:
        runs = _RUNS.search(before)
        if runs and runs["name"] in _SHELLS and depth < _NESTING:
            found.extend(shell_paths(body, depth + 1))
        elif runs and runs["name"].startswith("python"):
            found.extend(python_paths(body))
    lexer = shlex.shlex(command, posix=True, punctuation_chars="();<>|&")
    lexer.whitespace = " \t\r"
    lexer.commenters = ""
    lexer.wordchars += "$*?[]{}!@%+,:^#\\"
    try:
        tokens = list(lexer)
    except ValueError:  # an open quote: the shell will refuse it, redirections aside
        tokens = command.split()
    folder = ""
    for words in _simple_commands(tokens):
        arguments, targets = _without_redirections(words)
        found += [posixpath.join(folder, path) for path in targets]
        if arguments[:1] == ["cd"]:
            folder = posixpath.join(folder, arguments[1]) if len(arguments) > 1 else ""
            continue
        found += [posixpath.join(folder, path) for path in _targets(arguments, depth)]
    return tuple(dict.fromkeys(path for path in found if not path.startswith("/dev/")))


def _shortened(found: re.Match[str]) -> str:
    word = found[0]
    if len(word) <= _WORD_LIMIT:
        return word
    kept = word[:_WORD_LIMIT]
    return kept.rstrip("\\") + word[0] if word[0] in "'\"" else kept


def _without_documents(command: str) -> tuple[str, list[tuple[str, str]]]:
    """Take out what commands are fed, which is text unless the command runs it.

    Returns:
        The rest, and for each here-document what stands before it on its line, and its text.
    """
    lines = command.split("\n")
    ends: dict[str, list[int]] = {}
    for number, line in enumerate(lines):
        ends.setdefault(line.strip(" \t"), []).append(number)
    kept: list[str] = []
    documents: list[tuple[str, str]] = []
    number = 0
    while number < len(lines):
        line, following = lines[number], number + 1
        for opened in reversed(list(_HEREDOC.finditer(line))):
            candidates = ends.get(opened["end"], [])
            if (at := bisect_right(candidates, number)) < len(candidates):
                documents.append(
                    (line[: opened.start()], "\n".join(lines[following : candidates[at]]))
                )
                line = line[: opened.start()] + line[opened.end() :]
                following = candidates[at] + 1
                break
        kept.append(line)
        number = following
    return "\n".join(kept), documents


def _simple_commands(tokens: list[str]) -> Iterator[list[str]]:
    words: list[str] = []
    for token in tokens:
        for part in re.split(r"(\n)", token) if "\n" in token else [token]:
            if part in _SEPARATORS:
                if words:
                    yield words
                words = []
            elif part:
                words.append(part)
    if words:
        yield words


def _without_redirections(words: list[str]) -> tuple[list[str], list[str]]:
    arguments: list[str] = []
    targets: list[str] = []
    rest = iter(words)
    for word in rest:
        if word in _REDIRECTIONS or (word.endswith(">") and word.strip("0123456789&>") == ""):
            targets.append(next(rest, ""))
            if arguments and arguments[-1].isdigit() and len(arguments[-1]) == 1:
                arguments.pop()  # the 2 of 2>file
        elif word in {"<", "<<", "<<<"}:
            next(rest, None)
        else:
            arguments.append(word)
    return arguments, [path for path in targets if path and not path.isdigit()]


def _targets(words: list[str], depth: int) -> list[str]:
    words = _unwrapped(words)
    if not words:
        return []
    name, rest = posixpath.basename(words[0]), words[1:]
    plain = _operands(rest, _VALUED.get(name, ()).__contains__)
    if name in _SHELLS and any(re.fullmatch(r"-[a-z]*c", word) for word in rest):
        return list(shell_paths(plain[0], depth + 1)) if plain and depth < _NESTING else []
    if name.startswith("python") and "-c" in rest:
        return list(python_paths(plain[0])) if plain else []
    if name == "find":
        return _find_paths(rest, depth)
    if name in _EDITORS:
        return _edited(name, rest)
    if name == "dd":
        return [word[3:] for word in rest if word.startswith("of=")]
    if name in _LAST:
        into = [after for word, after in pairwise(rest) if word == "-t"]
        return into or plain[-1:]
    if name in _AFTER_FIRST:
        return plain[1:]
    return plain if name in _ALL else []


def _unwrapped(words: list[str]) -> list[str]:
    """Return a command without what stands before it: keywords, variables, ``sudo`` and the like."""
    at, last = 0, len(words) - 1
    while at < last:
        first = posixpath.basename(words[at])
        if first not in _PREFIXES and first not in _KEYWORDS and "=" not in first:
            break
        at += 1
        while at <= last and (words[at].startswith("-") or _DURATION.fullmatch(words[at])):
            at += 2 if words[at] in _VALUED.get(first, ()) else 1
    return words[at:]


def _operands(rest: list[str], valued: Callable[[str], bool]) -> list[str]:
    """Return the words that are neither options nor their values, which stand behind some options."""
    previous = ["", *rest]
    return [
        word
        for word, before in zip(rest, previous, strict=False)
        if not word.startswith("-") and not valued(before)
    ]


def _edited(name: str, rest: list[str]) -> list[str]:
    """Return the files that ``sed`` or ``perl`` changes in place: all words but options and scripts."""
    inline, apart, joined = _EDITORS[name]
    options = [word for word in rest if word.startswith("-") and word[:2] not in {"-M", "-m", "-I"}]
    if not any(inline.fullmatch(word) for word in options):
        return []
    scripted = any(apart.fullmatch(word) or joined.fullmatch(word) for word in options)
    plain = _operands(rest, lambda word: word in options and bool(apart.fullmatch(word)))
    return plain if scripted else plain[1:] or plain


def _find_paths(rest: list[str], depth: int) -> list[str]:
    """Return the folders that ``find`` goes through, where it deletes or runs what writes."""
    places = list(itertools.takewhile(lambda word: not word.startswith("-"), rest)) or ["."]
    if "-delete" in rest:
        return places
    started = [index for index, word in enumerate(rest) if word in _EXECUTES]
    for index, end in pairwise([*started, len(rest)]):
        if depth < _NESTING and _targets(rest[index + 1 : end], depth + 1):
            return places
    return []


@lru_cache(maxsize=1024)
def python_paths(code: str) -> tuple[str, ...]:
    """Return the paths that Python code names, as plain texts, where it writes or deletes."""
    if len(code) > _CODE_LIMIT:
        return ()
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError, SystemError):
        return ()  # what the interpreter cannot parse, the agent's cannot run
    names = {
        node.targets[0].id: text
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        for text in _texts(node.value)[:1]
    }
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            found += _call_paths(node, names)
    return tuple(dict.fromkeys(found))


def _call_paths(node: ast.Call, names: dict[str, str]) -> list[str]:
    function = node.func
    if isinstance(function, ast.Name):
        name, owner = function.id, None
    elif isinstance(function, ast.Attribute):
        name, owner = function.attr, function.value
    else:
        return []
    if name in {"system", "popen", "run", "call", "check_call", "check_output", "Popen"}:
        words = [text for argument in node.args[:1] for text in _texts(argument, names)]
        as_list = isinstance(node.args[0], (ast.List, ast.Tuple)) if node.args else False
        return (
            list(shell_paths(shlex.join(words) if as_list else " ".join(words), 1)) if words else []
        )
    if name == "open":
        mode = [*node.args[1:2], *(k.value for k in node.keywords if k.arg == "mode")]
        written = any(_WRITE_MODE.search(text) for item in mode for text in _texts(item))
        of_path = owner is not None and not node.args[1:2]
        if of_path:
            mode = node.args[:1]
            written = written or any(_WRITE_MODE.fullmatch(t[:1]) for i in mode for t in _texts(i))
        source = [owner] if of_path and owner is not None else node.args[:1]
        return [text for item in source for text in _texts(item, names)] if written else []
    if name not in _WRITERS:
        return []
    of_module = isinstance(owner, ast.Name) and owner.id in {"os", "shutil"}
    source = [*node.args] if owner is None or of_module else [owner]
    if (
        name in {"rename", "replace"}
        and owner is not None
        and owner is not None
        and source == [owner]
    ):
        # str.replace takes two texts, Path.replace one path
        of_path = len(node.args) == 1 and not isinstance(owner, ast.Constant)
        source = [owner, *node.args] if of_path else []
    if name in {"copy", "copyfile", "copy2", "copytree"}:
        source = node.args[1:2]
    return [text for item in source for text in _texts(item, names)]


def _texts(node: ast.expr, names: dict[str, str] | None = None) -> list[str]:
    """Return the plain texts in an expression; a path put together with ``/`` as one."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, ast.Name):
        return [names[node.id]] if names and node.id in names else []
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        left, right = _texts(node.left, names), _texts(node.right, names)
        return [posixpath.join(*left[:1], *right[:1])] if left or right else []
    if isinstance(node, (ast.List, ast.Tuple)):
        return [text for item in node.elts for text in _texts(item, names)]
    if isinstance(node, ast.Call):
        name = (
            node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        )
        joined = name in {"join", "Path", "PurePath", "PosixPath"}
        parts = [text for item in node.args for text in _texts(item, names)]
        return [posixpath.join(*parts)] if parts and joined else parts
    return []
