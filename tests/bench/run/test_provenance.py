"""Which code ran: the commit, whether it was changed, the versions of the libraries."""

import subprocess
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from bench.run import provenance


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder that the code is taken to lie in."""
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    provenance.software.cache_clear()
    yield tmp_path
    provenance.software.cache_clear()


def git(root: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@localhost")
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=root, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_commit_and_changes_on_top_of_it(root: Path) -> None:
    git(root, "init", "--quiet")
    (root / "code.py").write_text("a = 1\n")
    git(root, "add", "code.py")
    git(root, "commit", "--quiet", "--no-verify", "--message", "First")
    (root / "notes.txt").write_text("not tracked, so no change of the code")
    clean = provenance.software()
    assert clean["git_commit"] == git(root, "rev-parse", "HEAD")
    assert clean["git_dirty"] is False

    (root / "code.py").write_text("a = 2\n")
    assert provenance.software() == clean  # asked once: it is the code that was started
    provenance.software.cache_clear()
    assert provenance.software() == clean | {"git_dirty": True}


def test_without_a_checkout_the_commit_is_unknown(root: Path) -> None:
    software = provenance.software()
    assert software["git_commit"] is None and software["git_dirty"] is None


def test_a_checkout_without_a_commit_is_unknown(root: Path) -> None:
    git(root, "init", "--quiet")
    assert provenance.software()["git_commit"] is None
    assert provenance.software()["git_dirty"] is None


def test_every_file_but_caches_is_code(root: Path) -> None:
    names = ["models/a.py", "results/report/page/report.html", "sweeps/specs/LICENSE"]
    caches = ["models/__pycache__/a.cpython-311.pyc", "bench/.cache/b.py", "results/.c.py.swp"]
    for name in [*names, *caches, "other/d.py"]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    files = provenance.read_code(root)
    assert files == {name: name.encode() for name in names}
    (root / "results/report/page/report.html").write_text("changed")
    assert provenance.code_hash(provenance.read_code(root)) != provenance.code_hash(files)


def test_the_hash_of_code_depends_on_names_and_on_where_files_end() -> None:
    files = {"models/a.py": b"x = 1", "models/b.py": b"y = 2"}
    others = [
        {"models/a.py": b"x = 1", "models/c.py": b"y = 2"},
        {"models/a.py": b"y = 2", "models/b.py": b"x = 1"},
        {"models/a.py": b"x = 1y", "models/b.py": b" = 2"},
        {"models/a.py": b"x = 1"},
    ]
    hashes = {provenance.code_hash(code) for code in [files, *others]}
    assert len(hashes) == 5
    assert provenance.code_hash(dict(reversed(files.items()))) == provenance.code_hash(files)


def test_the_code_comes_before_other_folders_of_the_path(tmp_path: Path) -> None:
    found = provenance.python_path(tmp_path, ["/of/the/user"])
    assert found == {"PYTHONPATH": f"{tmp_path}:/of/the/user", "PYTHONSAFEPATH": "1"}


def test_versions_are_those_installed() -> None:
    software = provenance.software()
    assert software["torch_version"] == version("torch")
    assert software["deepspeed_version"] == version("deepspeed")
    assert provenance._version("no-such-package") is None
