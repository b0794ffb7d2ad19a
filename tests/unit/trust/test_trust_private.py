"""Small files that are whole or absent, and nobody else's."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from outrider.errors import TrustError
from outrider.trust import private_io
from outrider.trust.private_io import (
    LIMIT_BYTES,
    PUBLIC,
    exclusive,
    is_private,
    make_private_directory,
    read_whole,
    remove,
    write_whole,
)


def test_a_key_is_never_readable_by_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the umask, also while it is being written."""
    modes = []
    sync = os.fsync

    def look(handle: int) -> None:
        modes.extend(path.stat().st_mode & 0o777 for path in tmp_path.iterdir() if path.is_file())
        sync(handle)

    monkeypatch.setattr(os, "fsync", look)
    before = os.umask(0)
    try:
        write_whole(tmp_path / "key", b"secret")
        make_private_directory(tmp_path / "new" / "identity")
    finally:
        os.umask(before)
    assert modes
    assert set(modes) == {0o600}
    assert is_private(tmp_path / "key")
    assert (tmp_path / "new" / "identity").stat().st_mode & 0o777 == 0o700
    write_whole(tmp_path / "root", b"known to all", PUBLIC)
    assert (tmp_path / "root").stat().st_mode & 0o777 == 0o644


def test_a_reader_sees_the_old_or_the_new_never_half(tmp_path: Path) -> None:
    """While one writes again and again, every content that is read is whole."""
    path, contents = tmp_path / "file", (b"a" * 5000, b"b" * 9000)
    write_whole(path, contents[0])
    done = threading.Event()

    def write() -> None:
        for number in range(60):
            write_whole(path, contents[number % 2])
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    while not done.is_set():
        assert read_whole(path) in contents
    thread.join()


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk: an error with the file's name, the old content, nothing left over."""
    path = tmp_path / "file"
    write_whole(path, b"old")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(private_io.os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_leftovers_of_a_cut_are_replaced(tmp_path: Path) -> None:
    """Half a file beside the place does not stand in the way."""
    (tmp_path / ".part-file").write_bytes(b"ha")
    write_whole(tmp_path / "file", b"whole")
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
    remove(tmp_path / "file")
    remove(tmp_path / "file")
    assert read_whole(tmp_path / "file") is None


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A directory, a pipe, a file that is too large: TrustError with the path, no waiting."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"x" * (LIMIT_BYTES + 1))
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "large"):
        with pytest.raises(TrustError, match=path.name):
            read_whole(path)


def test_one_at_a_time(tmp_path: Path) -> None:
    """The second is refused at once, and may enter when the first has left."""
    with exclusive(tmp_path / "lock"):
        second = exclusive(tmp_path / "lock")
        with pytest.raises(TrustError, match="another process"):
            second.__enter__()
    with exclusive(tmp_path / "lock"):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes for others")
def test_what_root_writes_belongs_to_who_owns_the_directory(tmp_path: Path) -> None:
    """Enrolled or renewed by hand with sudo: the daemon's user can read its key, and take the lock."""
    data = tmp_path / "data"
    data.mkdir()
    os.chown(data, 4242, 4243)
    identity = data / "state" / "identity"
    make_private_directory(identity, like_parent=True)
    write_whole(identity / "current.pem", b"key")
    with exclusive(identity / "lock"):
        pass
    for path in (data / "state", identity, identity / "current.pem", identity / "lock"):
        found = path.stat()
        assert (found.st_uid, found.st_gid) == (4242, 4243), path
    assert is_private(identity / "current.pem")
    make_private_directory(data / "ca")
    assert (data / "ca").stat().st_uid == 0
