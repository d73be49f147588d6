"""What a study will cost, and when that is too much or not known."""

from pathlib import Path
from typing import Any

import pytest

import models
import models.cost
from bench.accelerators import peak_flops
from results import parquet
from sweeps import plan
from sweeps.expand import expand
from sweeps.spec import Resources, SpecError, StudySpec

STEPS, BATCH = 10, 64


def study(**changes: Any) -> StudySpec:
    values: dict[str, Any] = {
        "study": "small",
        "base": {"data": "digits", "steps": STEPS, "batch_size": BATCH, "model": "vit_nano2"},
        "grid": {"seed": [0, 1]},
    }
    return StudySpec.model_validate(values | changes)


def rows(spec: StudySpec, root: Path) -> list[dict[str, Any]]:
    return plan.plan(spec, expand(spec, root), root)


def macs() -> int:
    return models.cost.count(models.config("vit_nano2"), num_classes=10).forward_macs


def write_done_run(root: Path, run_id: str, images_per_second: float) -> None:
    row = {
        "study": "before",
        "run_id": run_id,
        "state": "done",
        "model": "vit_nano2",
        "image_size": 8,
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
    write_done_run(tmp_path, "r1", images_per_second=200.0)
    planned = rows(study(), tmp_path)
    days = STEPS * BATCH / (200.0 / 2) / 86_400
    assert [row["accelerator_days"] for row in planned] == pytest.approx([days, days])
    with pytest.raises(plan.LimitExceeded, match="accelerator-days, the limit is"):
        plan.check_limit(planned, 1.9 * days)
    plan.check_limit(planned, 2.1 * days)


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
    rows = plan.plan(spec, expand(spec, tmp_path), tmp_path)
    # 1.8 billion weights with gradients and both moments are 16 bytes each: 29 GB and more.
    assert all(row["predicted_memory_bytes"] > 16 * row["params"] for row in rows)
    (line,) = plan.warnings(rows, spec.resources)
    assert line.startswith("ViT-G/14 needs ") and "NVIDIA A100 has 80" in line
    assert plan.warnings(rows, Resources()) == []
