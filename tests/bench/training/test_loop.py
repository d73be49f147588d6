"""One run from its folder to its row: whole, interrupted, failed, alone and in company."""

import json
import socket
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from safetensors import safe_open
from safetensors.torch import load_file

from bench.engine.engine import Engine
from bench.run.attempt import AlreadyRunning, Attempt, read_disk
from bench.run.recipe import Recipe
from bench.training.loop import NonFiniteLoss, train
from results import store
from results.ledger import parquet
from results.schema import STUDY_TABLES
from tests.helpers.processes import Start
from tests.helpers.runs import BATCH_SIZE, RANDOM, STEPS, read_all, row_of, weights, write_run

OFTEN: dict[str, Any] = {"checkpoint_seconds": 1e-6, "heartbeat_seconds": 1e-6, "log_steps": 2}


def test_a_run_leaves_the_files_of_a_study(done: Path) -> None:
    study = done.parent
    files = {str(path.relative_to(done)) for path in done.rglob("*") if path.is_file()}
    assert files == {
        "config.json",
        "attempts/0001.json",
        "attempts/0001.parquet",
        "curve/0001-00000012.parquet",
        "evals/upstream.parquet",
        "run.parquet",
        "checkpoint/weights.safetensors",
    }
    tables = [parquet.metadata(path)["scalestudy.table"] for path in done.rglob("*.parquet")]
    assert sorted(tables) == sorted(STUDY_TABLES)
    for table, path in zip(tables, done.rglob("*.parquet"), strict=True):
        assert parquet.columns(path) == [column.name for column in STUDY_TABLES[table]]
    (manifest,) = (study / "manifests").iterdir()
    content = json.loads(manifest.read_text())
    assert content["manifest"] == row_of(done)["data_manifest"]
    assert content["indices"] == list(range(1442))  # all of the digits' training images
    loaded = store.load(study)
    assert loaded.skipped == [] and list(loaded.runs.run_id) == [done.name]


def test_the_row_of_a_run_is_complete(done: Path) -> None:
    row = row_of(done)
    expected = {
        "run_id": done.name,
        "state": "done",
        "attempts": 1,
        "steps": STEPS,
        "examples_seen": STEPS * BATCH_SIZE,
        "train_examples": 1442,
        "epochs": STEPS * BATCH_SIZE / 1442,
        "num_devices": 1,
        "accelerator_days": row["train_seconds"] / 86400,
        "train_flops": 6.0 * row["forward_macs_per_image"] * STEPS * BATCH_SIZE,
        # What a CPU does not tell is null.
        "energy_joules": None,
        "peak_memory_bytes": None,
        "init": None,
        "init_run_id": None,
        "init_flops": None,
        "init_examples_seen": None,
        "own_flops": 6 * row["forward_macs_per_image"] * STEPS * BATCH_SIZE,
        "model_flops_utilization": None,
        "normalized_accelerator_days": None,
        "failure": None,
    }
    assert {key: row[key] for key in expected} == expected
    nulls = {name for name, value in row.items() if value is None}
    nulls -= {"git_commit", "git_dirty"}  # where this is no checkout
    assert nulls == {name for name, value in expected.items() if value is None}
    assert all(row[f"{kind}_seconds"] > 0 for kind in ("train", "eval", "checkpoint", "startup"))
    assert 0 <= row["top1_accuracy"] <= row["top5_accuracy"] <= 1


def test_the_curve_has_every_point_once(done: Path) -> None:
    rows = read_all(done / "curve")
    assert [row["step"] for row in rows] == [2, 4, 6, 8, 10, 12]
    assert [row["examples_seen"] for row in rows] == [64 * i for i in range(1, 7)]
    # Ten classes at random are ln 10 = 2.3 nats.
    assert 1.5 < rows[0]["loss"] < 3.5
    seconds = [row["train_seconds"] for row in rows]
    assert seconds == sorted(seconds)
    assert all(row["grad_norm"] > 0 and row["images_per_second"] > 0 for row in rows)


def test_the_weights_say_what_network_they_are_of(done: Path) -> None:
    with safe_open(done / "checkpoint" / "weights.safetensors", "pt") as file:
        assert file.metadata() == {
            "model": "vit_nano2",
            "num_classes": "10",
            "image_size": "8",
            "model_options": '{"dropout": 0.2}',
        }


def test_a_run_that_is_done_is_left_alone(done: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in done.rglob("*")}
    train(done)
    assert {path: path.stat().st_mtime_ns for path in done.rglob("*")} == before


