"""Few-shot evaluation of a run that was really trained."""

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.data import sources
from bench.data.sources import describe_from
from bench.fewshot import FewShotError
from bench.protocols import base, evaluations
from bench.protocols.base import EvaluationError
from bench.run.config import Run, read_run
from bench.run.protocols import EvaluationRequest, FewShotOptions
from results import store
from results.ledger import parquet
from sweeps import submit
from sweeps.expand import expand
from sweeps.spec import StudySpec


def few_shot(**values: Any) -> EvaluationRequest:
    return EvaluationRequest(FewShotOptions(protocol="fewshot", **values))


def scalestudy(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One finished run, and one that was never started."""
    root = tmp_path_factory.mktemp("runs")
    base = {"data": "digits", "image_size": 8, "steps": 60, "recipe.lr": 2e-3, "batch_size": 64}
    spec = StudySpec(study="few", base=base, grid={"model": ["vit_nano2", "bit_nano"]})
    runs = [one.run for one in expand(spec, describe_from(root))]
    submit.write_study(root / "few", spec, runs)
    for run in runs:
        submit.write_config(root / "few", run)
    done = scalestudy("train", str(root / "few" / runs[0].run_id))
    assert done.returncode == 0, done.stderr
    return root / "few"


def test_a_finished_run_is_evaluated_once(study: Path) -> None:
    first = scalestudy("evaluate", str(study), "--protocol", "fewshot", "--json")
    assert first.returncode == 0, first.stderr
    rows = json.loads(first.stdout)
    assert [(r["shots"], r["seed"]) for r in rows] == [
        (shots, seed) for shots in (1, 5, 10, 25) for seed in (0, 1, 2)
    ]
    means = {n: np.mean([r["value"] for r in rows if r["shots"] == n]) for n in (1, 25)}
    assert 0.1 < means[1] < means[25]

    (path,) = study.glob("*/evals/fewshot-*.parquet")
    written = path.stat().st_mtime_ns
    again = scalestudy("evaluate", str(study), "--protocol", "fewshot")
    assert again.returncode == 0 and "25 shots" in again.stdout
    assert path.stat().st_mtime_ns == written

    evals = store.load(study).evals
    assert (evals["protocol"] == "fewshot").sum() == 12
    num_eval = sources.describe("digits").num_eval
    assert set(evals.loc[evals["protocol"] == "fewshot", "num_examples"]) == {num_eval}


def test_only_what_is_missing_is_computed(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (run_dir,) = (path.parent for path in study.glob("*/run.parquet"))
    wanted = few_shot(shots=[2], seeds=[7])
    path = wanted.path(run_dir, read_run(run_dir))
    path.unlink(missing_ok=True)
    (row,) = evaluations.evaluate_run(run_dir, wanted)
    asked: list[Any] = []

    def measure(*given: Any) -> list[Any]:
        asked.append(given[-1])
        return [{**row, "seed": 8}]

    monkeypatch.setitem(evaluations.PROTOCOLS, "fewshot", measure)
    more = few_shot(shots=[2], seeds=[7, 8])
    assert len(evaluations.evaluate_run(run_dir, more)) == 2
    assert asked == [[{"shots": 2, "seed": 8}]]
    path.unlink()


def test_evaluations_of_one_run_at_the_same_time_keep_the_rows_of_both(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run_dir,) = (path.parent for path in study.glob("*/run.parquet"))
    path = few_shot().path(run_dir, read_run(run_dir))
    path.unlink(missing_ok=True)
    has_second_begun = threading.Event()
    begun: list[int] = []

    def measure(run_dir: Path, run: Run, request: EvaluationRequest, cases: Any) -> list[Any]:
        begun.append(len(begun))
        if len(begun) > 1:
            has_second_begun.set()
        has_second_begun.wait(1.0)
        rows = base.shared_columns(run, request, 355)
        return [rows | case | {"value": 0.5} for case in cases]

    monkeypatch.setitem(evaluations.PROTOCOLS, "fewshot", measure)
    wanted = [few_shot(shots=[2], seeds=[seed]) for seed in (11, 12)]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda request: evaluations.evaluate_run(run_dir, request), wanted))
    assert sorted(row["seed"] for row in parquet.read_rows(path)) == [11, 12]
    path.unlink()


def test_another_data_set_has_a_file_of_its_own(study: Path) -> None:
    (run_dir,) = (path.parent for path in study.glob("*/run.parquet"))
    other = sources.describe("digits").model_copy(update={"name": "other", "fingerprint": "0" * 64})
    rows = evaluations.evaluate_run(run_dir, replace(few_shot(shots=[1], seeds=[0]), data=other))
    assert rows[0]["dataset"] == "other"
    assert (run_dir / "evals" / "fewshot-other-000000000000.parquet").exists()


def test_too_many_shots_and_missing_weights_are_refused(study: Path) -> None:
    (run_dir,) = (path.parent for path in study.glob("*/run.parquet"))
    with pytest.raises(FewShotError, match="expected at least 9000 shots"):
        evaluations.evaluate_run(run_dir, few_shot(shots=[9000]))
    (other,) = (p.parent for p in study.glob("*/config.json") if p.parent != run_dir)
    with pytest.raises(EvaluationError, match="only a finished run"):
        evaluations.evaluate_run(other, few_shot())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--protocol", "zeroshot"], "--protocol: given 'zeroshot', expected one of fewshot"),
        (["--protocol", "fewshot", "--shots", "x"], "--shots: given 'x', expected whole numbers"),
        (["--protocol", "fewshot", "--seeds", "-1"], "--seeds: given '-1', expected whole numbers"),
        (["--protocol", "fewshot", "--set", "shots"], "--set shots: expected key=value"),
        (["--protocol", "fewshot", "--set", "shot=[1]"], "shot: unknown key; did you mean shots?"),
        (["--protocol", "fewshot", "--data", "nowhere"], "nowhere does not exist"),
    ],
)
def test_wrong_arguments_are_one_line(study: Path, arguments: list[str], expected: str) -> None:
    refused = scalestudy("evaluate", str(study), *arguments)
    assert refused.returncode == 2
    assert expected in refused.stderr and refused.stderr.count("\n") == 1
