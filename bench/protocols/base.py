"""Interface of evaluation protocols, and features of a trained network."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

import models
from bench.data.sources import Images
from bench.data.transforms import evaluation_batch, normalize
from bench.run.config import Run
from bench.run.errors import BenchError
from bench.run.protocols import Case, EvaluationRequest
from results.schema import Row

BATCH_SIZE = 256

# Measures the cases of a request that a finished run lacks: `measure(run_dir, run, request,
# cases)` returns rows of `evals`, among them one or more of each case.
Measure = Callable[[Path, Run, EvaluationRequest, Sequence[Case]], list[Row]]


class EvaluationError(BenchError):
    """An evaluation that does not exist, or a run that cannot be evaluated."""


def weights_of(run_dir: Path) -> Path:
    """Return the file of a finished run's weights; raise EvaluationError without."""
    weights = run_dir / "checkpoint" / "weights.safetensors"
    if not weights.exists():
        raise EvaluationError(f"{weights}: no such file; only a finished run can be evaluated")
    return weights


def load_network(run_dir: Path, image_size: int | None = None) -> torch.nn.Module:
    """Return the trained network of a finished run, for images of another size if one is given.

    Raises EvaluationError without weights.
    """
    return models.load_checkpoint(weights_of(run_dir), image_size=image_size).eval()


def shared_columns(run: Run, request: EvaluationRequest, num_examples: int) -> Row:
    """Return the columns that all rows of an evaluation by top-1 accuracy have in common."""
    return {
        "study": run.study,
        "run_id": run.run_id,
        "protocol": request.options.protocol,
        "dataset": request.source(run).name,
        "split": "eval",
        "metric": "top1_accuracy",
        "num_examples": num_examples,
        "step": run.num_steps,
        "image_size": run.image_size,
    }


@torch.no_grad()
def features(
    network: torch.nn.Module, images: Images, chosen: npt.NDArray[np.int64], image_size: int
) -> npt.NDArray[np.float32]:
    """Return the input of the network's head, (N, D), for the images at `chosen` (N,)."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    represent = getattr(network.to(device), "features", None)
    if represent is None:
        kind = type(network).__name__
        raise EvaluationError(
            f"network {kind}: expected a method `features` that returns the input of its head"
        )
    found = []
    for pixels in _batches(images, chosen, image_size):
        found.append(represent(normalize(pixels.to(device))).float().cpu())
    return np.asarray(torch.cat(found).numpy())


def _batches(
    images: Images, chosen: npt.NDArray[np.int64], image_size: int
) -> Iterator[torch.Tensor]:
    for start in range(0, len(chosen), BATCH_SIZE):
        yield evaluation_batch(images.read(chosen[start : start + BATCH_SIZE].tolist()), image_size)
