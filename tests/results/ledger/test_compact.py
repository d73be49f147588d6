"""Merging loses no row and doubles none, whoever writes, reads or dies meanwhile."""

import os
import shutil
import subprocess
import sys
from functools import partial, partialmethod
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from results import store
from results.ledger import compact, parquet, segments
from results.schema import STUDY_TABLES
from tests.helpers.paths import DATA, ROOT


def run_row(run_id: str, **values: Any) -> dict[str, Any]:
    return {"study": "s", "run_id": run_id, "state": "done"} | values


def curve_rows(run_id: str, steps: Any, **values: Any) -> list[dict[str, Any]]:
    ids = {"study": "s", "run_id": run_id, "attempt": 1}
    return [ids | {"step": step, "loss": float("nan")} | values for step in steps]


def eval_row(run_id: str, **values: Any) -> dict[str, Any]:
    ids = {"study": "s", "run_id": run_id, "protocol": "upstream", "dataset": "d"}
    return ids | {"split": "eval", "metric": "loss", "value": 1.0} | values


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Two runs that are done, one that is at work."""
    folder = tmp_path / "s"
    for run_id in "ab":
        parquet.write(folder / run_id / "run.parquet", "runs", [run_row(run_id)])
        parquet.write(folder / run_id / "evals" / "upstream.parquet", "evals", [eval_row(run_id)])
    for run_id in "abc":
        for at in (0, 5):
            rows = curve_rows(run_id, range(at, at + 5))
            parquet.write(folder / run_id / "curve" / f"1-{at}.parquet", "curve", rows)
        row = {"study": "s", "run_id": run_id, "attempt": 1, "state": "done"}
        parquet.write(folder / run_id / "attempts" / "0001.parquet", "attempts", [row])
    return folder


def tables(study: Path) -> Any:
    loaded = store.load(study)
    found = {table: getattr(loaded, table) for table in STUDY_TABLES}
    assert loaded.skipped == []
    return found


def assert_equal(found: Any, expected: Any) -> None:
    for table, frame in expected.items():
        pd.testing.assert_frame_equal(found[table], frame)


def merged_files(study: Path, table: str) -> list[Path]:
    return sorted((study / "_compact" / table).glob("*.parquet"))


def test_the_tables_are_the_same_afterwards_in_the_same_order(study: Path) -> None:
    before = tables(study)
    done = compact.compact(study)
    assert_equal(tables(study), before)
    assert {(one.table, one.rows, one.parts) for one in done} == {
        ("runs", 2, 2),
        ("evals", 2, 2),
        ("curve", 30, 6),
        ("attempts", 3, 3),
    }
    assert all(len(merged_files(study, table)) == 1 for table in STUDY_TABLES)


def test_the_curves_parts_go_and_what_jobs_look_for_by_name_stays(study: Path) -> None:
    compact.compact(study)
    assert list(study.glob("*/curve/*")) == [*merged_files(study, "curve")]
    for name in ("a/run.parquet", "c/attempts/0001.parquet", "a/evals/upstream.parquet"):
        assert (study / name).is_file()


def test_any_tool_reads_a_merged_file(study: Path) -> None:
    compact.compact(study)
    (file,) = merged_files(study, "curve")
    found = pq.read_table(file)
    assert found.column_names == [column.name for column in STUDY_TABLES["curve"]]
    assert found.num_rows == 30


def test_a_second_time_nothing_changes(study: Path) -> None:
    compact.compact(study)
    files = merged_files(study, "curve")
    assert [one.removed_files for one in compact.compact(study)] == [0] * 4
    assert merged_files(study, "curve") == files


def test_what_comes_later_is_read_beside_and_merged_the_next_time(study: Path) -> None:
    compact.compact(study)
    later = curve_rows("b", range(10, 15))
    parquet.write(study / "b" / "curve" / "1-10.parquet", "curve", later)
    between = tables(study)
    assert between["curve"].run_id.tolist() == ["a"] * 10 + ["b"] * 15 + ["c"] * 10
    compact.compact(study)
    assert_equal(tables(study), between)
    assert len(merged_files(study, "curve")) == 1


def test_a_part_that_is_written_again_replaces_its_merged_rows(study: Path) -> None:
    two = [eval_row("a"), eval_row("a", metric="top1_accuracy")]
    parquet.write(study / "a" / "evals" / "upstream.parquet", "evals", two)
    compact.compact(study)
    parquet.write(study / "a" / "run.parquet", "runs", [run_row("a", attempts=2)])
    parquet.write(study / "a" / "evals" / "upstream.parquet", "evals", [eval_row("a", value=2.0)])
    for _ in range(2):
        found = tables(study)
        assert found["runs"].attempts.tolist() == [2, pd.NA]
        assert found["evals"].value.tolist() == [2.0, 1.0]
        compact.compact(study)


def test_a_run_whose_folder_is_removed_is_gone(study: Path) -> None:
    compact.compact(study)
    shutil.rmtree(study / "a")
    for frame in tables(study).values():
        assert "a" not in set(frame.run_id)
    compact.compact(study)
    assert len(tables(study)["curve"]) == 20


def test_a_merged_part_that_got_cut_off_still_has_its_rows(study: Path) -> None:
    compact.compact(study)
    (study / "a" / "run.parquet").write_bytes(b"PAR1")
    loaded = store.load(study)
    assert loaded.runs.run_id.tolist() == ["a", "b"]
    assert "a/run.parquet: expected a whole Parquet file" in loaded.skipped[0]


def test_unreadable_files_are_named_and_left_alone(study: Path) -> None:
    bad = study / "a" / "curve" / "1-9.parquet"
    bad.write_bytes(b"PAR1 half")
    (_, _, curve, _) = compact.compact(study)
    assert str(bad) in curve.skipped[0]
    assert bad.exists()
    (file,) = merged_files(study, "curve")
    file.write_bytes(file.read_bytes()[:-1])
    assert str(file) in compact.compact(study)[2].skipped[0]
    assert file.exists()


def test_a_part_of_a_newer_version_keeps_its_columns(study: Path) -> None:
    path = study / "a" / "curve" / "1-0.parquet"
    newer = pq.read_table(path).append_column("water_liters", [[1.0] * 5])
    pq.write_table(newer, path)
    before = tables(study)
    compact.compact(study)
    assert pq.read_table(path).column("water_liters").to_pylist() == [1.0] * 5
    assert_equal(tables(study), before)


def test_a_part_replaced_while_it_is_merged_is_not_removed(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = study / "a" / "curve" / "1-0.parquet"
    more = curve_rows("a", range(5), lr=0.5)
    index_text = segments.index_text

    def write_again(merged: Any) -> Any:
        parquet.write(path, "curve", more)
        return index_text(merged)

    monkeypatch.setattr(segments, "index_text", write_again)
    compact.compact(study)
    assert pq.read_table(path).column("lr").to_pylist() == [0.5] * 5
    assert tables(study)["curve"].lr.count() == 5


def test_after_a_kill_before_any_of_its_steps_every_row_is_there_once(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compact.compact(study)
    for at in (10, 11):
        parquet.write(study / "b" / "curve" / f"1-{at}.parquet", "curve", curve_rows("b", [at]))
    before = tables(study)
    real = {call: getattr(Path, call) for call in ("unlink", "rename", "replace")}
    deaths, died = 0, True
    while died:
        left = iter(range(deaths))

        def step(call: Any, path: Any, *arguments: Any, left: Any = left, **options: Any) -> Any:
            if next(left, None) is None:
                raise KeyboardInterrupt
            return real[call](path, *arguments, **options)

        copy = tmp_path / f"copy{deaths}"
        shutil.copytree(study, copy, copy_function=os.link)
        with monkeypatch.context() as patch:
            for call in real:
                patch.setattr(Path, call, partialmethod(partial(step, call)))
            try:
                compact.compact(copy)
                died = False
            except KeyboardInterrupt:
                deaths += 1
        assert_equal(tables(copy), before)
        compact.compact(copy)
        assert_equal(tables(copy), before)
        assert len(merged_files(copy, "curve")) == 1
    assert deaths == 2 + 1 + 2 * 2  # write, remove the old one, set aside and remove two parts


def test_a_ledger_of_version_1_is_the_same_merged(tmp_path: Path) -> None:
    study = tmp_path / "v1"
    shutil.copytree(DATA / "ledger_v1", study)
    before = tables(study)
    compact.compact(study)
    assert_equal(tables(study), before)


def test_what_is_no_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(store.NotAStudy):
        compact.compact(tmp_path)


def test_writers_readers_and_kills_at_random_moments_lose_and_double_nothing() -> None:
    """A small one of what the script does in full: 64 writers of 200 runs, 200 kills."""
    script = ROOT / "tests" / "speed" / "store_stress.py"
    sizes = ["--writers", "6", "--runs", "10", "--kills", "12"]
    done = subprocess.run(
        [sys.executable, script, *sizes],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(script.parents[2])},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "{'runs': 60, 'evals': 60, 'curve': 360} rows, 0 errors" in done.stdout
    assert "8 writers and 4 merges killed at random moments" in done.stdout