@pytest.mark.parametrize(
    "engine",
    [{"num_workers": 2}, {"log_steps": 5, "eval_batch_size": 100, "checkpoint_seconds": 1e-6}],
)
def test_how_a_run_is_executed_does_not_change_a_bit(
    done: Path, tmp_path: Path, engine: dict[str, Any]
) -> None:
    other = write_run(tmp_path, engine, **RANDOM)
    assert other.name == done.name
    train(other)
    assert weights(other) == weights(done)
    every = engine.get("log_steps", 10)
    points = [step for step in range(1, STEPS + 1) if step % every == 0 or step == STEPS]
    assert [row["step"] for row in read_all(other / "curve")] == points
    same = ("top1_accuracy", "top5_accuracy", "data_manifest", "train_flops")
    assert [row_of(other)[name] for name in same] == [row_of(done)[name] for name in same]


@pytest.mark.parametrize("stage", [1, 2, 3])
# DeepSpeed compiles a function on import, and torch's compiler still uses torch.jit.
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
# DeepSpeed's stage 3 calls collectives by names that torch has renamed.
@pytest.mark.filterwarnings("ignore:.*torch.distributed:FutureWarning")
def test_every_stage_finishes_the_same_run(done: Path, tmp_path: Path, stage: int) -> None:
    other = write_run(tmp_path, OFTEN | {"zero_stage": stage}, **RANDOM)
    train(other)
    assert row_of(other)["forward_macs_per_image"] == row_of(done)["forward_macs_per_image"]
    for a, b in zip(read_all(other / "curve"), read_all(done / "curve"), strict=True):
        assert a["loss"] == pytest.approx(b["loss"], abs=1e-4)


