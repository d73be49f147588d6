"""What a study will cost, and when that is too much or not known."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import models
import models.cost.macs
from bench.data.sources import describe_from
from bench.run.accelerators import peak_flops
from results.ledger import parquet
from sweeps.documents import SpecError
from sweeps.expand import expand
from sweeps.forecast import plan
from sweeps.resources import Resources
from sweeps.spec import StudySpec
from tests.helpers.paths import ROOT

STEPS, BATCH = 10, 64


def study(**changes: Any) -> StudySpec:
    values: dict[str, Any] = {
        "study": "small",
        "base": {"data": "digits", "steps": STEPS, "batch_size": BATCH, "model": "vit_nano2"},
        "grid": {"seed": [0, 1]},
    }
    return StudySpec.model_validate(values | changes)


def rows(spec: StudySpec, root: Path) -> list[dict[str, Any]]:
    return plan.plan(spec, expand(spec, describe_from(root)), root)


def macs() -> int:
    return models.cost.macs.count(models.config("vit_nano2"), num_classes=10).forward_macs


def write_done_run(root: Path, run_id: str, images_per_second: float) -> None:
    row = {
        "study": "before",
        "run_id": run_id,
        "state": "done",
        "model": "vit_nano2",
        "image_size": 8,
        "forward_macs_per_image": macs(),
        "batch_size": 2 * BATCH,
        "recipe": "adam fp32",
        "images_per_second": images_per_second,
        "num_devices": 2,
    }
    parquet.write(root / "before" / run_id / "run.parquet", "runs", [row])


def test_flops_are_six_a_multiply_add_and_image(tmp_path: Path) -> None:
    planned = rows(study(), tmp_path)
    assert [row["train_flops"] for row in planned] == [6 * macs() * STEPS * BATCH] * 2
    assert plan.totals(planned)["train_flops"] == 2 * 6 * macs() * STEPS * BATCH
    assert {row["state"] for row in planned} == {"missing"}


def test_days_are_unknown_before_anything_was_measured(tmp_path: Path) -> None:
    planned = rows(study(), tmp_path)
    assert {row["accelerator_days"] for row in planned} == {None}
    assert plan.totals(planned)["accelerator_days"] is None
    with pytest.raises(SpecError, match="cannot be predicted"):
        plan.check_limit(planned, 1.0)
    plan.check_limit(planned, None)


def test_days_follow_from_a_measured_speed(tmp_path: Path) -> None:
    write_done_run(tmp_path, "vit_nano2-r1", images_per_second=200.0)
    planned = rows(study(), tmp_path)
    days = STEPS * BATCH / (200.0 / 2) / 86_400
    assert [row["accelerator_days"] for row in planned] == pytest.approx([days, days])
    with pytest.raises(plan.LimitExceeded, match="accelerator-days, the limit is"):
        plan.check_limit(planned, 1.9 * days)
    plan.check_limit(planned, 2.1 * days)
    with pytest.raises(plan.LimitExceeded):
        plan.check_limit(planned, plan.limit(Resources(max_accelerator_days=9.0), 0.0))
    with pytest.raises(SpecError, match="given nan, expected a number from 0 on"):
        plan.limit(Resources(), float("nan"))


def test_days_follow_from_a_stated_utilization(tmp_path: Path) -> None:
    resources = {"accelerator": "A100", "utilization": 0.4}
    planned = rows(study(resources=resources), tmp_path)
    peak = peak_flops("A100", "fp32")
    assert peak is not None
    days = 6 * macs() * STEPS * BATCH / (0.4 * peak) / 86_400
    assert planned[0]["accelerator_days"] == pytest.approx(days)


def test_an_unknown_accelerator_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"resources.accelerator: given 'X9'"):
        rows(study(resources={"accelerator": "X9", "utilization": 0.4}), tmp_path)


def test_a_model_that_does_not_fit_is_said(tmp_path: Path) -> None:
    base = {"data": "digits", "steps": 1, "model": "vit_gigantic14", "batch_size": 64}
    spec = study(base=base, grid={"seed": [0, 1]}, resources={"accelerator": "NVIDIA A100"})
    planned = expand(spec, describe_from(tmp_path))
    rows = plan.plan(spec, planned, tmp_path)
    # 1.8 billion weights with gradients and both moments are 16 bytes each: 29 GB and more.
    assert all(row["predicted_memory_bytes"] > 16 * row["params"] for row in rows)
    (line,) = plan.warnings(rows, planned)
    assert line.startswith("ViT-G/14 needs ") and "NVIDIA A100 has 80" in line
    assert plan.warnings(rows, [replace(one, resources=Resources()) for one in planned]) == []


def test_what_takes_too_long_or_is_too_much_for_the_queue_is_said(tmp_path: Path) -> None:
    write_done_run(tmp_path, "vit_nano2-before", images_per_second=0.2)
    spec = study(resources={"timeout_min": 60, "accelerator": "X9"})
    planned = rows(study(resources={"timeout_min": 60}), tmp_path)
    # 640 images at a tenth of an image a second.
    assert planned[0]["predicted_wall_seconds"] == pytest.approx(6400)
    device, time, queue = plan.warnings(planned, expand(spec, describe_from(tmp_path)), 1)
    assert device.startswith("resources.accelerator: X9 is not in the table")
    assert time.startswith("2 runs of ViT-nano/2 take up to 1.8 h, more than resources.timeout_min")
    assert queue.startswith("2 runs are to be done, the queue takes 1 jobs")


def test_price_energy_and_the_time_of_the_whole_study(tmp_path: Path) -> None:
    stated = {"accelerator": "A100", "utilization": 0.4, "price_per_accelerator_hour": 2.0}
    planned = rows(study(resources=stated | {"nodes": 2}), tmp_path)
    seconds = 6 * macs() * STEPS * BATCH / (0.4 * 19.5e12)
    assert {row["prediction"] for row in planned} == {"utilization"}
    assert planned[0]["predicted_wall_seconds"] == pytest.approx(seconds / 2)
    assert planned[0]["predicted_energy_joules"] == pytest.approx(400 * seconds)
    assert planned[0]["predicted_price"] == pytest.approx(2.0 * seconds / 3600)
    for parallel, rounds in ((1, 2), (2, 1), (5, 1)):
        found = plan.totals(planned, Resources(parallel=parallel))
        assert found["predicted_wall_seconds_to_do"] == pytest.approx(rounds * seconds / 2)
        assert found["predicted_price_to_do"] == pytest.approx(2 * 2.0 * seconds / 3600)


def test_runs_start_as_soon_as_a_slot_is_free() -> None:
    # On two slots: 3 and 1, then 1 and 1 beside the first: all end after 3.
    assert plan._wall_seconds([3.0, 1.0, 1.0, 1.0], 2) == 3.0
    assert plan._wall_seconds([3.0, 1.0, 1.0, 1.0], None) == 3.0
    assert plan._wall_seconds([3.0, None], 2) is None
    assert plan._wall_seconds([], 2) == 0.0


def test_the_ledger_foretells_a_second_seed(tmp_path: Path) -> None:
    spec = study(base=study().base | {"image_size": 8, "steps": 60}, resources={"parallel": 1})
    first, second = expand(spec, describe_from(tmp_path))
    for run in (first.run, second.run):
        (planned,) = [r for r in rows(spec, tmp_path) if r["run_id"] == run.run_id]
        run_dir = tmp_path / spec.study / run.run_id
        run_dir.mkdir(parents=True)
        (run_dir / "config.json").write_text(run.model_dump_json())
        train = [sys.executable, "-m", "bench", "train", str(run_dir)]
        subprocess.run(train, check=True, cwd=ROOT, capture_output=True)
    assert planned["prediction"] == "ledger"
    (row,) = parquet.read_rows(run_dir / "run.parquet")
    seconds = planned["accelerator_days"] * 86_400
    print(f"predicted {seconds:.2f} s of training, took {row['train_seconds']:.2f} s")
    assert seconds / 5 < row["train_seconds"] < 5 * seconds


def test_a_probe_measures_what_the_ledger_lacks(tmp_path: Path) -> None:
    spec = study(base=study().base | {"image_size": 8, "steps": 10_000})
    planned = plan.plan(spec, expand(spec, describe_from(tmp_path)), tmp_path, probe_steps=3)
    assert {row["prediction"] for row in planned} == {"probe"}
    assert planned[0]["accelerator_days"] == planned[1]["accelerator_days"] > 0
    assert planned[0]["predicted_wall_seconds"] > 86_400 * planned[0]["accelerator_days"]
