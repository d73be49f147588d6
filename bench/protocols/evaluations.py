"""Evaluate finished runs from their saved weights."""

from pathlib import Path

from filelock import FileLock

from bench.protocols import fewshot, finetune, knn, linear
from bench.protocols.base import Measure
from bench.run.config import read_run
from bench.run.protocols import Case, EvaluationRequest, recorded
from results.ledger import parquet
from results.schema import Row

# By name, as the options in `bench.run.protocols`.
PROTOCOLS: dict[str, Measure] = {
    "fewshot": fewshot.measure,
    "linear": linear.measure,
    "knn": knn.measure,
    "finetune": finetune.measure,
}


def evaluate_run(run_dir: Path, request: EvaluationRequest) -> list[Row]:
    """Return the rows of one finished run: measure and write those that are missing.

    Raises EvaluationError if the run has no saved weights, and any exception of the protocol.
    """
    run = read_run(run_dir)
    path = request.path(run_dir, run)
    path.parent.mkdir(exist_ok=True)
    # Two evaluations of one run may differ in their options only: both add to the same file.
    with recorded(run_dir, request), FileLock(path.with_name(f".{path.stem}.lock")):
        rows = parquet.read_rows(path) if path.exists() else []
        missing = [case for case in request.options.cases() if not _is_measured(case, rows)]
        if missing:
            rows += PROTOCOLS[request.options.protocol](run_dir, run, request, missing)
            parquet.write(path, "evals", rows)
    return rows


def _is_measured(case: Case, rows: list[Row]) -> bool:
    return any(all(row.get(name) == value for name, value in case.items()) for row in rows)
