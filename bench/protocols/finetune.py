"""Fine-tuning: all weights trained further on other data (arXiv:2010.11929, appendix B.1.1).

Each training is a run of its own in a folder below the run's `evals/`, so that a grid that was
interrupted goes on where it stopped: what has ended is not trained again.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.data import sources
from bench.protocols import base
from bench.protocols.base import EvaluationError
from bench.run.config import DataInfo, EngineConfig, Run, RunConfig
from bench.run.init import Inits
from bench.run.protocols import Case, EvaluationRequest, FinetuneOptions
from bench.training.loop import train
from results.ledger import parquet
from results.ledger.files import write_bytes
from results.schema import Row

# Options of the pre-training that fine-tuning does not take over.
REGULARIZATION = {"dropout", "attention_dropout", "stochastic_depth", "head_bias_init"}


def measure(
    run_dir: Path, run: Run, request: EvaluationRequest, cases: Sequence[Case]
) -> list[Row]:
    """Return a row of each case, a seed: top-1 after fine-tuning with the chosen learning rate.

    The rate is chosen once, with the first of the options' seeds. Of equal rates the smaller is
    chosen. Raises EvaluationError if a training fails, and DataError.
    """
    options = request.options
    assert isinstance(options, FinetuneOptions)
    source = request.source(run)
    trials = _Trials(run_dir, run, folder(run_dir, source, options), options)
    search = []
    if len(options.lrs) > 1:
        dev = sources.with_dev_split(source, options.dev_fraction)
        search = [trials.run(dev, lr, options.seeds[0]) for lr in sorted(options.lrs)]
    lr = min(options.lrs)
    if search:
        scores = [row["top1_accuracy"] for row in search]
        lr = sorted(options.lrs)[scores.index(max(scores))]
    rows = []
    for case in cases:
        final = trials.run(source, lr, case["seed"])
        shared = base.shared_columns(run, request, source.num_eval)
        rows.append(
            shared
            | case
            | {
                "value": final["top1_accuracy"],
                "lr": lr,
                "step": final["steps"],
                "image_size": final["image_size"],
                "transfer_flops": final["train_flops"],
                "search_flops": sum(row["train_flops"] for row in search),
            }
        )
    trials.remove_weights()
    return rows


def folder(run_dir: Path, source: DataInfo, options: FinetuneOptions) -> Path:
    """Return the folder of the trainings on a data set, the same for any seeds."""
    digest = hashlib.sha256(f"{source.fingerprint} {options.label}".encode()).hexdigest()
    return run_dir / "evals" / f"finetune-{digest[:12]}"


class _Trials:
    """Trainings that start from one run, each in a folder of its own."""

    def __init__(self, run_dir: Path, run: Run, folder: Path, options: FinetuneOptions) -> None:
        self._run, self._folder, self._options = run, folder, options
        self._init = Inits(run_dir).of_run(run, run_dir.resolve())

    def run(self, data: DataInfo, lr: float, seed: int) -> Row:
        """Return the row of a training, which is done first if it is not yet."""
        trial = self._trial(data, lr, seed)
        trial_dir = self._folder / trial.run_id
        if not (trial_dir / "config.json").exists():
            trial_dir.mkdir(parents=True, exist_ok=True)
            write_bytes(trial_dir / "config.json", trial.model_dump_json(indent=2).encode())
        train(trial_dir)
        (row,) = parquet.read_rows(trial_dir / "run.parquet")
        if row["state"] != "done":
            raise EvaluationError(f"{trial_dir}: fine-tuning failed: {row['failure']}")
        return row

    def remove_weights(self) -> None:
        """Delete the trained weights, which are as large as the run's, once rows are made."""
        for path in self._folder.glob("*/checkpoint/weights.safetensors"):
            path.unlink()

    def _trial(self, data: DataInfo, lr: float, seed: int) -> Run:
        options, config = self._options, self._run.config
        model_options: dict[str, Any] = {
            key: value for key, value in config.model_options.items() if key not in REGULARIZATION
        }
        trial = RunConfig(
            model=config.model,
            data=data.source,
            image_size=options.image_size or config.image_size,
            steps=options.steps,
            batch_size=options.batch_size,
            seed=seed,
            augment=options.augment,
            model_options=model_options,
            init=str(self._init.source),
            init_head="new",
            recipe=options.recipe.model_copy(update={"lr": lr}),
            engine=EngineConfig(num_workers=config.engine.num_workers),
        )
        return Run(study=self._run.study, config=trial, data=data, init=self._init)
