"""Jobs run the code as it was submitted, whatever becomes of the checkout meanwhile."""

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from bench.run import provenance
from results import store
from sweeps.jobs import snapshot
from tests.helpers.paths import ROOT

IDENTITY = ("-c", "user.name=Test", "-c", "user.email=test@localhost")


def copy_project(folder: Path) -> Path:
    """The four packages in a folder of their own."""
    for name, content in provenance.read_code(ROOT).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def git(folder: Path, *arguments: str) -> str:
    command = ["git", *IDENTITY, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small checkout that the code is taken to lie in."""
    root = tmp_path / "checkout"
    for package in provenance.PACKAGES:
        (root / package).mkdir(parents=True)
        (root / package / "__init__.py").write_text(f'"""{package}"""\n')
    git(root, "init", "--quiet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--no-verify", "--message", "First")
    monkeypatch.setattr(provenance, "ROOT", root)
    monkeypatch.setattr(provenance, "software", provenance.software.__wrapped__)
    return root


def test_commit_changes_and_environment_are_kept_with_the_code(
    checkout: Path, tmp_path: Path
) -> None:
    (checkout / "models" / "__init__.py").write_text("changed = 1\n")
    (checkout / "bench" / "new.py").write_text("new = 1\n")
    taken = snapshot.take(tmp_path / "study")
    folder = tmp_path / "study" / "code" / taken
    assert (folder / "bench" / "new.py").read_text() == "new = 1\n"
    assert json.loads((folder / "origin.json").read_text()) == {
        "git_commit": git(checkout, "rev-parse", "HEAD").strip(),
        "git_dirty": True,
        "code_hash": taken,
    }
    assert f"torch=={version('torch')}" in (folder / "environment.txt").read_text().splitlines()

    # The commit with the patch on top is the code that was submitted.
    git(checkout, "stash", "--include-untracked")
    assert not (checkout / "bench" / "new.py").exists()
    git(checkout, "apply", str(folder / "diff.patch"))
    assert provenance.code_hash(provenance.read_code(checkout)) == taken


def test_the_same_code_is_kept_once_and_mended_where_it_is_broken(
    checkout: Path, tmp_path: Path
) -> None:
    first = snapshot.take(tmp_path)
    assert snapshot.take(tmp_path) == first
    (checkout / "results" / "__init__.py").write_text("other = 1\n")
    second = snapshot.take(tmp_path)
    assert {first, second} == set(os.listdir(tmp_path / "code")) and first != second

    broken = tmp_path / "code" / second / "results" / "__init__.py"
    broken.write_bytes(b"")
    assert snapshot.take(tmp_path) == second
    assert broken.read_text() == "other = 1\n"


def test_a_copy_knows_where_it_comes_from(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = snapshot.take(tmp_path)
    before = provenance.software()
    monkeypatch.setattr(provenance, "ROOT", tmp_path / "code" / taken)
    assert provenance.software() == before
    assert before["code_hash"] == taken


def test_a_copy_comes_before_all_other_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "code" / "old"), "/mine"]))
    found = snapshot.variables(tmp_path, "new")
    assert found["PYTHONPATH"] == os.pathsep.join([str(tmp_path / "code" / "new"), "/mine"])

    study = tmp_path / "it's a study"
    package = study / "code" / "new" / "models"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    script = "\n".join([*snapshot.shell_lines(study, "new"), f"{sys.executable} -m models.shown"])
    (package / "shown.py").write_text("import models; print(models.__file__)")
    shown = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == str(package / "__init__.py")


def test_queued_runs_do_not_see_the_checkout_change(tmp_path: Path) -> None:
    project = copy_project(tmp_path / "project")
    command = [sys.executable, "-m", "bench", "submit", "demo", "--json", "--root", "../runs"]
    settings = ["model=vit_nano2", "train_examples=50", "steps=2", "seed=[0,1]"]
    for setting in [*settings, "resources.parallel=1"]:
        command += ["--set", setting]
    environment = os.environ | {"PYTHONPATH": str(project)}
    said = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
    assert len(json.loads(said.stdout)["submitted"]) == 2, said.stderr

    for package in provenance.PACKAGES:
        shutil.rmtree(project / package)
        project.joinpath(f"{package}.py").write_text("raise RuntimeError('the checkout as it is')")
    study_dir = tmp_path / "runs" / "demo"
    (kept,) = os.listdir(study_dir / "code")
    wait = [sys.executable, "-m", "bench", "status", str(study_dir), "--watch"]
    environment = os.environ | snapshot.variables(study_dir, kept)
    assert subprocess.run(wait, cwd=project, env=environment).returncode == 0
    study = store.load(study_dir)
    assert study.runs["state"].tolist() == ["done", "done"]
    assert study.attempts["code_hash"].tolist() == [kept, kept]
    assert json.loads((study_dir / "study.json").read_text())["code_hash"] == kept
