"""A file is the old one or the new one, whatever happens to its writer."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from results.ledger import files
from tests.helpers.disk import record_flushes

KILLED = """
import os, signal, sys
from results.ledger import files
def fill(stream):
    stream.write(b"half of the n")
    stream.flush()
    os.kill(os.getpid(), signal.SIGKILL)
files.write_whole(sys.argv[1], fill)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return files.write_whole(tmp_path / "new" / "folder" / "file", lambda s: s.write(b"old"))


def test_folders_are_made(path: Path) -> None:
    assert path.read_bytes() == b"old"


def test_file_and_folder_are_flushed_before_a_write_returns(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushes = record_flushes(monkeypatch)
    files.write_bytes(path.parent / "deep" / "new", b"content")
    deep = path.parent / "deep"
    assert [flush.path for flush in flushes if flush.names] == [path.parent, deep]
    (file,) = (flush for flush in flushes if not flush.names)
    assert file.path.parent == deep and file.size == len(b"content")
    assert flushes[0].names == {"file", "deep"} and flushes[-1].names == {"new"}


def test_a_writer_that_fails_leaves_the_old_file_and_nothing_beside_it(path: Path) -> None:
    def fail(stream: Any) -> None:
        stream.write(b"half of the n")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.write_whole(path, fail)
    assert path.read_bytes() == b"old"
    assert os.listdir(path.parent) == ["file"]


def test_a_writer_that_is_killed_leaves_the_old_file_and_a_name_that_readers_pass_over(
    path: Path,
) -> None:
    assert subprocess.run([sys.executable, "-c", KILLED, str(path)]).returncode == -9
    assert path.read_bytes() == b"old"
    left = set(os.listdir(path.parent)) - {"file"}
    assert len(left) == 1
    assert all(files.is_temporary(name) for name in left)
    assert files.remove_abandoned(path.parent) == 0  # its writer may still be at it
    (half,) = (path.parent / name for name in left)
    os.utime(half, (0, 0))
    assert files.remove_abandoned(path.parent) == 1
    assert os.listdir(path.parent) == ["file"]


def test_an_error_of_the_disk_names_the_file_that_was_to_appear(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        files.write_whole(path, lambda stream: stream.write(b"new"))
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("name", [".a", "a.tmp", ".run.parquet.0f.tmp"])
def test_hidden_names_and_tmp_are_temporary(name: str) -> None:
    assert files.is_temporary(name)
    assert not files.is_temporary("run.parquet")
