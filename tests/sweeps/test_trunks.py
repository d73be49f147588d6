"""Runs that start from other runs of their study: which, in which order, and at what cost."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.data.sources import describe
from bench.run.init import Inits
from results import store
from sweeps import spec as specs
from sweeps.documents import SpecError
from sweeps.expand import Planned, expand
from sweeps.launch import Work
from sweeps.points import idle

SPEC = """
study: small
base: {data: digits, steps: 4, batch_size: 32}
grid: {model: [vit_nano2, bit_nano], seed: [0, 1], train_examples: [400, 100]}
overrides:
  - match: {train_examples: 100}
    set: {init: {train_examples: 400}, init_head: new}
"""


def scalestudy(*words: object) -> str:
    command = [sys.executable, "-m", "bench", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def planned(folder: Path, text: str) -> list[Planned]:
    (folder / "spec.yaml").write_text(text)
    spec, _ = specs.load(str(folder / "spec.yaml"))
    assert not idle(spec)
    return expand(spec, describe, Inits(folder, folder / "runs" / spec.study))


def test_a_selector_finds_the_run_of_the_same_model_and_seed(tmp_path: Path) -> None:
    runs = [one.run for one in planned(tmp_path, SPEC)]
    trunks = {run.run_id: run for run in runs if run.config.train_examples == 400}
    others = [run for run in runs if run.config.train_examples == 100]
    assert len(trunks) == len(others) == 4
    for run in others:
        assert run.init is not None and run.init.run_id is not None
        trunk = trunks[run.init.run_id]
        assert (trunk.config.model, trunk.config.seed) == (run.config.model, run.config.seed)
        # 3 x forward, 2 FLOPs a multiply-add, 4 steps of 32 images.
        assert run.init.flops == 6 * run.cost.forward_macs * 4 * 32
        assert run.init.source == f"../{trunk.run_id}/checkpoint/weights.safetensors"


def test_trunks_may_be_of_another_model_or_seed_where_that_is_said(tmp_path: Path) -> None:
    text = SPEC.replace("init: {train_examples: 400}", "init: {train_examples: 400, seed: 0}")
    runs = {one.run_id: one.run for one in planned(tmp_path, text)}
    starts = [runs[run.init.run_id] for run in runs.values() if run.init and run.init.run_id]
    assert {run.config.seed for run in starts} == {0} and len(starts) == 4


@pytest.mark.parametrize(
    ("selector", "complaint"),
    [
        ("{train_examples: 300}", "init: 0 runs of the study have model=vit_nano2 seed=0 train"),
        ("{data: digits, seed: [0, 1]}", "init: 3 runs of the study have"),
        ("{train_example: 400}", "init.train_example: unknown key; did you mean train_examples"),
    ],
)
def test_a_selector_names_exactly_one_run(tmp_path: Path, selector: str, complaint: str) -> None:
    text = SPEC.replace("init: {train_examples: 400}", f"init: {selector}")
    with pytest.raises(SpecError) as caught:
        planned(tmp_path, text)
    assert complaint in str(caught.value)


def test_runs_that_start_from_each_other_are_refused(tmp_path: Path) -> None:
    text = (
        SPEC
        + """
  - match: {train_examples: 400}
    set: {init: {train_examples: 100}}
"""
    )
    with pytest.raises(SpecError, match="starts from this one itself"):
        planned(tmp_path, text)


def test_trunks_go_first_and_room_takes_them_first() -> None:
    work = Work({"c": 0, "b": 0, "a": 0, "d": 0}, [], False, trunks={"c": "b", "b": "a"})
    assert work.levels() == [["a", "d"], ["b"], ["c"]]
    assert set(work.fit_into(3).train) == {"a", "d", "b"}
    assert set(work.fit_into(1).train) == {"a"}
    # A trunk that is done, or outside of the study, is not waited for.
    assert Work({"c": 0}, [], False, trunks={"c": "b"}).levels() == [["c"]]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of eight runs, half of which start from the others, submitted at once."""
    folder = tmp_path_factory.mktemp("trunks")
    (folder / "spec.yaml").write_text(SPEC)
    scalestudy("submit", folder / "spec.yaml", "--root", folder / "runs", "--wait")
    return folder / "runs" / "small"


def test_a_study_trains_trunks_before_what_starts_from_them(study: Path) -> None:
    runs = store.load(study).runs.set_index("run_id")
    assert set(runs["state"]) == {"done"} and set(runs["attempts"]) == {1}
    for _, row in runs[runs["init_run_id"].notna()].iterrows():
        trunk = runs.loc[row["init_run_id"]]
        assert trunk["ended_at"] <= row["created_at"]
        assert row["total_flops"] == row["own_flops"] + trunk["train_flops"]


def test_plan_charges_a_trunk_once(study: Path) -> None:
    spec, root = study.parent.parent / "spec.yaml", study.parent
    found = json.loads(scalestudy("plan", spec, "--root", root, "--json"))
    assert found["totals"]["total_flops"] == found["totals"]["train_flops"]
    assert sum(row["total_flops"] for row in found["runs"]) > found["totals"]["total_flops"]
    # From a run of another study: charged once for the two runs that start from it.
    trunk = next(row for row in found["runs"] if row["init"] is None)
    other = root.parent / "other.yaml"
    other.write_text(
        "study: other\nbase: {data: digits, steps: 2, model: " + trunk["model"] + ", "
        f"init: {study / trunk['run_id']}}}\ngrid: {{seed: [0, 1]}}\n"
    )
    found = json.loads(scalestudy("plan", other, "--root", root, "--json"))
    own = found["totals"]["train_flops"]
    assert found["totals"]["total_flops"] == own + trunk["train_flops"]
