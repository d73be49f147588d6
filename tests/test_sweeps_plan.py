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


@pytest.mark.parametrize(
    ("stage", "devices", "bytes_per_weight"),
    [
        (0, 1, 16.0),  # weight, gradient and two moments of 4 bytes each
        (0, 4, 16.0),
        (1, 4, 8.0 + 8.0 / 4),
        (2, 4, 4.0 + 12.0 / 4),
        (3, 4, 16.0 / 4),
    ],
)
def test_zero_stages_share_the_state_out(
    tmp_path: Path, stage: int, devices: int, bytes_per_weight: float
) -> None:
    base = {"data": "digits", "steps": 1, "model": "vit_nano2", "engine.zero_stage": stage}
    (run,) = expand(study(base=base, grid={}), tmp_path)
    got = plan.state_memory_bytes(1000, run, Resources(nodes=devices))
    assert got == 1000 * bytes_per_weight
