"""A kind of figure from outside the packages is drawn and listed by the verb `plot`."""

import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib.axes import Axes

from bench.cli.app import main
from results.figures import style
from results.figures.kinds import KINDS, FigureData, FigureKind
from tests.helpers import pages, paths

LEDGER = str(paths.LEDGER)
PNG = b"\x89PNG"
SEEN: list[FigureData] = []


def draw_seeds(data: FigureData) -> Axes:
    SEEN.append(data)
    ax = style.new_axes()
    ax.plot(data.rows["seed"], data.rows[data.metrics[0]], "o")
    return ax


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "toy", FigureKind("toy", "Score of each seed.", draw_seeds))
    SEEN.clear()


def plot(*arguments: str, code: int = 0) -> None:
    with pytest.raises(SystemExit) as end:
        main(["plot", *arguments])
    assert end.value.code == code


def test_a_toy_kind_is_drawn_of_a_study(tmp_path: Path) -> None:
    plot("toy", LEDGER, "--metric", "loss", "-o", str(tmp_path / "toy.png"))
    assert (tmp_path / "toy.png").read_bytes().startswith(PNG)
    (data,) = SEEN
    assert (data.metrics, data.cost, data.published) == (("loss",), "train_flops", None)
    assert set(data.rows["study"]) == {"first"}


def test_help_and_refusals_list_the_toy_kind(capsys: pytest.CaptureFixture[str]) -> None:
    plot("--help")
    text = capsys.readouterr().out
    assert all(name in text for name in KINDS)
    assert "Score of each seed." in text
    plot("toi", LEDGER, "-o", "toy.png", code=2)
    assert "given 'toi', expected one of" in (said := capsys.readouterr().err)
    assert said.strip().endswith("toy")


def test_options_that_a_kind_does_not_take_are_noted(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    options = ("--cost", "params", "--metric", "loss,top1_accuracy", "--with-published")
    plot("toy", LEDGER, *options, "-o", str(tmp_path / "toy.png"))
    noted = [line for line in capsys.readouterr().err.splitlines() if "no effect" in line]
    assert [line.split(": ")[1] for line in noted] == [
        "--cost has no effect",
        "--with-published has no effect",
        "more than one --metric has no effect",
    ]


def test_the_program_of_the_how_to_page_draws_its_figure(tmp_path: Path) -> None:
    (code,) = pages.code_blocks("docs/how-to/add-a-figure.md")
    program, target = tmp_path / "my_figures.py", tmp_path / "best.png"
    program.write_text(code)
    command = [sys.executable, str(program), "plot", "best", LEDGER, "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert target.read_bytes().startswith(PNG)
