"""The stat manifest: every way to change a file is an effect, and nothing else is."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from sandbox.guest import file_snapshot
from sandbox.guest.file_snapshot import EFFECT_LIMIT, FileSnapshot
from sandbox.guest.messages import GuestEffect


def sha(text: str) -> str:
    """Return the SHA-256 of a text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def seen(tmp_path: Path) -> FileSnapshot:
    """A manifest that has seen a folder with a file, a folder and a link in it."""
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.txt").write_text("b")
    (tmp_path / "link").symlink_to("a.txt")
    looked = FileSnapshot((str(tmp_path),))
    looked.look()
    return looked


def brief(effects: list[GuestEffect], root: Path) -> list[tuple[str, str]]:
    """Return action and path below the root of each effect."""
    return [(e["action"], os.path.relpath(e["target"], root)) for e in effects]


def test_the_first_look_reports_all_that_is_there(tmp_path: Path) -> None:
    """A manifest that has seen nothing takes everything as new."""
    (tmp_path / "a.txt").write_text("a")
    (effect,), dropped = FileSnapshot((str(tmp_path),)).look()
    assert ("create", "manifest", sha("a"), 0) == (
        effect["action"],
        effect["source"],
        effect["detail"]["after"],
        dropped,
    )


def test_nothing_changed_is_nothing_reported(seen: FileSnapshot) -> None:
    """A second look at the same files has no effects."""
    assert seen.look() == ([], 0)


def test_a_new_file_is_created(seen: FileSnapshot, tmp_path: Path) -> None:
    """A file that was not there is reported with size, mode and hash."""
    (tmp_path / "new").write_text("hello")
    (tmp_path / "new").chmod(0o640)
    ((effect,), _) = seen.look()
    expected = {"type": "file", "size": 5, "mode": "0o640", "after": sha("hello")}
    assert ("create", expected) == (effect["action"], effect["detail"])


def test_a_written_file_has_both_hashes(seen: FileSnapshot, tmp_path: Path) -> None:
    """A file that was seen before is reported with what it held and what it holds."""
    (tmp_path / "a.txt").write_text("b")
    ((effect,), _) = seen.look()
    detail = effect["detail"]
    assert ("write", sha("a"), sha("b")) == (effect["action"], detail["before"], detail["after"])


def test_a_write_with_the_old_times_is_seen(seen: FileSnapshot, tmp_path: Path) -> None:
    """Setting a file's times back does not hide that it was written."""
    file = tmp_path / "a.txt"
    before = file.stat()
    file.write_text("z")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    effects, _ = seen.look()
    assert brief(effects, tmp_path) == [("write", "a.txt")]


def test_a_deleted_file_has_the_hash_of_what_is_lost(seen: FileSnapshot, tmp_path: Path) -> None:
    """A file that is gone is reported with what it held."""
    (tmp_path / "a.txt").unlink()
    ((effect,), _) = seen.look()
    assert ("delete", {"type": "file", "before": sha("a")}) == (effect["action"], effect["detail"])


def test_a_renamed_file_is_deleted_and_created(seen: FileSnapshot, tmp_path: Path) -> None:
    """A rename shows at both paths, with the same hash."""
    (tmp_path / "a.txt").rename(tmp_path / "z.txt")
    effects, _ = seen.look()
    assert brief(effects, tmp_path) == [("delete", "a.txt"), ("create", "z.txt")]
    assert effects[0]["detail"]["before"] == effects[1]["detail"]["after"]


def test_a_file_put_in_place_of_another_is_written(seen: FileSnapshot, tmp_path: Path) -> None:
    """A file renamed over another changes what the path holds."""
    os.replace(tmp_path / "sub" / "b.txt", tmp_path / "a.txt")  # noqa: PTH105 - over an existing file
    effects, _ = seen.look()
    assert brief(effects, tmp_path) == [("write", "a.txt"), ("delete", "sub/b.txt")]


def test_a_touched_file_is_not_changed(seen: FileSnapshot, tmp_path: Path) -> None:
    """New times alone are no effect, however far from the old."""
    os.utime(tmp_path / "a.txt", (5, 5))
    assert seen.look() == ([], 0)


def test_a_touched_file_is_known_the_next_time_too(seen: FileSnapshot, tmp_path: Path) -> None:
    """After a touch the hash of the content is still there to compare with."""
    (tmp_path / "a.txt").touch()
    seen.look()
    (tmp_path / "a.txt").write_text("c")
    ((effect,), _) = seen.look()
    assert sha("a") == effect["detail"]["before"]


