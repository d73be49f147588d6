"""The verbs that look after a ledger, as a user types them."""

import json

import pytest

from bench.cli import main
from results import parquet, store


@pytest.fixture
def root(tmp_path):
    for run_id in "ab":
        row = {"study": "s", "run_id": run_id, "state": "done"}
        parquet.write(tmp_path / "s" / run_id / "run.parquet", "runs", [row])
    return tmp_path


def scalebench(*arguments):
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    return end.value.code


def test_compact_says_what_became_of_each_table(root, capsys):
    assert scalebench("compact", "s", "--root", root, "--json") == 0
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
    assert scalebench("compact", root / "s") == 0
    assert "s: runs: 2 rows of 2 parts are in one file" in capsys.readouterr().err
    assert store.load(root / "s").runs.run_id.tolist() == ["a", "b"]


def test_compact_of_what_is_no_study_is_refused(root, capsys):
    assert scalebench("compact", "other", "--root", root) == 2
    assert "other, which does not exist; expected the folder of a study" in capsys.readouterr().err