KILLED = """
import os, signal, sys
from pathlib import Path
from bench.training.recorder import Recorder
from bench.training.loop import train

class Deadly(Recorder):
    def beat(self, step):
        super().beat(step)
        if step == 7:
            os.kill(os.getpid(), signal.SIGKILL)

train.__globals__["Recorder"] = Deadly
train(Path(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def resumed(tmp_path_factory: pytest.TempPathFactory, start_python: Start) -> Path:
    """The same run, killed at step 7, after its checkpoint at step 6, and started again."""
    run_dir = write_run(tmp_path_factory.mktemp("killed"), OFTEN, **RANDOM)
    _, errors = start_python(KILLED, run_dir).communicate(timeout=240)
    pointer = run_dir / "checkpoint" / "latest.json"
    assert pointer.exists(), errors
    assert json.loads(pointer.read_text())["step"] == 6
    assert read_disk(run_dir).state == "missing"
    train(run_dir)
    return run_dir


def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(done: Path, resumed: Path) -> None:
    assert weights(resumed) == weights(done)
    for name in ("loss", "top1_accuracy", "top5_accuracy"):
        assert row_of(resumed)[name] == row_of(done)[name]


def test_resume_continues_at_the_saved_step(resumed: Path) -> None:
    first, second = read_all(resumed / "attempts")
    keys = ("ended", "from_examples", "to_examples")
    assert [first[key] for key in keys] == ["lost", 0, 7 * BATCH_SIZE]
    assert [second[key] for key in keys] == ["done", 6 * BATCH_SIZE, 12 * BATCH_SIZE]


def test_the_ledger_of_a_resumed_run_sums_over_its_attempts(resumed: Path) -> None:
    row, attempts = row_of(resumed), read_all(resumed / "attempts")
    assert row["attempts"] == 2
    for kind in ("train", "eval", "checkpoint", "startup"):
        name = f"{kind}_seconds"
        assert row[name] == pytest.approx(sum(attempt[name] for attempt in attempts))
    # Step 7 was done twice, and is charged twice.
    assert row["images_per_second"] == pytest.approx(13 * BATCH_SIZE / row["train_seconds"])
    assert row["examples_seen"] == 12 * BATCH_SIZE


def test_the_curve_of_a_resumed_run_has_every_step(done: Path, resumed: Path) -> None:
    rows = read_all(resumed / "curve")
    assert [row["step"] for row in rows] == [2, 4, 6, 8, 10, 12]
    assert [row["attempt"] for row in rows] == [1, 1, 1, 2, 2, 2]
    assert [row["loss"] for row in rows] == [row["loss"] for row in read_all(done / "curve")]
    seconds = [row["train_seconds"] for row in rows]
    assert seconds == sorted(seconds)
    assert {path.name for path in (resumed / "checkpoint").iterdir()} == {"weights.safetensors"}


def test_a_seed_chooses_the_weights_and_the_order_of_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[int]] = []

    class Looking(Engine):
        def train_step(self, images: Any, labels: Any, lr: float, **options: Any) -> None:
            seen.append(labels.tolist())
            super().train_step(images, labels, lr, **options)

    monkeypatch.setitem(train.__globals__, "Engine", Looking)
    changes: list[dict[str, Any]] = [{}, {"seed": 1}, {"subset_seed": 1}]
    # With a rate so small the weights stay as they were initialized, but for zeros.
    still: dict[str, Any] = {"steps": 1, "train_examples": 100, "recipe": Recipe(lr=1e-30)}
    folders = [write_run(tmp_path, **still, **change) for change in changes]
    for folder in folders:
        train(folder)
    one, other, _ = (load_file(folder / "checkpoint/weights.safetensors") for folder in folders)
    assert max(float((one[name] - other[name]).abs().max()) for name in one) > 0.01
    assert seen[0] != seen[1]
    manifests = [row_of(folder)["data_manifest"] for folder in folders]
    assert manifests[0] == manifests[1] != manifests[2]


def test_a_loss_that_is_no_number_fails_the_run(tmp_path: Path) -> None:
    # One step takes the weights beyond what fp32 can multiply, and the next one finds out.
    run_dir = write_run(tmp_path, recipe=Recipe(lr=1e30))
    with pytest.raises(NonFiniteLoss) as error:
        train(run_dir)
    row = row_of(run_dir)
    assert row["state"] == "failed"
    where = "the loss is nan at step 2: so is class_token, first of the weights; "
    where += "last checkpoint: step 0"
    assert str(error.value) == where
    assert row["failure"] == f"NonFiniteLoss: {where}"
    assert row["steps"] == 2 and row["loss"] is None
    assert not (run_dir / "checkpoint" / "weights.safetensors").exists()


def test_a_run_that_failed_is_tried_again(tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        (tmp_path / "pets" / label).mkdir(parents=True)
        for i in range(20):
            pixels = np.full((8, 8, 3), 5 * i + 100 * (label == "dog"), np.uint8)
            PIL.Image.fromarray(pixels).save(tmp_path / "pets" / label / f"{i}.png")
    run_dir = write_run(tmp_path, data="pets")
    (tmp_path / "pets").rename(tmp_path / "away")
    with pytest.raises(OSError, match="pets"):
        train(run_dir)
    assert row_of(run_dir)["state"] == "failed"
    assert row_of(run_dir)["train_seconds"] == 0.0

    (tmp_path / "away").rename(tmp_path / "pets")
    train(run_dir)
    row = row_of(run_dir)
    assert (row["state"], row["attempts"], row["failure"]) == ("done", 2, None)
    assert row["top5_accuracy"] is None  # of two classes
    assert row["accelerator_days"] == pytest.approx(row["train_seconds"] / 86400)


def test_a_run_that_is_under_way_is_left_to_its_process(tmp_path: Path) -> None:
    run_dir = write_run(tmp_path)
    Attempt(run_dir)
    with pytest.raises(AlreadyRunning, match="already running on"):
        train(run_dir)
    assert not (run_dir / "run.parquet").exists()
    assert read_disk(run_dir).state == "running"


RANK = """
import sys
from pathlib import Path
import torch
from bench.engine.engine import Engine
from bench.training.loop import train

class Telling(Engine):
    def train_step(self, *arguments, **options):
        print(torch.initial_seed())
        super().train_step(*arguments, **options)

train.__globals__["Engine"] = Telling
train(Path(sys.argv[1]))
"""


def test_two_processes_train_one_run(tmp_path: Path, start_python: Start) -> None:
    # Dropout draws differ between ranks, so this run has none.
    alone, together = (write_run(tmp_path / name, augment="crop_flip") for name in "ab")
    train(alone)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    ranks = [
        start_python(RANK, together, RANK=rank, LOCAL_RANK=rank, **shared) for rank in range(2)
    ]
    drawn = set()
    for process in ranks:
        output, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors
        drawn |= set(output.split())
    assert len(drawn) == 2 * STEPS  # each step of each rank has a seed of its own
    one, two = row_of(alone), row_of(together)
    assert (two["state"], two["num_devices"], two["attempts"]) == ("done", 2, 1)
    assert two["accelerator_days"] == 2 * two["train_seconds"] / 86400
    assert two["loss"] == pytest.approx(one["loss"], abs=1e-4)
    for a, b in zip(read_all(alone / "curve"), read_all(together / "curve"), strict=True):
        assert a["loss"] == pytest.approx(b["loss"], abs=1e-4)
        assert a["grad_norm"] == pytest.approx(b["grad_norm"], abs=1e-3)
    evaluated = [row["num_examples"] for row in read_all(together / "evals")]
    assert evaluated == [355, 355, 355]  # each image once
