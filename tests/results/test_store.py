"""Studies load whatever state they are in, and say which files they passed over."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from results import store
from results.ledger import parquet
from results.schema import STUDY_TABLES
from tests.helpers.paths import DATA

NOW = datetime(2026, 7, 1, 10, 30, tzinfo=UTC)
V1_DONE = ("n100-s0-015ee1bc2bf7", "n200-s0-a2cbc70b0f30")


def run_row(run_id: str, study: str = "digits", **values: Any) -> dict[str, Any]:
    return {"study": study, "run_id": run_id, "state": "done", "created_at": NOW} | values


def curve_rows(run_id: str, steps: Any, attempt: int = 1) -> list[dict[str, Any]]:
    ids = {"study": "digits", "run_id": run_id, "attempt": attempt}
    return [ids | {"step": step, "loss": 1.0} for step in steps]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Two runs of three: `a` is done, `b` is half way, `c` has not begun."""
    folder = tmp_path / "runs" / "digits"
    for run_id in "abc":
        (folder / run_id).mkdir(parents=True)
        (folder / run_id / "config.json").write_text("{}")
    (folder / "study.json").write_text(json.dumps({"study": "digits"}))
    parquet.write(folder / "a" / "run.parquet", "runs", [run_row("a", steps=10, seed=2**53 + 1)])
    parquet.write(folder / "a" / "curve" / "1-0.parquet", "curve", curve_rows("a", range(5)))
    parquet.write(folder / "a" / "curve" / "1-1.parquet", "curve", curve_rows("a", range(5, 10)))
    parquet.write(folder / "b" / "curve" / "1-0.parquet", "curve", curve_rows("b", range(3)))
    return folder


def test_parts_of_a_half_finished_study_are_united(study: Path) -> None:
    loaded = store.load(study)
    assert loaded.runs.run_id.tolist() == ["a"]
    assert loaded.curve.groupby("run_id").step.apply(list).to_dict() == {
        "a": list(range(10)),
        "b": [0, 1, 2],
    }
    assert loaded.skipped == []


def test_a_table_without_rows_has_its_columns(study: Path) -> None:
    for table, columns in STUDY_TABLES.items():
        frame = getattr(store.load(study), table)
        assert list(frame.columns) == [column.name for column in columns]
    assert store.load(study).evals.empty


def test_whole_numbers_stay_whole_beside_nulls_and_times_are_utc(study: Path) -> None:
    parquet.write(study / "b" / "run.parquet", "runs", [run_row("b")])
    runs = store.load(study).runs
    assert runs.seed.dtype == "Int64"
    assert runs.seed[0] == 2**53 + 1  # no float holds it
    assert runs.seed[1] is pd.NA
    assert runs.created_at[0] == NOW
    assert str(runs.created_at.dt.tz) == "UTC"


def test_several_studies_are_taken_together_and_each_once(study: Path) -> None:
    other = study.parent / "more"
    parquet.write(other / "a" / "run.parquet", "runs", [run_row("a", study="more")])
    runs = store.load([study, other, str(study)]).runs
    assert sorted(zip(runs.study, runs.run_id, strict=True)) == [("digits", "a"), ("more", "a")]


def test_a_pattern_stands_for_the_studies_that_match_it(study: Path) -> None:
    parquet.write(study.parent / "more" / "a" / "run.parquet", "runs", [run_row("a", study="more")])
    (study.parent / "throughput").mkdir()
    runs = store.load(f"{study.parent}/*").runs
    assert sorted(runs.study) == ["digits", "more"]
    with pytest.raises(store.NotAStudy, match="which no study matches"):
        store.load(f"{study.parent}/none-*")


def test_temporary_and_foreign_names_are_passed_over(study: Path) -> None:
    (study / "a" / "curve" / ".1-2.parquet.0f.tmp").write_bytes(b"PAR1 half of it")
    (study / "a" / "curve" / "1-3.parquet.tmp").write_bytes(b"PAR1 half of it")
    (study / "a" / "curve" / "notes.txt").write_text("mine")
    loaded = store.load(study)
    assert len(loaded.curve) == 13
    assert loaded.skipped == []


@pytest.mark.parametrize("content", [b"", b"PAR1", b"a,b\n1,2\n"])
def test_unreadable_files_are_named_and_the_rest_is_read(study: Path, content: bytes) -> None:
    bad = study / "b" / "curve" / "1-1.parquet"
    bad.write_bytes(content)
    loaded = store.load(study)
    assert len(loaded.curve) == 13
    (line,) = loaded.skipped
    assert str(bad) in line


