"""The README says what is so: its map, its commands, its spec."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest
import typer.main

from bench.cli.app import app, main
from sweeps import spec as specs
from tests.helpers.paths import ROOT

README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands() -> list[list[str]]:
    joined = [block.replace("\\\n", " ") for block in blocks("sh")]
    lines = [line for block in joined for line in block.splitlines()]
    found = [
        shlex.split(line, comments=True)[1:] for line in lines if line.startswith("scalestudy")
    ]
    assert len(found) > 10
    return found


def test_code_in_the_readme_fits_80_columns() -> None:
    code = [line for block in blocks(r"\w+") for line in block.splitlines()]
    assert len(code) > 100
    assert not [line for line in code if len(line) > 80]


def test_the_map_names_every_folder() -> None:
    (folders,) = [block for block in blocks("text") if block.startswith("models/")]
    named = re.findall(r"^(\w+)/", folders, flags=re.MULTILINE)
    assert named == ["models", "bench", "sweeps", "results", "tests"]
    assert all((ROOT / name).is_dir() for name in named)


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_each_command_exists_with_its_options(words: list[str]) -> None:
    verbs = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert words[0] in verbs
    known = {option for parameter in verbs[words[0]].params for option in parameter.opts}
    for word in words[1:]:
        if word.startswith("-"):
            assert word in known, word


@pytest.mark.parametrize(
    "words", [w for w in commands() if w[0] in ("models", "cost")], ids=" ".join
)
def test_the_commands_that_need_no_study_work(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 0
    assert capsys.readouterr().out


def test_the_spec_is_one(tmp_path: Path) -> None:
    (text,) = blocks("yaml")
    (tmp_path / "cifar.yaml").write_text(text)
    spec, _ = specs.load(str(tmp_path / "cifar.yaml"))
    assert spec.resources.num_devices == 16


def test_scripts_are_started_as_modules_that_exist() -> None:
    text = README + (ROOT / "CONTRIBUTING.md").read_text()
    found = re.findall(r"python (?:-m )?(tests[\w./]+)", text)
    assert len(found) > 10
    for name in found:
        assert importlib.util.find_spec(name), name


def test_links_and_pictures_exist() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).is_file(), target
