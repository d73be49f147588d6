"""What is listed, read and chosen of a table's files."""

import os
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from results.ledger import parquet, segments


def curve(run_id: str, steps: Any) -> list[dict[str, Any]]:
    return [{"study": "s", "run_id": run_id, "attempt": 1, "step": step} for step in steps]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    parquet.write(tmp_path / "b" / "curve" / "1.parquet", "curve", curve("b", range(3)))
    parquet.write(tmp_path / "a" / "curve" / "2.parquet", "curve", curve("a", range(2)))
    parquet.write(tmp_path / "a" / "curve" / "1.parquet", "curve", curve("a", range(2, 3)))
    return tmp_path


def merge(study: Path, name: str, index: Any, rows: Any) -> Any:
    pairs = {segments.INDEX_KEY: segments.index_text(index)} if index else {}
    table = parquet.read_table(parquet.write(study / "x.parquet", "curve", rows))
    path = study / segments.COMPACT / "curve" / name
    return parquet.write_table(path, "curve", table.replace_schema_metadata(None), pairs)


def steps(study: Path) -> Any:
    whole = segments.read_table(study, "curve")
    return list(
        zip(*(whole.rows.column(name).to_pylist() for name in ("run_id", "step")), strict=True)
    )


def test_parts_are_listed_by_run_and_name_without_temporary_ones(study: Path) -> None:
    (study / "a" / "curve" / ".3.parquet.0.tmp").write_bytes(b"")
    (study / "a" / "curve" / "notes.txt").write_bytes(b"")
    (study / "study.json").write_text("{}")
    found = segments.list_own(study, "curve")
    assert list(found) == ["a/curve/1.parquet", "a/curve/2.parquet", "b/curve/1.parquet"]
    status = (study / "b" / "curve" / "1.parquet").stat()
    assert found["b/curve/1.parquet"] == (status.st_mtime_ns, status.st_ino)


def test_the_row_of_a_run_is_listed_by_its_name(study: Path) -> None:
    parquet.write(
        study / "a" / "run.parquet", "runs", [{"study": "s", "run_id": "a", "state": "done"}]
    )
    assert list(segments.list_own(study, "runs")) == ["a/run.parquet"]


def test_lone_rows_and_longer_parts_stand_in_the_order_of_their_names(study: Path) -> None:
    assert steps(study) == [("a", 2), ("a", 0), ("a", 1), ("b", 0), ("b", 1), ("b", 2)]


def test_an_index_below_the_former_name_is_understood(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    which = segments.list_own(study, "curve")["b/curve/1.parquet"]
    with monkeypatch.context() as patch:
        patch.setattr(segments, "INDEX_KEY", "scalebench.parts")
        merge(
            study,
            "m.parquet",
            [segments.PartFile("b/curve/1.parquet", which, 2)],
            curve("b", [7, 8]),
        )
    assert steps(study) == [("a", 2), ("a", 0), ("a", 1), ("b", 7), ("b", 8)]


def test_a_part_is_not_opened_where_its_merged_rows_are_of_the_same_file(study: Path) -> None:
    which = segments.list_own(study, "curve")["b/curve/1.parquet"]
    merge(
        study, "m.parquet", [segments.PartFile("b/curve/1.parquet", which, 2)], curve("b", [7, 8])
    )
    assert steps(study)[3:] == [("b", 7), ("b", 8)]


def test_a_part_of_another_time_or_inode_is_opened_and_counts(study: Path) -> None:
    time, inode = segments.list_own(study, "curve")["b/curve/1.parquet"]
    for at, which in enumerate([(time - 1, inode), (time, inode + 1)]):
        index = [segments.PartFile("b/curve/1.parquet", which, 1)]
        merge(study, f"{at}.parquet", index, curve("b", [7]))
    assert steps(study)[3:] == [("b", 0), ("b", 1), ("b", 2)]


def test_of_two_merged_files_the_newer_part_counts(study: Path) -> None:
    for name, time, step in (("x", 5, 8), ("y", 9, 9), ("z", 5, 7)):
        index = [segments.PartFile("b/curve/0.parquet", (time, 1), 1)]
        merge(study, f"{name}.parquet", index, curve("b", [step]))
    assert steps(study)[3] == ("b", 9)
    assert len(steps(study)) == 7


def test_a_merged_file_without_index_gives_way_to_own_parts(study: Path) -> None:
    merge(study, "m.parquet", None, curve("b", [2, 3]))
    assert steps(study) == [("b", 3), ("a", 2), ("a", 0), ("a", 1), ("b", 0), ("b", 1), ("b", 2)]


def test_a_file_that_is_merged_while_it_is_read_is_found_at_the_second_look(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = study / "b" / "curve" / "1.parquet"
    read_own = segments.read_own

    def merged_first(folder: Any, names: Any, table: Any) -> Any:
        which = segments.identity(own.stat())
        merge(
            study,
            "m.parquet",
            [segments.PartFile("b/curve/1.parquet", which, 3)],
            curve("b", range(3)),
        )
        own.unlink()
        return read_own(folder, names, table)

    expected = steps(study)
    monkeypatch.setattr(segments, "read_own", merged_first)
    assert steps(study) == expected


def test_a_folder_that_changes_while_it_is_listed_is_listed_again(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listings = iter(
        [["old.parquet"], ["new.parquet"], ["new.parquet", ".t.tmp"]] + [["new.parquet"]] * 2
    )
    monkeypatch.setattr(os, "listdir", lambda _: next(listings))
    assert segments.list_merged(study, "curve") == ["new.parquet"]
    assert next(listings, None) is None


def test_rows_that_agree_in_the_key_are_one_the_last(study: Path) -> None:
    parquet.write(study / "b" / "curve" / "2.parquet", "curve", curve("b", [2, 3]))
    whole = segments.read_table(study, "curve")
    assert whole.rows.num_rows == 7
    assert [part.num_rows for part in whole.parts] == [1, 2, 2, 2]


def test_columns_of_a_newer_version_are_named_by_part(study: Path) -> None:
    path = study / "a" / "curve" / "1.parquet"
    newer = parquet.read_table(path).append_column("water_liters", [[1.0]])
    pq.write_table(newer, path)
    assert segments.read_table(study, "curve").newer == {"a/curve/1.parquet": ["water_liters"]}
