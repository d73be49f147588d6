"""Few-shot evaluation: ridge regression on the features of few images of each class."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench import fewshot
from bench.data import sources
from bench.protocols import base
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
    network = base.load_network(run_dir)
    used = np.unique(np.concatenate(chosen))
    features = base.features(network, train, used, run.image_size)
    test_features = base.features(network, test, np.arange(len(test)), run.image_size)
    rows = []
    for case, at in zip(cases, chosen, strict=True):
        value = fewshot.ridge_accuracy(
            features[np.searchsorted(used, at)],
            train.labels[at],
            test_features,
            test.labels,
            num_classes=source.num_classes,
        )
        rows.append(base.shared_columns(run, request, len(test)) | case | {"value": value})
    return rows
