"""Few-shot evaluation: ridge regression on the features of few images of each class."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench import fewshot
from bench.data import sources
from bench.protocols import base, features
from bench.run.config import Run
from bench.run.protocols import Case, EvaluationRequest
from results.schema import Row


def measure(
    run_dir: Path, run: Run, request: EvaluationRequest, cases: Sequence[Case]
) -> list[Row]:
    """Return a row of each case, `shots` images a class drawn with `seed`.

    Raises FewShotError where a class has fewer images than shots.
    """
    source = request.source(run)
    train, test = sources.load(source, "train"), sources.load(source, "eval")
    chosen = [
        fewshot.choose(train.labels, case["shots"], case["seed"], source.num_classes)
        for case in cases
    ]
    used, size = np.unique(np.concatenate(chosen)), run.image_size
    x = features.load(run_dir, run, source, "train", used, size)
    x_test = features.load(run_dir, run, source, "eval", np.arange(len(test)), size)
    rows = []
    for case, at in zip(cases, chosen, strict=True):
        value = fewshot.ridge_accuracy(
            x[np.searchsorted(used, at)],
            train.labels[at],
            x_test,
            test.labels,
            num_classes=source.num_classes,
        )
        rows.append(base.shared_columns(run, request, len(test)) | case | {"value": value})
    return rows
