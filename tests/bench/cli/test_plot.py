"""The verb `plot` on a small ledger, on the paper's rows and on measured speed."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bench.cli.app import main
from results.ledger import parquet
from tests.helpers import paths

LEDGER = str(paths.LEDGER)
CREATED = datetime(2026, 1, 1, tzinfo=UTC)


def run(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    with pytest.raises(SystemExit) as end:
        main(["plot", *arguments])
    assert end.value.code == code
    return capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ("frontier", LEDGER, "--metric", "top1_accuracy,loss"),
        ("data-scale", LEDGER, "--with-published"),
        ("data-scale", LEDGER, "--where", "protocol=upstream"),
        ("frontier", "--published", "table6", "--metric", "average_of_five_accuracy"),
        ("data-scale", "--published", "table5", "--metric", "imagenet_accuracy"),
        ("fit", "--published", "table6", "--metric", "imagenet_accuracy"),
        ("fit", LEDGER, "--with-published"),
        ("frontier", "--published", "table6", "--metric", "imagenet,real"),
        ("data-scale", "--published", "table5", "--metric", "pets"),
    ],
    ids=" ".join,
)
def test_a_figure_is_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: Any
) -> None:
    target = tmp_path / "figure.svg"
    assert "rows" in run(capsys, *arguments, "-o", str(target))
    assert target.read_text().rstrip().endswith("</svg>")


@pytest.mark.parametrize("cost", ["params", "forward_macs_per_image", "accelerator_days"])
def test_a_cost_that_the_paper_lacks_is_drawn_of_the_study_alone(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, cost: Any
) -> None:
    arguments = ("frontier", LEDGER, "--cost", cost, "-o")
    alone, beside = tmp_path / "alone.svg", tmp_path / "beside.svg"
    run(capsys, *arguments, str(alone))
    said = run(capsys, *arguments, str(beside), "--with-published").splitlines()
    assert said[0] == f"without ViT paper, Table 6, which has no {cost}"
    assert len(said) == 2
    assert beside.read_text() == alone.read_text()


def test_a_score_that_the_paper_lacks_is_drawn_of_the_study_alone(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    target = str(tmp_path / "a.svg")
    said = run(capsys, "data-scale", LEDGER, "--metric", "loss", "--with-published", "-o", target)
    assert "which has no loss" in said


def test_measured_speed_is_drawn_of_a_folder(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    row = {"model": "vit_s16", "mode": "infer", "precision": "fp32", "compiled": False}
    row |= {"device": "cpu", "num_threads": 1, "batch_size": 1, "fits": True, "family": "vit"}
    rows = [
        row | {"image_size": size, "images_per_second": 1e4 / size, "created_at": CREATED}
        for size in (64, 128)
    ]
    parquet.write(tmp_path / "throughput" / "a.parquet", "throughput", rows)
    target = tmp_path / "speed.png"
    run(capsys, "throughput", str(tmp_path / "throughput"), "-o", str(target))
    assert target.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("frontier", "-o", "x.png"), "missing STUDY"),
        (("frontier", LEDGER, "-o", "x.gif"), "x.gif"),
        (("frontier", LEDGER, "--published", "table6", "-o", "x.png"), "instead of studies"),
        (("frontier", LEDGER, "--evals", "--with-published", "-o", "x.png"), "--with-published"),
        (("throughput", "nowhere", "-o", "x.png"), "expected Parquet files"),
        (("isoflop", LEDGER, "-o", "x.png"), "3 different params"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: Any, said: str
) -> None:
    error = run(capsys, *arguments, code=2)
    assert said in error
    assert len(error.strip().splitlines()) == 1
