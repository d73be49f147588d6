"""The verb `table` on a small ledger and on the paper's own rows."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench.cli.app import main
from results.ledger import parquet
from tests.helpers import paths

LEDGER = str(paths.LEDGER)


def run(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    with pytest.raises(SystemExit) as end:
        main(["table", *arguments])
    assert end.value.code == code
    return capsys.readouterr()


@pytest.mark.parametrize("format", ["text", "markdown", "latex", "csv", "html"])
def test_each_format_prints_the_ledger(capsys: pytest.CaptureFixture[str], format: str) -> None:
    assert "ViT-nano/2" in run(capsys, LEDGER, "--format", format).out


def test_json_is_one_document_with_numbers_and_nulls(capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(run(capsys, LEDGER, "--json").out)
    assert len(rows) == 3  # one of the four runs has not ended
    assert {row["label"] for row in rows} == {"ViT-nano/2", "ResNet-nano"}
    known = [row["top1_accuracy_mean"] for row in rows if row["top1_accuracy_n"]]
    assert known and all(0 < score < 1 for score in known)
    assert all(row["top1_accuracy_std"] is None for row in rows)


def test_rows_columns_summary_and_choice(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("--rows", "label", "--columns", "train_examples", "--aggregate", "best")
    rows = json.loads(run(capsys, LEDGER, *asked, "--where", "family=vit", "--json").out)
    assert [(row["label"], row["train_examples"]) for row in rows] == [
        ("ViT-nano/2", 100),
        ("ViT-nano/2", 200),
    ]
    assert "top1_accuracy_best" in rows[0]


@pytest.mark.parametrize("form", ["table2", "table5", "table6"])
def test_forms_with_the_papers_rows_beside(capsys: pytest.CaptureFixture[str], form: str) -> None:
    text = run(capsys, LEDGER, "--form", form, "--with-published").out
    assert "ViT-nano/2" in text and "ViT-H/14" in text


def test_the_papers_own_table_needs_no_study(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    target = tmp_path / "table.tex"
    run(capsys, "--published", "table2", "--format", "latex", "-o", str(target))
    assert r"\textbf{88.55 $\pm$ 0.04}" in target.read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "missing STUDY"),
        ((LEDGER, "--published", "table2"), "instead of studies"),
        (("--published", "table9"), "table9"),
        (("--published", "table6", "--where", "family=vit"), "as it was printed, without --where"),
        ((LEDGER, "--form", "table9"), "table9"),
        ((LEDGER, "--rows", "lable"), "did you mean label"),
        ((LEDGER, "--where", "seed"), "expected COLUMN=VALUE"),
        ((LEDGER, "--where", "seed=x"), "expected a number"),
        ((LEDGER, "--aggregate", "mode"), "mode"),
    ],
)
def test_what_cannot_be_answered_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: Any, said: str
) -> None:
    error = run(capsys, *arguments, code=2).err
    assert said in error
    assert len(error.strip().splitlines()) == 1


def test_a_study_without_evaluations_lies_beside_the_papers_scores(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"study": "s", "run_id": "a", "state": "done", "model": "vit_s16", "label": "ViT-S/16"}
    parquet.write(tmp_path / "s" / "a" / "run.parquet", "runs", [row])
    with pytest.raises(SystemExit) as end:
        main(["table", str(tmp_path / "s"), "--form", "table6", "--with-published"])
    out, err = capsys.readouterr()
    assert end.value.code == 0, err
    assert "ViT-H/14" in out
