"""What the command line prints lines up, and leaves unknown values empty."""

import json

import pytest

from bench.cli import layouts, output


def test_json_is_one_document_and_unknown_is_null(capsys: pytest.CaptureFixture[str]) -> None:
    output.rows([{"name": "a", "params": None}], json=True, columns=layouts.MODELS)
    out, err = capsys.readouterr()
    assert json.loads(out) == [{"name": "a", "params": None}]
    assert err == ""


def test_columns_without_a_value_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    output.rows([{"name": "a", "params": 2_000_000}], json=False, columns=layouts.MODELS)
    out = capsys.readouterr().out
    assert "params (M)" in out and "2.00" in out
    assert "family" not in out


def test_a_long_status_shows_first_what_needs_a_look(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"attempts": 1, "evaluations": 0}
    rows = [row | {"run_id": f"run{i}", "state": "done"} for i in range(300)]
    rows[250] |= {"state": "failed", "reason": "no luck"}
    output.status("big", {"runs": 300, "done": 299, "failed": 1}, rows, None, json=False)
    out, err = capsys.readouterr()
    assert "no luck" in out.splitlines()[3]
    assert "200 more" in err and "299 done, 1 failed" in err
