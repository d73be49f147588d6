"""New evaluations of finished runs, from the weights that they left."""

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

import models
from bench import fewshot
from bench.data import sources
from bench.data.sources import Images
from bench.data.transforms import evaluation_batch, normalize
from bench.run.config import Run, read_run
from bench.run.errors import BenchError
from bench.run.protocols import FewShot, traced
from results.ledger import parquet

Row = dict[str, Any]

PROTOCOLS = ("fewshot",)
BATCH_SIZE = 256


class EvaluationError(BenchError):
    """An evaluation that does not exist, or a run that cannot be evaluated."""


def check_protocol(protocol: str) -> None:
    """Raises EvaluationError for a protocol that there is not."""
    if protocol not in PROTOCOLS:
        raise EvaluationError(
            f"--protocol: given {protocol!r}, expected one of {', '.join(PROTOCOLS)}"
        )


def evaluate_run(run_dir: Path, wanted: FewShot) -> list[Row]:
    """The rows of one finished run: those that are there, and those that were missing, written.

    Raises EvaluationError where the run has left no weights, and FewShotError where a class has
    fewer images than shots.
    """
    run = read_run(run_dir)
    path = wanted.path(run_dir, run)
    with traced(run_dir, wanted), _alone(path):
        there = parquet.read_rows(path) if path.exists() else []
        known = {(row["shots"], row["seed"]) for row in there}
        cases = [(n, seed) for n in wanted.shots for seed in wanted.seeds]
        missing = [case for case in cases if case not in known]
        if missing:
            there += _measure(run_dir, run, wanted, missing)
            parquet.write(path, "evals", there)
    return there


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Waits until no other process adds rows to the file."""
    path.parent.mkdir(exist_ok=True)
    with path.with_name(f".{path.stem}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _measure(
    run_dir: Path, run: Run, wanted: FewShot, missing: Sequence[tuple[int, int]]
) -> list[Row]:
    source = wanted.source(run)
    train, test = sources.load(source, "train"), sources.load(source, "eval")
    chosen = {
        case: fewshot.choose(train.labels, case[0], case[1], source.num_classes) for case in missing
    }
    weights = run_dir / "checkpoint" / "weights.safetensors"
    if not weights.exists():
        raise EvaluationError(f"{weights}: no such file; only a finished run can be evaluated")
    network = models.load_checkpoint(weights).eval()
    used = np.unique(np.concatenate(list(chosen.values())))
    features = _features(network, train, used, run.image_size)
    test_features = _features(network, test, np.arange(len(test)), run.image_size)
    shared = {
        "study": run.study,
        "run_id": run.run_id,
        "protocol": "fewshot",
        "dataset": source.name,
        "split": "eval",
        "metric": "top1_accuracy",
        "num_examples": len(test),
        "step": run.num_steps,
        "image_size": run.image_size,
    }
    return [
        shared
        | {
            "shots": shots,
            "seed": seed,
            "value": fewshot.ridge_accuracy(
                features[np.searchsorted(used, at)],
                train.labels[at],
                test_features,
                test.labels,
                num_classes=source.num_classes,
            ),
        }
        for (shots, seed), at in chosen.items()
    ]


@torch.no_grad()
def _features(
    network: torch.nn.Module, images: Images, chosen: npt.NDArray[np.int64], image_size: int
) -> npt.NDArray[np.float32]:
    """What the head would read, (N, D), of the images at `chosen`."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    represent = network.to(device).features
    assert callable(represent)
    found = []
    for pixels in _batches(images, chosen, image_size):
        found.append(represent(normalize(pixels.to(device))).float().cpu())
    return torch.cat(found).numpy()


def _batches(
    images: Images, chosen: npt.NDArray[np.int64], image_size: int
) -> Iterator[torch.Tensor]:
    for start in range(0, len(chosen), BATCH_SIZE):
        yield evaluation_batch(images.read(chosen[start : start + BATCH_SIZE].tolist()), image_size)