def test_a_change_of_mode_is_a_write(seen: FileSnapshot, tmp_path: Path) -> None:
    """A file made executable is reported, though its content is the same."""
    (tmp_path / "a.txt").chmod(0o755)
    ((effect,), _) = seen.look()
    assert ("write", "0o755", sha("a")) == (
        effect["action"],
        effect["detail"]["mode"],
        effect["detail"]["after"],
    )


def test_a_folder_is_reported_for_itself_alone(seen: FileSnapshot, tmp_path: Path) -> None:
    """A new folder is created; what is put into an old one does not change the folder."""
    (tmp_path / "more").mkdir()
    (tmp_path / "sub" / "c.txt").write_text("c")
    effects, _ = seen.look()
    assert brief(effects, tmp_path) == [("create", "more"), ("create", "sub/c.txt")]


def test_a_folder_that_is_opened_to_all_is_reported(seen: FileSnapshot, tmp_path: Path) -> None:
    """The mode of a folder is its own."""
    (tmp_path / "sub").chmod(0o777)
    effects, _ = seen.look()
    assert brief(effects, tmp_path) == [("write", "sub")]


def test_a_deleted_tree_is_told_file_by_file(seen: FileSnapshot, tmp_path: Path) -> None:
    """Everything that a recursive deletion took is listed."""
    (tmp_path / "sub" / "b.txt").unlink()
    (tmp_path / "sub").rmdir()
    effects, _ = seen.look()
    assert brief(effects, tmp_path) == [("delete", "sub"), ("delete", "sub/b.txt")]


def test_a_link_is_not_followed(seen: FileSnapshot, tmp_path: Path) -> None:
    """A link is reported as one; nothing of what it points to is read."""
    (tmp_path / "out").symlink_to("/etc")
    ((effect,), _) = seen.look()
    assert (effect["detail"]["type"], effect["detail"]["after"]) == ("link", None)


def test_a_link_to_another_target_is_a_write(seen: FileSnapshot, tmp_path: Path) -> None:
    """A link that points elsewhere than before has changed."""
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("/etc/passwd")
    effects, _ = seen.look()
    assert brief(effects, tmp_path) == [("write", "link")]


def test_a_pipe_is_not_opened(seen: FileSnapshot, tmp_path: Path) -> None:
    """A pipe that nobody writes to does not hold the guest up."""
    os.mkfifo(tmp_path / "pipe")
    ((effect,), _) = seen.look()
    assert (effect["action"], effect["detail"]["type"]) == ("create", "special")


def test_a_file_that_becomes_a_folder_is_a_write(seen: FileSnapshot, tmp_path: Path) -> None:
    """Another kind of thing at the same path is a change of it."""
    (tmp_path / "a.txt").unlink()
    (tmp_path / "a.txt").mkdir()
    ((effect,), _) = seen.look()
    assert ("write", "folder", sha("a")) == (
        effect["action"],
        effect["detail"]["type"],
        effect["detail"]["before"],
    )


def test_a_hard_link_to_a_seen_file_is_created(seen: FileSnapshot, tmp_path: Path) -> None:
    """A second name is new; the first one, whose count of links changed, is not written."""
    (tmp_path / "twin").hardlink_to(tmp_path / "a.txt")
    effects, _ = seen.look()
    assert brief(effects, tmp_path) == [("create", "twin")]


def test_a_large_file_is_reported_without_hash(
    seen: FileSnapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above the limit, size and times alone tell of a change."""
    monkeypatch.setattr(file_snapshot, "HASH_LIMIT", 10)
    (tmp_path / "a.txt").write_text("x" * 11)
    ((effect,), _) = seen.look()
    assert (effect["detail"]["size"], effect["detail"]["after"]) == (11, None)


def test_more_than_the_limit_is_counted(seen: FileSnapshot, tmp_path: Path) -> None:
    """Effects beyond the limit are not told one by one, but how many there were is."""
    for number in range(EFFECT_LIMIT + 7):
        (tmp_path / f"f{number}").touch()
    effects, dropped = seen.look()
    assert (len(effects), dropped) == (EFFECT_LIMIT, 7)


def test_what_was_dropped_is_not_told_later(seen: FileSnapshot, tmp_path: Path) -> None:
    """The next look starts from all that is there, dropped effects included."""
    for number in range(EFFECT_LIMIT + 7):
        (tmp_path / f"f{number}").touch()
    seen.look()
    assert seen.look() == ([], 0)
