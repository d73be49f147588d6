"""From a study on the disk to a spec of further runs, and the verb `next` that asks for them."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

import models
from bench.cli.app import main
from bench.data.sources import describe, describe_from
from bench.run.config import Run
from results.ledger import parquet
from sweeps import expand, submit
from sweeps import spec as specs
from sweeps.forecast import candidates, plan
from sweeps.spec import StudySpec

SPEC = """
study: small
base: {data: digits, image_size: 8, steps: 40, batch_size: 32}
grid:
  model: [vit_nano2, vit_micro2, bit_nano, bit_micro]
  train_examples: [100, 400, null]
resources: {max_accelerator_days: 1, accelerator: A100, utilization: 0.4}
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study whose runs all ended, with errors of a power law of compute and some noise."""
    (tmp_path / "small.yaml").write_text(SPEC)
    spec, folder = specs.load(str(tmp_path / "small.yaml"))
    planned = expand.expand(spec, describe_from(folder))
    runs = [one.run for one in planned]
    root = tmp_path / "runs"
    (root / "small").mkdir(parents=True)
    submit.write_study(root / "small", spec, runs)
    noise = np.random.default_rng(0)
    for row in plan.plan(spec, planned, root):
        run = next(run for run in runs if run.run_id == row["run_id"])
        submit.write_config(root / "small", run)
        error = 0.3 * (row["train_flops"] / 1e10) ** -0.3 * math.exp(0.1 * noise.normal())
        known = {key: row[key] for key in ("run_id", "model", "label", "family", "params")}
        known |= {key: row[key] for key in ("train_examples", "seed", "train_flops", "recipe")}
        done = {"study": "small", "state": "done", "top1_accuracy": 1 - error, "num_devices": 1}
        done |= {"image_size": 8, "images_per_second": 1e13 / row["forward_macs_per_image"]}
        parquet.write(root / "small" / run.run_id / "run.parquet", "runs", [known | done])
    return root / "small"


def expanded(spec: StudySpec, folder: Path) -> list[Run]:
    return [one.run for one in expand.expand(spec, describe_from(folder))]


def test_candidates_are_new_seeds_of_every_model_that_suits(study: Path) -> None:
    spec, runs = candidates.read(study)
    assert len(runs) == 12
    wide = candidates.widen(spec, runs, ["vit", "bit"], seeds=2)
    assert wide.grid["model"] == ["vit_nano2", "vit_micro2", "bit_nano", "bit_micro"]
    assert wide.grid["seed"] == [0, 1, 2]
    # Between 100, 400 and all 1,442 images there are sqrt(100 x 400) and sqrt(400 x 1442).
    assert wide.grid["train_examples"] == [100, 400, None, 200, 759]
    assert models.config("r8_vit_nano2").family not in ("vit", "bit")
    possible, rows, known = candidates.costs(wide, study.parent, describe)
    assert known
    assert len(possible) == 4 * 5 * 3 - 12  # without those that are there
    assert all(row["accelerator_days"] > 0 for row in rows)


def test_an_octave_more_images_is_proposed_where_the_data_have_them(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SPEC.replace("[100, 400, null]", "[100, 400]"))
    spec, folder = specs.load(str(tmp_path / "small.yaml"))
    wide = candidates.widen(spec, expanded(spec, folder), ["vit"])
    assert wide.grid["train_examples"] == [100, 400, 200, 800]
    fixed = SPEC.replace("  train_examples: [100, 400, null]\n", "")
    (tmp_path / "fixed.yaml").write_text(fixed)
    spec, folder = specs.load(str(tmp_path / "fixed.yaml"))
    assert "train_examples" not in candidates.widen(spec, expanded(spec, folder), ["vit"]).grid


def test_the_spec_holds_exactly_the_chosen_runs(study: Path, tmp_path: Path) -> None:
    spec, runs = candidates.read(study)
    wide = candidates.widen(spec, runs, ["vit", "bit"])
    possible, _, _ = candidates.costs(wide, study.parent, describe)
    chosen = [possible[at] for at in (0, 5, 7, 20)]
    (tmp_path / "next.yaml").write_text(specs.dump(candidates.only(wide, chosen)))
    loaded, folder = specs.load(str(tmp_path / "next.yaml"))
    again = expand.expand(loaded, describe_from(folder))
    assert {run.run_id for run in again} == {run.run_id for run in chosen}


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in arguments])
    out, err = capsys.readouterr()
    return int(end.value.code or 0), out, err


def test_next_prints_a_spec_that_plan_takes(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, rows, _ = candidates.costs(
        candidates.widen(*candidates.read(study), ["vit", "bit"]), study.parent, describe
    )
    budget = 3 * max(row["accelerator_days"] for row in rows)
    code, out, err = run(capsys, "next", study, "--budget-days", budget)
    assert code == 0, err
    assert "expected after" in err
    (tmp_path / "next.yaml").write_text(out)
    root = ("--root", study.parent)
    code, planned, err = run(capsys, "plan", tmp_path / "next.yaml", *root, "--json")
    assert code == 0, err
    plan_of_next = json.loads(planned)
    assert plan_of_next["totals"]["accelerator_days_to_do"] <= budget
    assert plan_of_next["totals"]["runs_to_do"] == plan_of_next["totals"]["runs"] > 0
    code, out, _ = run(capsys, "next", study, "--budget-days", budget, "--json")
    document = json.loads(out)
    assert {row["run_id"] for row in document["runs"]} == {
        row["run_id"] for row in plan_of_next["runs"]
    }
    before, after = document["before"][0], document["after"][0]
    assert after["high"] / after["low"] < before["high"] / before["low"]


def test_what_is_not_affordable_ends_with_one(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, "next", study, "--budget-days", 1e-12)
    assert (code, out) == (1, "")
    assert "nothing is affordable" in err
    code, _, err = run(capsys, "next", study, "--budget-days", 1, "--question", "best")
    assert code == 2
    assert "expected ratio, crossing, law" in err
