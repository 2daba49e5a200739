"""Which files a command says it will change: a table of commands, and of those that change none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.detectors.command_paths import python_paths, shell_paths
from tests.support.timing import cpu_below

WRITES: dict[str, set[str]] = {
    "echo x > a.txt": {"a.txt"},
    "echo x >> a.txt": {"a.txt"},
    "echo x >| a.txt": {"a.txt"},
    "echo x >a.txt": {"a.txt"},
    "echo x>a.txt": {"a.txt"},
    "ls 2> err.log": {"err.log"},
    "ls 2>err.log >out.log": {"err.log", "out.log"},
    "ls &> all.log": {"all.log"},
    "ls > all.log 2>&1": {"all.log"},
    "> empty.log": {"empty.log"},
    ": > empty.log": {"empty.log"},
    "echo 'a b' > 'my file.txt'": {"my file.txt"},
    'echo x > "my file.txt"': {"my file.txt"},
    "echo x > my\\ file.txt": {"my file.txt"},
    "cat a b > c": {"c"},
    "rm a.txt": {"a.txt"},
    "rm -rf build": {"build"},
    "rm -r -f -- build dist": {"build", "dist"},
    "/bin/rm -rf build": {"build"},
    "sudo rm -rf build": {"build"},
    "sudo -u root rm build": {"build"},
    "env LANG=C rm a": {"a"},
    "LANG=C A=1 rm a": {"a"},
    "nohup rm a &": {"a"},
    "timeout 5 rm a": {"a"},
    "timeout -s KILL 5s rm a": {"a"},
    "nice -n 5 rm a": {"a"},
    "rmdir empty": {"empty"},
    "unlink a": {"a"},
    "shred -u a": {"a"},
    "truncate -s 0 a": {"a"},
    "touch a b": {"a", "b"},
    "mkdir -p x/y": {"x/y"},
    "mv a b": {"a", "b"},
    "mv -f a b dir/": {"a", "b", "dir/"},
    "cp a b": {"b"},
    "cp -r a b dir/": {"dir/"},
    "cp -t dir a b": {"dir"},
    "ln -s target link": {"link"},
    "install -m 600 a b": {"b"},
    "rsync -a a/ b/": {"b/"},
    "sed -i 's/a/b/' f": {"f"},
    "sed -i.bak 's/a/b/' f g": {"f", "g"},
    "sed -i -e 's/a/b/' f": {"f"},
    "sed -i -e 's/a/b/' -e 's/c/d/' f g": {"f", "g"},
    "sed -ne p -i f": {"f"},
    "sed -i --expression=s/a/b/ f": {"f"},
    "sed -i --expression s/a/b/ f": {"f"},
    "sed -i -f script f": {"f"},
    "sed -ni 's/a/b/p' f": {"f"},
    "sed --in-place 's/a/b/' f": {"f"},
    "perl -i.bak -pe 's/a/b/' f": {"f"},
    "perl -pi -e 's/a/b/' -e 's/c/d/' f": {"f"},
    "perl -pie 's/a/b/' f": {"f"},
    "perl -MFile::Slurp -pi -e 's/a/b/' f": {"f"},
    "perl -pi -e 's/a/b/' f": {"f"},
    "echo x | tee a": {"a"},
    "echo x | tee -a a b > /dev/null": {"a", "b"},
    "find logs -name '*.log' -delete": {"logs"},
    "find logs data -delete": {"logs", "data"},
    "find logs -exec rm {} +": {"logs"},
    "find . -type f -exec rm {} \\;": {"."},
    "dd if=/dev/zero of=disk.img bs=1M": {"disk.img"},
    "chmod 600 a": {"a"},
    "chmod -R a-w dir": {"dir"},
    "chown root:root a b": {"a", "b"},
    "cd logs && rm audit.log": {"logs/audit.log"},
    "cd logs; cd old; rm a": {"logs/old/a"},
    "cd /tmp && rm a": {"/tmp/a"},
    "cd logs\nrm a": {"logs/a"},
    "(cd logs && rm a)": {"logs/a"},
    "true && rm a || rm b; rm c": {"a", "b", "c"},
    "ls\nrm a\nrm b": {"a", "b"},
    "if true; then rm a; fi": {"a"},
    "for f in a b; do rm $f c; done": {"$f", "c"},
    "! rm a": {"a"},
    "sh -c 'rm a'": {"a"},
    'bash -c "cd x && rm a"': {"x/a"},
    "bash -lc 'rm a'": {"a"},
    "cd y; sh -c 'rm a'": {"y/a"},
    "sh -c \"sh -c 'rm a'\"": {"a"},
    "python3 -c \"open('a', 'w')\"": {"a"},
    "cat > a <<'EOF'\nhello\nEOF": {"a"},
    "cat <<EOF > a\nrm b\nEOF": {"a"},
    "ls | xargs rm": set(),
    "echo a | xargs rm -f b": {"b"},
    "echo $(rm a)": {"a"},
    "echo `rm a`": {"a"},
}
READS = (
    "",
    "   ",
    "ls -la",
    "cat a.txt",
    "cat < a.txt",
    "grep -r 'rm -rf' .",
    "echo 'rm a'",
    'echo "a > b"',
    "head -n 5 a 2>/dev/null",
    "ls > /dev/null 2>&1",
    "find . -name '*.py'",
    "find . -type f -exec grep x {} +",
    "sed 's/a/b/' f",
    "sed -n 1,5p f",
    "awk '$1 > 5' data.csv",
    "test 1 -gt 0",
    "python3 script.py",
    "sort a | uniq -c",
    "diff a b",
    "git status",
    "cd logs",
    "cd logs && ls",
    "wc -l <<< hello",
    "# rm a",
    "ls # rm a",
)
PYTHON: dict[str, set[str]] = {
    "open('a', 'w')": {"a"},
    "open('a', mode='a')": {"a"},
    "open('a', 'r+b')": {"a"},
    "open('a', 'x').write('')": {"a"},
    "with open('a', 'wb') as f: f.write(b'')": {"a"},
    "p = 'a'\nopen(p, 'w')": {"a"},
    "from pathlib import Path\nPath('a').write_text('')": {"a"},
    "Path('a').write_bytes(b'')": {"a"},
    "(Path('d') / 'a').unlink()": {"d/a"},
    "Path('d', 'a').unlink()": {"d/a"},
    "Path('a').open('w')": {"a"},
    "Path('a').rename('b')": {"a", "b"},
    "Path('a').touch()": {"a"},
    "import os\nos.remove('a')": {"a"},
    "os.unlink('a')": {"a"},
    "os.rename('a', 'b')": {"a", "b"},
    "os.replace('a', 'b')": {"a", "b"},
    "os.makedirs('d/e')": {"d/e"},
    "os.truncate('a', 0)": {"a"},
    "os.remove(os.path.join('d', 'a'))": {"d/a"},
    "os.system('rm a')": {"a"},
    "subprocess.run('rm a', shell=True)": {"a"},
    "subprocess.run(['rm', '-rf', 'a b'])": {"a b"},
    "import shutil\nshutil.rmtree('d')": {"d"},
    "shutil.copy('a', 'b')": {"b"},
    "shutil.move('a', 'b')": {"a", "b"},
    "open('a').read()": set(),
    "open('a', 'r')": set(),
    "Path('a').read_text()": set(),
    "Path('a').open()": set(),
    "'x'.replace('a', 'b')": set(),
    "print('rm a')": set(),
    "os.listdir('d')": set(),
    "text.replace('a', 'b')": set(),
    "items.remove('a')": set(),
    "this is no Python": set(),
    "x = " + "(" * 300: set(),
}


@pytest.mark.parametrize(("command", "expected"), WRITES.items())
def test_commands_that_write(command: str, expected: set[str]) -> None:
    """Every file that a command names as written, moved or deleted is found."""
    assert set(shell_paths(command)) == expected


@pytest.mark.parametrize("command", READS)
def test_commands_that_write_nothing(command: str) -> None:
    """A command that only reads names no file as written."""
    assert shell_paths(command) == ()


@pytest.mark.parametrize(("code", "expected"), PYTHON.items())
def test_python(code: str, expected: set[str]) -> None:
    """Python code is read for what it opens to write, moves and deletes."""
    assert set(python_paths(code)) == expected


@given(st.text(max_size=200))
def test_any_text_is_read(text: str) -> None:
    """No text, however odd, makes the reading fail."""
    shell_paths(text)
    python_paths(text)


@given(
    st.text("ab/._-", min_size=1, max_size=12).filter(
        lambda path: path[0] not in "-/" and path[-1] != "/"
    )
)
def test_a_path_is_given_as_written(path: str) -> None:
    """Whatever the path, a redirection and a removal name it."""
    assert shell_paths(f"echo x > '{path}'") == (path,)
    assert shell_paths(f"rm -- '{path}'") == (path,)


@pytest.mark.perf
@pytest.mark.parametrize(
    "piece",
    ["x", " ", "<<a ", "<<a\n", "sh<<a\n", "env ", "a=b ", "find . -exec ", "-exec ", "`", "'"],
)
@pytest.mark.parametrize("before", ["", "find . "])
def test_a_long_command_is_read_in_time(before: str, piece: str) -> None:
    """However long a command is, reading it does not hold up the process that runs all agents."""
    with cpu_below(5):
        shell_paths(before + piece * (3_000_000 // len(piece)))


def test_long_words_hide_nothing_behind_them() -> None:
    """A word is cut where no path is as long; what stands between two quoted texts is no quoted text."""
    long = "x " * 20_000
    assert shell_paths(f"echo 'a'; echo {long}; rm hidden; echo 'b'") == ("hidden",)
    assert shell_paths(f'echo "a"; echo {long}; rm hidden; echo "b"') == ("hidden",)
    assert shell_paths(f"echo '{long}'; rm hidden") == ("hidden",)
    assert shell_paths('echo "' + "\\\\" * 20_000 + '"; rm hidden') == ("hidden",)
    assert shell_paths(f"echo {'y' * 40_000}; rm hidden") == ("hidden",)
