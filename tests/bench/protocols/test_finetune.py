"""Fine-tuning of a run that was really trained: which rate, on which images, at which cost."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.data import sources
from bench.protocols import finetune
from bench.protocols.evaluations import evaluate_run
from bench.run.config import read_run
from bench.run.protocols import EvaluationRequest, FinetuneOptions
from bench.training.loop import train
from results import store
from results.ledger import parquet
from tests.helpers.runs import write_run

pytestmark = [
    # DeepSpeed compiles a function on import, and torch's compiler still uses torch.jit.
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
]
OPTIONS: dict[str, Any] = {
    "protocol": "finetune",
    "steps": 40,
    "batch_size": 64,
    "augment": "none",
    "lrs": [0.03, 0.0001],
    "seeds": [3, 4],
}


def request(**changes: Any) -> EvaluationRequest:
    return EvaluationRequest(FinetuneOptions.model_validate(OPTIONS | changes))


def folder_of(run_dir: Path, wanted: EvaluationRequest) -> Path:
    assert isinstance(wanted.options, FinetuneOptions)
    return finetune.folder(run_dir, wanted.source(read_run(run_dir)), wanted.options)


def trials(run_dir: Path, wanted: EvaluationRequest) -> list[dict[str, Any]]:
    """The rows of all trainings, those on fewer images first, then by learning rate and seed."""
    paths = folder_of(run_dir, wanted).glob("*/run.parquet")
    rows = [row for path in paths for row in parquet.read_rows(path)]
    return sorted(rows, key=lambda row: (row["train_examples"], rate(row), row["seed"]))


def rate(row: dict[str, Any]) -> float:
    (text,) = re.findall(r"lr=([0-9.e-]+)", row["recipe"])
    return float(text)


@pytest.fixture(scope="module")
def trunk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    study = tmp_path_factory.mktemp("study")
    run_dir = write_run(study, model_options={"dropout": 0.1})
    (study / "study.json").write_text("{}")
    train(run_dir)
    return run_dir


@pytest.fixture(scope="module")
def tuned(trunk: Path) -> tuple[Path, list[dict[str, Any]]]:
    return trunk, evaluate_run(trunk, request())


def test_the_rate_is_the_best_on_held_out_training_images(
    tuned: tuple[Path, list[dict[str, Any]]],
) -> None:
    run_dir, rows = tuned
    small, large, *finals = trials(run_dir, request())
    digits = sources.describe("digits")
    dev = sources.with_dev_split(digits, 0.1)
    assert (small["train_examples"], large["train_examples"]) == (dev.num_train, dev.num_train)
    assert [rate(small), rate(large)] == [0.0001, 0.03]
    assert large["top1_accuracy"] > small["top1_accuracy"]  # 0.0001 does next to nothing
    assert [row["lr"] for row in rows] == [0.03, 0.03]
    assert [row["seed"] for row in rows] == [3, 4] == [row["seed"] for row in finals]
    assert [row["train_examples"] for row in finals] == [digits.num_train] * 2
    assert [row["value"] for row in rows] == [row["top1_accuracy"] for row in finals]
    assert {row["init_run_id"] for row in finals} == {run_dir.name}


def test_the_compute_of_the_grid_stands_beside_that_of_the_winner(
    tuned: tuple[Path, list[dict[str, Any]]],
) -> None:
    run_dir, rows = tuned
    # 3 x forward, 2 FLOPs a multiply-add, 40 steps of 64 images; two rates were tried.
    once = 6 * read_run(run_dir).cost.forward_macs * 40 * 64
    assert {row["transfer_flops"] for row in rows} == {once}
    assert {row["search_flops"] for row in rows} == {2 * once}
    evals = store.load(run_dir.parent).evals
    found = evals[evals["protocol"] == "finetune"]
    assert sorted(found["value"]) == sorted(row["value"] for row in rows)
    assert set(found["step"]) == {40} and set(found["settings"]) == {
        request().options.cases()[0]["settings"]
    }


def test_dropout_and_weights_of_trainings_are_left_behind(
    tuned: tuple[Path, list[dict[str, Any]]],
) -> None:
    run_dir, _ = tuned
    folder = folder_of(run_dir, request())
    configs = [json.loads(path.read_text()) for path in folder.glob("*/config.json")]
    assert len(configs) == 4
    assert all(config["config"]["model_options"] == {} for config in configs)
    assert not list(folder.glob("*/checkpoint/weights.safetensors"))
    assert (run_dir / "checkpoint" / "weights.safetensors").exists()


def test_nothing_is_trained_twice(tuned: tuple[Path, list[dict[str, Any]]]) -> None:
    run_dir, rows = tuned
    before = trials(run_dir, request())
    again = evaluate_run(run_dir, request())
    assert [{key: row[key] for key in rows[0]} for row in again] == rows
    assert trials(run_dir, request()) == before
    more = evaluate_run(run_dir, request(seeds=[3, 4, 5]))
    assert [row["seed"] for row in more if row["settings"] == rows[0]["settings"]] == [3, 4, 5]
    after = trials(run_dir, request())
    assert len(after) == 5 and all(row in after for row in before)


def test_other_settings_are_other_rows(trunk: Path) -> None:
    one = evaluate_run(trunk, request(lrs=[0.01], seeds=[0], steps=3, image_size=12))
    row = next(row for row in one if row["image_size"] == 12)
    assert row["lr"] == 0.01 and row["search_flops"] == 0 and row["step"] == 3
    assert "3 steps batch=64 12px lrs=0.01 dev=0.1 sgd" in row["settings"]


def test_the_held_out_images_are_a_tenth_of_each_class() -> None:
    digits = sources.describe("digits")
    dev = sources.with_dev_split(digits, 0.1)
    train_images, dev_images = (sources.load(dev, split) for split in ("train", "eval"))
    everything = sources.load(digits, "train")
    assert len(train_images) + len(dev_images) == len(everything) == digits.num_train
    assert (len(train_images), len(dev_images)) == (dev.num_train, dev.num_eval)
    counts = np.bincount(everything.labels), np.bincount(dev_images.labels)
    assert all(n // 10 <= held <= -(-n // 10) for n, held in zip(*counts, strict=True))
    pixels = {image.tobytes() for image in train_images.read(range(len(train_images)))}
    held = [image.tobytes() for image in dev_images.read(range(len(dev_images)))]
    assert len(set(held) & pixels) <= 1  # the digits hold a pair of equal images at most


PROGRAM = """
import json, sys
from pathlib import Path
from bench.protocols.evaluations import evaluate_run
from bench.run.protocols import EvaluationRequest, FinetuneOptions
wanted = EvaluationRequest(FinetuneOptions.model_validate(json.loads(sys.argv[2])))
evaluate_run(Path(sys.argv[1]), wanted)
"""


def test_a_grid_that_was_killed_goes_on_and_ends_the_same(trunk: Path) -> None:
    options = OPTIONS | {"steps": 150, "seeds": [0], "lrs": [0.001, 0.01, 0.03]}
    wanted = EvaluationRequest(FinetuneOptions.model_validate(options))
    command = [sys.executable, "-c", PROGRAM, str(trunk), json.dumps(options)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    folder = folder_of(trunk, wanted)
    for _ in range(600):  # until the first training has ended and the second one begun
        if len(list(folder.glob("*/attempts/*.json"))) == 2:
            break
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    (first,) = trials(trunk, wanted)
    resumed = evaluate_run(trunk, wanted)
    rows = trials(trunk, wanted)
    assert rows[0] == first and len(rows) == 4
    assert [row["attempts"] for row in rows] == [1, 2, 1, 1]
    for path in folder.rglob("*"):
        if path.is_file():
            path.unlink()
    row = next(row for row in resumed if row["settings"] == wanted.options.cases()[0]["settings"])
    path = wanted.path(trunk, read_run(trunk))
    parquet.write(path, "evals", [other for other in resumed if other != row])
    again = evaluate_run(trunk, wanted)
    undisturbed = next(other for other in again if other["settings"] == row["settings"])
    assert undisturbed == row
    scores = [[r["top1_accuracy"], r["loss"]] for r in trials(trunk, wanted)]
    assert scores == [[r["top1_accuracy"], r["loss"]] for r in rows]
