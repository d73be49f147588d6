"""A run's curve in CSV files and in TensorBoard's, as their own readers find it."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from bench.engine.trackers import Trackers
from bench.engine.world import join_world, leave_world
from bench.run import trackers
from bench.run.errors import SettingError
from bench.training.loop import train
from tests.helpers.runs import BATCH_SIZE, STEPS, read_all, write_run

QUANTITIES = ("loss", "lr", "grad_norm", "images_per_second")


def csv_series(path: Path) -> tuple[list[str], list[tuple[int, float]]]:
    with path.open() as file:
        header, *rows = csv.reader(file)
    return header, [(int(step), float(value)) for step, value in rows]


def tensorboard_series(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(folder)).Reload()
    tags = events.Tags()["scalars"]
    return {tag: [(point.step, point.value) for point in events.Scalars(tag)] for tag in tags}


def test_a_run_exports_its_curve(tmp_path: Path) -> None:
    engine: dict[str, Any] = {"log_steps": 2, "trackers": ["csv", "tensorboard"]}
    run_dir = write_run(tmp_path / "study", engine)
    train(run_dir)
    curve = read_all(run_dir / "curve")
    assert [row["examples_seen"] for row in curve] == [
        step * BATCH_SIZE for step in range(2, STEPS + 1, 2)
    ]
    series = tensorboard_series(run_dir / "trackers" / "tensorboard" / "0001")
    assert set(series) == set(QUANTITIES)
    for name in QUANTITIES:
        expected = [(row["examples_seen"], row[name]) for row in curve]
        header, found = csv_series(run_dir / "trackers" / "csv" / "0001" / f"{name}.csv")
        assert header == ["step", name] and found == expected
        # TensorBoard stores single precision.
        assert series[name] == [(seen, float(np.float32(value))) for seen, value in expected]


def test_attempts_have_a_series_each_and_unknown_values_no_point(tmp_path: Path) -> None:
    join_world()
    try:
        for attempt in (1, 2):
            opened = Trackers(tmp_path, "study", attempt, ["csv"])
            opened.write(64 * attempt, {"loss": 2.0, "grad_norm": None})
            opened.close()
    finally:
        leave_world()
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.csv"))
    assert files == ["trackers/csv/0001/loss.csv", "trackers/csv/0002/loss.csv"]
    assert csv_series(tmp_path / files[1]) == (["step", "loss"], [(128, 2.0)])


def test_a_run_without_trackers_writes_none(done: Path) -> None:
    assert not (done / "trackers").exists()


def test_a_missing_package_stops_a_run_before_its_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(trackers.PACKAGES, "tensorboard", "no_such_package")
    run_dir = write_run(tmp_path / "study", {"trackers": ["tensorboard"]})
    with pytest.raises(SettingError, match="given tensorboard"):
        train(run_dir)
    assert not (run_dir / "curve").exists()
