"""The verbs that look after a ledger, as a user types them."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench.cli.app import main
from results import store
from results.ledger import parquet
from tests.helpers.paths import DATA


@pytest.fixture
def root(tmp_path: Path) -> Any:
    for run_id in "ab":
        row = {"study": "s", "run_id": run_id, "state": "done"}
        parquet.write(tmp_path / "s" / run_id / "run.parquet", "runs", [row])
    return tmp_path


def scalestudy(*arguments: object) -> Any:
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    return end.value.code


def test_compact_says_what_became_of_each_table(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert scalestudy("compact", "s", "--root", root, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["table"] for row in found] == ["runs", "evals", "curve", "attempts"]
    assert found[0] == {
        "study": "s",
        "table": "runs",
        "rows": 2,
        "parts": 2,
        "removed_files": 0,
        "skipped": [],
    }
    assert scalestudy("compact", root / "s") == 0
    assert "s: runs: 2 rows of 2 parts are in one file" in capsys.readouterr().err
    assert store.load(root / "s").runs.run_id.tolist() == ["a", "b"]


def test_compact_of_what_is_no_study_is_refused(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert scalestudy("compact", "other", "--root", root) == 2
    assert "other, which does not exist; expected the folder of a study" in capsys.readouterr().err


def test_trace_names_what_made_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    ledger = DATA / "ledger_v1"
    assert scalestudy("trace", ledger, "vit_nano2-digits-n200") == 0
    text = capsys.readouterr().out
    for word in ("seed 0, subset_seed 0", "git_commit a320a28", "digits-n200-6a7473472619.json"):
        assert word in text
    assert "lost: its process ended without a word" in text
    assert scalestudy("trace", ledger, "vit_nano2-digits-n200", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["row"]["attempts"] == len(found["attempts"]) == 2


def test_a_run_that_is_not_there_is_refused(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert scalestudy("trace", "s", "c", "--root", root) == 2
    assert "has no run 'c'; choices: a, b" in capsys.readouterr().err