def test_an_unreadable_row_of_a_run_is_named_from_the_start(study: Path) -> None:
    (study / "b" / "run.parquet").write_bytes(b"")
    loaded = store.load(study)
    assert "b/run.parquet: expected a whole Parquet file" in loaded.skipped[0]
    assert loaded.runs.run_id.tolist() == ["a"]


def test_a_foreign_parquet_file_is_named(study: Path) -> None:
    pd.DataFrame({"x": [1]}).to_parquet(study / "b" / "curve" / "1-1.parquet")
    loaded = store.load(study)
    assert len(loaded.curve) == 13
    assert "1-1.parquet: column study is missing" in loaded.skipped[0]


def test_an_older_file_gets_nulls_for_the_columns_it_lacks(study: Path) -> None:
    path = study / "a" / "run.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["energy_joules", "seed"]), path)
    parquet.write(study / "b" / "run.parquet", "runs", [run_row("b", energy_joules=5.0, seed=1)])
    runs = store.load(study).runs.set_index("run_id")
    assert runs.loc["a", "steps"] == 10
    assert runs.loc["a", "seed"] is pd.NA
    assert runs.loc["b", "energy_joules"] == 5.0
    assert runs.seed.dtype == "Int64"


def test_a_newer_files_unknown_columns_are_left_out(study: Path) -> None:
    path = study / "a" / "run.parquet"
    table = pq.read_table(path)
    pq.write_table(table.append_column("water_liters", [[1.0]]), path)
    runs = store.load(study).runs
    assert runs.steps.tolist() == [10]
    assert "water_liters" not in runs


@pytest.mark.parametrize(
    ("path", "match"),
    [
        ("missing", "which does not exist; expected the folder of a study"),
        ("runs/digits/study.json", "which is a file"),
        ("runs", r"neither study\.json nor runs; .*there are studies in it: digits"),
        ("runs/digits/a", "neither study.json nor runs"),
    ],
)
def test_what_is_no_study_is_named(study: Path, path: Path, match: str) -> None:
    with pytest.raises(store.NotAStudy, match=match):
        store.load(study.parent.parent / path)


def test_no_path_at_all_is_an_error() -> None:
    with pytest.raises(store.NotAStudy, match="given no path"):
        store.load([])


WRITER = """
import sys
from results.ledger import parquet
folder, run_id = sys.argv[1:]
for part in range(40):
    ids = {"study": "digits", "run_id": run_id, "attempt": 1}
    rows = [ids | {"step": 10 * part + step} for step in range(10)]
    parquet.write(f"{folder}/{run_id}/curve/1-{part}.parquet", "curve", rows)
"""


def test_a_reader_sees_whole_parts_only_while_two_processes_write(study: Path) -> None:
    commands = [[sys.executable, "-c", WRITER, str(study), run_id] for run_id in "de"]
    writers = [subprocess.Popen(command) for command in commands]
    seen = 13  # rows that were there before
    while any(writer.poll() is None for writer in writers):
        loaded = store.load(study)
        assert loaded.skipped == []
        assert (len(loaded.curve) - 13) % 10 == 0
        assert len(loaded.curve) >= seen
        seen = len(loaded.curve)
    assert [writer.wait() for writer in writers] == [0, 0]
    assert len(store.load(study).curve) == 13 + 2 * 40 * 10


def test_a_ledger_of_schema_version_1_loads_whole() -> None:
    """Written at commit a320a28: a run of 20 steps, one of 400 that was killed at step 50 and went
    on, one whose loss was not finite, one that never began; the two few-shot evaluated."""
    folder = DATA / "ledger_v1"
    loaded = store.load(folder)
    runs = loaded.runs.set_index("run_id")
    short, long = (runs.loc[f"vit_nano2-digits-{name}"] for name in V1_DONE)
    failed = runs.loc["bit_nano-digits-n200-s0-2766c818655b"]
    assert len(runs) == 3
    assert [short.state, long.state, failed.state] == ["done", "done", "failed"]
    assert [short.examples_seen, long.examples_seen] == [20 * 64, 400 * 64]
    assert long.train_flops == 6 * long.forward_macs_per_image * 400 * 64
    assert long.attempts == 2 and pd.isna(long.energy_joules) and pd.isna(failed.top1_accuracy)
    assert len(loaded.evals) == 2 * (3 + 2)  # loss, top-1, top-5; 1 and 5 shots
    assert len(loaded.curve) == (20 + 400) / 10  # a point every ten steps
    assert loaded.attempts.ended.value_counts().to_dict() == {"done": 2, "failed": 1, "lost": 1}
    assert loaded.skipped == []
    versions = {
        parquet.metadata(file)["scalebench.schema_version"] for file in folder.rglob("*.parquet")
    }
    assert versions == {"1"}
