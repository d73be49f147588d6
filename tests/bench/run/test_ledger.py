"""Sums over attempts by hand; unknown stays unknown."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import models
from bench.run import heartbeat, ledger
from bench.run.attempt import Attempt
from bench.run.config import DataInfo, Run, RunConfig
from bench.run.heartbeat import NO_REPORT
from bench.run.ledger import Evaluation
from models.cost.macs import Cost, train_flops
from results.ledger import parquet
from results.schema import TABLES
from tests.helpers.heartbeats import make_beat, write_beat

DATA = DataInfo(
    name="cats",
    source="/data/cats",
    kind="folder",
    num_train=500,
    num_eval=50,
    num_classes=10,
    fingerprint="f00d",
)
CONFIG = RunConfig(model="vit_nano2", epochs=2, batch_size=50, seed=3)
RUN = Run(study="study", config=CONFIG, data=DATA)
MACS = 1000

# Two attempts: killed after 600 of 1000 images, and resumed from a checkpoint at 400.
FIRST: dict[str, Any] = {
    "attempt": 1,
    "state": "failed",
    "ended": "lost",
    "hosts": "n1,n2",
    "device": "NVIDIA A100-SXM4-80GB",
    "num_devices": 4,
    "from_examples": 0,
    "to_examples": 600,
    "train_seconds": 30.0,
    "eval_seconds": 0.0,
    "checkpoint_seconds": 2.0,
    "startup_seconds": 10.0,
    "energy_joules": 5000.0,
    "peak_memory_bytes": 300,
    "created_at": datetime(2026, 7, 1, 10, tzinfo=UTC),
    "ended_at": None,
}
SECOND = FIRST | {
    "attempt": 2,
    "state": "done",
    "ended": "done",
    "hosts": "n3",
    "num_devices": 8,
    "from_examples": 400,
    "to_examples": 1000,
    "train_seconds": 20.0,
    "eval_seconds": 5.0,
    "startup_seconds": 12.0,
    "energy_joules": 7000.0,
    "peak_memory_bytes": 200,
    "created_at": datetime(2026, 7, 1, 11, tzinfo=UTC),
    "ended_at": datetime(2026, 7, 1, 12, tzinfo=UTC),
}


def attempts(*rows: dict[str, Any]) -> list[dict[str, Any]]:
    names = [column.name for column in TABLES["attempts"]]
    return [dict.fromkeys(names) | row for row in rows]


def run_row(*rows: dict[str, Any], **changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "state": "done",
        "failure": None,
        "cost": Cost("toy", params=77, forward_macs=MACS, forward_macs_valid=900),
        "manifest": "abc",
        "evaluation": Evaluation(50, 1.5, 0.4, 0.8),
    }
    return ledger.run_row(RUN, attempts(*rows), **(given | changes))


def test_training_costs_three_forward_passes_of_two_flops_a_multiply_add() -> None:
    assert train_flops(MACS, 10) == 3 * 2 * 1000 * 10
    # ViT-H/14 at 518 pixels over 300 million images seven times is more than 2⁶³ FLOPs.
    assert train_flops(10**12, 21 * 10**8) == pytest.approx(1.26e22)


def test_sums_run_over_every_attempt() -> None:
    total = ledger.totals(attempts(FIRST, SECOND))
    assert total == {
        "train_seconds": 50.0,
        "eval_seconds": 5.0,
        "checkpoint_seconds": 4.0,
        "startup_seconds": 22.0,
        "energy_joules": 12000.0,
        "accelerator_days": (4 * 30 + 8 * 20) / 86400,
        "peak_memory_bytes": 300,
        "images_per_second": (600 + 600) / 50,  # images done twice were trained on twice
    }


@pytest.mark.parametrize(
    ("unknown", "sums"),
    [
        ("train_seconds", {"train_seconds", "accelerator_days", "images_per_second"}),
        ("num_devices", {"accelerator_days"}),
        ("energy_joules", {"energy_joules"}),
        ("to_examples", {"images_per_second"}),
        ("peak_memory_bytes", {"peak_memory_bytes"}),
    ],
)
def test_a_sum_with_an_unknown_part_is_unknown(unknown: str, sums: set[str]) -> None:
    for rows in ((FIRST | {unknown: None}, SECOND), (FIRST, SECOND | {unknown: None})):
        total = ledger.totals(attempts(*rows))
        assert {key for key, value in total.items() if value is None} == sums


def test_an_attempt_that_never_trained_adds_its_start_up_alone() -> None:
    begun = {"attempt": 1, "startup_seconds": 3.0, "train_seconds": 0.0, "energy_joules": 1.0}
    begun |= {"eval_seconds": 0.0, "checkpoint_seconds": 0.0, "peak_memory_bytes": 0}
    total = ledger.totals(attempts(begun, SECOND))
    assert total["startup_seconds"] == 3.0 + 12.0
    assert total["accelerator_days"] == 8 * 20 / 86400
    assert total["images_per_second"] == 600 / 20


def test_no_attempts_cost_nothing() -> None:
    total = ledger.totals([])
    assert total["train_seconds"] == total["accelerator_days"] == 0
    assert total["peak_memory_bytes"] is total["images_per_second"] is None


def test_the_row_of_a_run_that_is_done() -> None:
    row = run_row(FIRST, SECOND)
    model = models.config("vit_nano2")
    expected = {
        "study": "study",
        "run_id": RUN.run_id,
        "state": "done",
        "failure": None,
        "attempts": 2,
        "model": "vit_nano2",
        "label": model.label,
        "family": "vit",
        "params": 77,
        "image_size": 8,
        "dataset": "cats",
        "data_manifest": "abc",
        "train_examples": 500,
        "examples_seen": 1000,
        "epochs": 2.0,
        "steps": 20,
        "batch_size": 50,
        "seed": 3,
        "recipe": CONFIG.recipe.label,
        "train_flops": 6.0 * MACS * 1000,
        "train_flops_valid": 6.0 * 900 * 1000,
        "device": "NVIDIA A100-SXM4-80GB",
        "num_devices": 8,
        "train_seconds": 50.0,
        "loss": 1.5,
        "top1_accuracy": 0.4,
        "top5_accuracy": 0.8,
        "host": "n3",
        "created_at": FIRST["created_at"],
        "ended_at": SECOND["ended_at"],
    }
    assert {key: row[key] for key in expected} == expected
    # An A100 does 19.5 TFLOP/s at most in fp32 without TF32 (NVIDIA A100 data sheet).
    assert row["model_flops_utilization"] == pytest.approx(6 * MACS * 24 / (19.5e12 * 8))
    days = row["accelerator_days"] * 19.5 / 312
    assert row["normalized_accelerator_days"] == pytest.approx(days)
    assert set(row) == {column.name for column in TABLES["runs"]}


@pytest.mark.parametrize("device", ["Intel(R) Xeon(R) CPU @ 2.20GHz", "A new accelerator", None])
def test_utilization_of_an_unknown_peak_is_unknown(device: str | None) -> None:
    assert run_row(FIRST, SECOND | {"device": device})["model_flops_utilization"] is None


def test_what_a_failed_run_did_not_reach_is_null(tmp_path: Path) -> None:
    bare = {"attempt": 1, "created_at": FIRST["created_at"]}
    row = run_row(bare, state="failed", failure="why", evaluation=None, manifest=None)
    parquet.write(tmp_path / "run.parquet", "runs", [row])
    (read,) = parquet.read_rows(tmp_path / "run.parquet")
    assert (read["state"], read["failure"]) == ("failed", "why")
    for name in ("examples_seen", "steps", "train_flops", "train_seconds", "accelerator_days"):
        assert read[name] is None, name
    for name in ("loss", "top1_accuracy", "top5_accuracy", "data_manifest", "host", "device"):
        assert read[name] is None, name


def test_evaluations_are_a_row_a_metric() -> None:
    rows = ledger.eval_rows(RUN, Evaluation(50, 1.5, 0.4, None))
    assert [(row["metric"], row["value"]) for row in rows] == [
        ("loss", 1.5),
        ("top1_accuracy", 0.4),
    ]
    for row in rows:
        assert (row["protocol"], row["dataset"], row["split"]) == ("upstream", "cats", "eval")
        assert (row["num_examples"], row["step"], row["image_size"]) == (50, 20, 8)


def test_an_attempt_is_written_and_read_back(tmp_path: Path) -> None:
    beat = make_beat(
        job_id="7_1",
        ended="done",
        created_at=FIRST["created_at"],
        train_seconds=3.0,
        num_devices=2,
        step=20,
    )
    ledger.write_attempt(tmp_path, RUN, 1, beat)
    (row,) = ledger.read_attempts(tmp_path)
    assert (row["run_id"], row["attempt"], row["state"]) == (RUN.run_id, 1, "done")
    assert (row["job_id"], row["train_seconds"], row["num_devices"]) == ("7_1", 3.0, 2)
    assert row["created_at"] == FIRST["created_at"]
    assert row["ended_at"] is None and row["energy_joules"] is None


def test_attempts_are_read_oldest_first(tmp_path: Path) -> None:
    assert ledger.read_attempts(tmp_path) == []
    for number in (10, 2, 1):
        ledger.write_attempt(tmp_path, RUN, number, make_beat(ended="failed"))
    assert [row["attempt"] for row in ledger.read_attempts(tmp_path)] == [1, 2, 10]


def test_a_hanging_attempt_is_recorded_with_the_seconds_that_another_rank_counted(
    tmp_path: Path,
) -> None:
    Attempt(tmp_path).beat(0.0, step=7, train_seconds=1.0)
    seconds = {"train_seconds": 3.0, "startup_seconds": 2.0}
    ledger.end_attempt(tmp_path, RUN, 1, "hang", "no progress for 9 s", seconds)
    (row,) = ledger.read_attempts(tmp_path)
    assert (row["ended"], row["reason"]) == ("hang", "no progress for 9 s")
    assert (row["train_seconds"], row["startup_seconds"]) == (3.0, 2.0)
    beat = heartbeat.read(tmp_path, 1)
    assert beat is not None and (beat.ended, beat.train_seconds, beat.step) == ("hang", 3.0, 7)


def test_an_attempt_that_died_gets_a_row_that_says_so(tmp_path: Path) -> None:
    write_beat(tmp_path, 1, train_seconds=4.0)
    write_beat(tmp_path, 2, ended="preempted", reason="SIGUSR2")
    ledger.write_lost_attempts(tmp_path, RUN, before=3)
    lost, preempted = ledger.read_attempts(tmp_path)
    assert (lost["state"], lost["ended"], lost["reason"]) == ("failed", "lost", NO_REPORT)
    assert lost["train_seconds"] == 4.0
    assert (preempted["ended"], preempted["reason"]) == ("preempted", "SIGUSR2")


def test_attempts_of_a_run_are_counted_by_their_number() -> None:
    # The rows of the first two are gone: somebody has deleted them.
    assert run_row(SECOND | {"attempt": 3})["attempts"] == 3


def test_the_last_micro_batch_out_of_memory_is_halved() -> None:
    attempts = [
        {"ended": "out_of_memory", "micro_batch_size": 32},
        {"ended": "out_of_memory", "micro_batch_size": 16},
        {"ended": "preempted", "micro_batch_size": 8},
    ]
    assert ledger.micro_batch_limit(attempts) == 8
    assert ledger.micro_batch_limit(attempts[2:]) is None
