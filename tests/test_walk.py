"""From a spec of a few lines to a point on a figure, by the command line a user types."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from results import store
from results.ledger import parquet

SPEC = """
study: walk
base: {data: digits, image_size: 8, steps: 20, recipe.lr: 2e-3}
grid: {model: [vit_nano2, bit_nano], train_examples: [100, 200]}
"""


def scalestudy(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "bench", *(str(argument) for argument in arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def must(*arguments: object) -> str:
    done = scalestudy(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("walk")
    (folder / "spec.yaml").write_text(SPEC)
    must("submit", folder / "spec.yaml", "--root", folder / "runs", "--wait")
    return folder / "runs" / "walk"


def test_every_run_is_in_the_ledger_with_its_cost(study: Path) -> None:
    runs = store.load(study).runs
    assert len(runs) == 4
    assert set(runs["state"]) == {"done"}
    assert runs["examples_seen"].tolist() == [20 * 64] * 4
    # 3 × forward, 2 FLOPs a multiply-add.
    assert (runs["train_flops"] == 6 * runs["forward_macs_per_image"] * 20 * 64).all()
    assert (runs["train_flops_valid"] <= runs["train_flops"]).all()
    days = runs["train_seconds"] * runs["num_devices"] / 86_400
    assert runs["accelerator_days"].tolist() == pytest.approx(days.tolist())
    assert runs["top1_accuracy"].between(0, 1).all()
    for unknown in ("energy_joules", "peak_memory_bytes", "model_flops_utilization"):
        assert runs[unknown].isna().all(), unknown


def test_the_folder_is_laid_out_as_promised(study: Path) -> None:
    assert json.loads((study / "study.json").read_text())["study"] == "walk"
    for run_dir in study.glob("*-*-*"):
        assert re.search(r"-[0-9a-f]{12}$", run_dir.name)
        for path in ("config.json", "run.parquet", "attempts/0001.parquet"):
            assert (run_dir / path).is_file(), path
        assert list((run_dir / "curve").glob("*.parquet"))
        assert (run_dir / "checkpoint" / "weights.safetensors").is_file()
        (row,) = parquet.read_rows(run_dir / "run.parquet")
        manifests = list((study / "manifests").glob(f"*{row['data_manifest']}.json"))
        assert len(json.loads(manifests[0].read_text())["indices"]) == row["train_examples"]


def test_the_curve_goes_to_the_last_step(study: Path) -> None:
    curve = store.load(study).curve
    assert curve.groupby("run_id")["step"].apply(list).tolist() == [[10, 20]] * 4
    last = curve[curve["step"] == 20].set_index("run_id")
    runs = store.load(study).runs.set_index("run_id")
    assert last["train_flops"].to_dict() == runs["train_flops"].to_dict()


def test_a_second_submit_trains_nothing(study: Path) -> None:
    spec, root = study.parent.parent / "spec.yaml", study.parent
    answer = json.loads(must("submit", spec, "--root", root, "--wait", "--json"))
    assert answer["study"] == "walk" and len(answer["skipped"]) == 4
    assert not any(answer[key] for key in ("submitted", "cancelled", "left", "evaluations"))
    assert store.load(study).runs["attempts"].tolist() == [1] * 4


def test_status_and_plan_know_the_runs(study: Path) -> None:
    status = json.loads(must("status", study, "--json"))
    assert status["totals"]["done"] == 4
    assert {run["state"] for run in status["runs"]} == {"done"}
    assert all(run["step"] == run["num_steps"] == 20 for run in status["runs"])
    spec, root = study.parent.parent / "spec.yaml", study.parent
    plan = json.loads(must("plan", spec, "--root", root, "--json"))
    assert plan["totals"]["runs"] == 4 and plan["totals"]["runs_to_do"] == 0
    ledger = store.load(study).runs.set_index("run_id")
    for run in plan["runs"]:
        assert run["train_flops"] == ledger.loc[run["run_id"], "train_flops"]
        assert run["accelerator_days"] > 0, "measured runs should predict the next"


def test_a_plan_over_the_limit_is_refused(study: Path) -> None:
    arguments = (
        "plan",
        study.parent.parent / "spec.yaml",
        "--set",
        "seed=9",
        "--root",
        study.parent,
    )
    refused = scalestudy(*arguments, "--max-accelerator-days", "1e-9")
    assert refused.returncode == 1
    assert "accelerator-days, the limit is 1e-09" in refused.stderr
    assert scalestudy(*arguments, "--max-accelerator-days", "1").returncode == 0


@pytest.mark.parametrize(
    ("format", "expected"),
    [
        ("text", "ViT-nano/2"),
        ("markdown", "| ---"),
        ("csv", "top1_accuracy_mean"),
        ("latex", r"\toprule"),
    ],
)
def test_the_table_in_each_format(study: Path, format: str, expected: str) -> None:
    text = must("table", study, "--format", format)
    assert expected in text


def test_the_table_as_json_has_fractions(study: Path) -> None:
    rows = json.loads(must("table", study, "--json"))
    assert len(rows) == 4
    assert all(0 <= row["top1_accuracy_mean"] <= 1 for row in rows)
    assert all(row["top1_accuracy_std"] is None for row in rows)


@pytest.mark.parametrize("kind", ["frontier", "data-scale"])
def test_the_figures_are_drawn(study: Path, tmp_path: Path, kind: str) -> None:
    must("plot", kind, study, "-o", tmp_path / "figure.png", "--with-published")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
