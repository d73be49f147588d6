"""What the main process writes down: a curve without gaps, and attempts with their true cost."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import models.cost.macs
from bench.run import ledger
from bench.run.attempt import AlreadyRunning, read_disk
from bench.training.clock import Clock
from bench.training.recorder import NullRecorder, Recorder
from results.ledger import parquet
from tests.helpers.recorders import DEVICE, EVALUATION, WORLD, make_run


def read_all(folder: Path) -> list[dict[str, Any]]:
    return [row for path in sorted(folder.glob("*.parquet")) for row in parquet.read_rows(path)]


def test_points_become_a_part_of_the_curve_at_each_flush(recorder: Recorder) -> None:
    recorder.begin(WORLD, DEVICE, 16)
    recorder.start_steps(4)
    recorder.clock.switch("train")
    recorder.point(6, 2.0, 1e-3, 0.5)
    recorder.point(8, 1.5, 9e-4, None)
    recorder.flush()
    recorder.flush()  # there is nothing new to write
    recorder.point(10, 1.0, 8e-4, 0.25)
    recorder.flush()
    curve = recorder.run_dir / "curve"
    assert [path.name for path in sorted(curve.iterdir())] == [
        "0001-00000008.parquet",
        "0001-00000010.parquet",
    ]
    rows = read_all(curve)
    assert [(row["step"], row["loss"], row["lr"], row["grad_norm"]) for row in rows] == [
        (6, 2.0, 1e-3, 0.5),
        (8, 1.5, 9e-4, None),
        (10, 1.0, 8e-4, 0.25),
    ]
    macs = models.cost.macs.count(
        models.config("vit_nano2"), image_size=8, num_classes=10
    ).forward_macs
    seconds = [row["train_seconds"] for row in rows]
    assert 0 <= seconds[0] < seconds[1] < seconds[2]
    for before, row in pairwise(rows):
        assert row["examples_seen"] == row["step"] * 32
        assert row["train_flops"] == 6 * macs * row["examples_seen"]
        passed = row["train_seconds"] - before["train_seconds"]
        assert row["images_per_second"] == pytest.approx(2 * 32 / passed)


def test_a_finished_run_has_all_its_rows(recorder: Recorder) -> None:
    recorder.begin(WORLD, DEVICE, 16)
    recorder.manifest = "abc"
    recorder.start_steps(0)
    recorder.clock.switch("train")
    recorder.point(10, 1.0, 8e-4, 0.25)
    recorder.finish(10, EVALUATION)
    run_dir = recorder.run_dir
    (row,) = parquet.read_rows(run_dir / "run.parquet")
    expected = {
        "state": "done",
        "attempts": 1,
        "steps": 10,
        "examples_seen": 320,
        "top1_accuracy": 0.4,
        "data_manifest": "abc",
        "device": "A processor",
        "forward_macs_per_image": recorder.run.cost.forward_macs,
    }
    assert {key: row[key] for key in expected} == expected
    assert row["accelerator_days"] == row["train_seconds"] / 86400
    (attempt,) = read_all(run_dir / "attempts")
    assert (attempt["micro_batch_size"], attempt["num_devices"]) == (16, 1)
    assert (attempt["ended"], attempt["from_examples"], attempt["to_examples"]) == ("done", 0, 320)
    assert len(read_all(run_dir / "evals")) == 3
    assert len(read_all(run_dir / "curve")) == 1
    assert read_disk(run_dir).state == "done"


def test_a_run_is_done_only_when_its_row_is_written(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    states, write = [], parquet.write

    def look(path: Path, *arguments: Any) -> None:
        states.append((path.name, read_disk(recorder.run_dir).state))
        write(path, *arguments)

    monkeypatch.setattr(parquet, "write", look)
    recorder.begin(WORLD, DEVICE, 16)
    recorder.finish(10, EVALUATION)
    assert states == [
        ("upstream.parquet", "running"),
        ("0001.parquet", "running"),
        ("run.parquet", "running"),
    ]


def test_points_that_will_be_repeated_are_not_written(recorder: Recorder) -> None:
    recorder.begin(WORLD, DEVICE, 16)
    recorder.start_steps(0)
    recorder.point(2, 1.0, 8e-4, 0.25)
    recorder.end("lost", "process 1 died")
    assert not (recorder.run_dir / "curve").exists()
    (attempt,) = read_all(recorder.run_dir / "attempts")
    assert (attempt["ended"], attempt["reason"]) == ("lost", "process 1 died")
    assert read_disk(recorder.run_dir).state == "missing"


def test_a_failed_run_says_why_and_keeps_its_points(recorder: Recorder) -> None:
    recorder.begin(WORLD, DEVICE, 16)
    recorder.start_steps(0)
    recorder.clock.switch("train")
    recorder.point(2, 1.0, 8e-4, 0.25)
    recorder.beat(3)
    recorder.end("failed", "ValueError: no")
    (row,) = parquet.read_rows(recorder.run_dir / "run.parquet")
    assert (row["state"], row["failure"], row["examples_seen"]) == ("failed", "ValueError: no", 96)
    assert row["train_seconds"] > 0 and row["top1_accuracy"] is None
    assert len(read_all(recorder.run_dir / "curve")) == 1
    assert read_disk(recorder.run_dir).state == "failed"


def test_a_run_that_failed_before_its_first_step_has_trained_for_no_time(
    recorder: Recorder,
) -> None:
    recorder.begin(WORLD, DEVICE, 16)
    recorder.end("failed", "DataError: gone")
    (row,) = parquet.read_rows(recorder.run_dir / "run.parquet")
    assert row["train_seconds"] == row["accelerator_days"] == 0.0
    assert row["startup_seconds"] > 0
    assert row["examples_seen"] is None and row["train_flops"] is None


def test_the_curve_goes_on_with_the_seconds_of_earlier_attempts(recorder: Recorder) -> None:
    recorder.begin(WORLD, DEVICE, 16)
    recorder.start_steps(0)
    recorder.clock.switch("train")
    recorder.beat(5)
    recorder.end("failed", "why not")
    (first,) = ledger.read_attempts(recorder.run_dir)

    second = Recorder(recorder.run_dir, make_run(), Clock())
    second.begin(WORLD, DEVICE, 16)
    second.start_steps(4)
    second.clock.switch("train")
    second.point(6, 1.0, 1e-3, None)
    second.flush()
    (row,) = read_all(recorder.run_dir / "curve")
    assert row["attempt"] == 2
    assert row["train_seconds"] > first["train_seconds"] > 0


@pytest.mark.parametrize(("size", "limit"), [(16, 8), (5, 2), (2, 1)])
def test_after_out_of_memory_the_next_attempt_takes_half(
    recorder: Recorder, size: int, limit: int
) -> None:
    assert recorder.micro_batch_limit is None
    recorder.begin(WORLD, DEVICE, size)
    recorder.end("out_of_memory", "MemoryError: no")
    assert read_disk(recorder.run_dir).state == "missing"
    again = Recorder(recorder.run_dir, make_run(), Clock())
    assert again.micro_batch_limit == limit
    (row,) = ledger.read_attempts(recorder.run_dir)
    assert (row["ended"], row["micro_batch_size"]) == ("out_of_memory", size)
    assert row["reason"] == "MemoryError: no" and row["startup_seconds"] > 0


def test_where_one_image_is_too_much_the_run_has_failed(recorder: Recorder) -> None:
    recorder.begin(WORLD, DEVICE, 1)
    recorder.end("out_of_memory", "MemoryError: no")
    assert read_disk(recorder.run_dir).state == "failed"
    (row,) = parquet.read_rows(recorder.run_dir / "run.parquet")
    assert row["failure"] == "MemoryError: no (with a micro-batch of one image)"


def test_a_claimed_run_is_not_claimed_again(recorder: Recorder) -> None:
    with pytest.raises(AlreadyRunning):
        Recorder(recorder.run_dir, make_run(), Clock())


def test_hosts_are_those_of_the_job(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCALESTUDY_HOSTS", "n3,n4")
    recorder.begin(WORLD, DEVICE, 16)
    recorder.end("failed", "why not")
    (row,) = parquet.read_rows(recorder.run_dir / "run.parquet")
    assert row["host"] == "n3"


def test_other_processes_write_nothing(tmp_path: Path) -> None:
    other = NullRecorder()
    other.begin(WORLD, DEVICE, 16)
    other.start_steps(0)
    other.beat(1)
    other.point(1, 1.0, 1.0, None)
    other.flush()
    other.finish(1, EVALUATION)
    other.end("failed", "why not")
    assert list(tmp_path.iterdir()) == []
