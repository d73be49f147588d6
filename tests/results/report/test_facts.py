"""Sums say over how many runs they are; what is unknown stays empty."""

import json
from pathlib import Path
from typing import Any

import pytest

from results import store
from results.ledger import parquet
from results.report import facts
from results.report.facts import (
    costs,
    provenance,
    specs,
    total,
)
from tests.helpers import large_ledger


@pytest.fixture
def study(tmp_path: Path) -> store.Study:
    return store.load(large_ledger.write(tmp_path / "s", 100))


def column(facts: facts.Facts, name: str) -> list[str]:
    at = facts.header.index(name)
    return [row[at] for row in facts.rows]


def test_a_sum_says_of_how_many_runs_it_is(study: store.Study) -> None:
    runs = study.runs
    known = runs["energy_joules"].notna().sum()
    assert total(runs["energy_joules"], "energy_joules").endswith(f"({known} of 100)")
    assert "of" not in total(runs["train_flops"], "train_flops")
    assert total(runs["peak_memory_bytes"], "energy_joules") == ""


def test_costs_add_up_over_families_failed_runs_included(study: store.Study) -> None:
    by_family, attempts, failures = costs(study)[0], costs(study)[1:-1], costs(study)[-1]
    assert by_family.rows[-1][0] == "all" and not attempts
    counts = [int(text) for text in column(by_family, "runs")]
    assert sum(counts[:-1]) == counts[-1] == 100
    assert column(by_family, "failed")[-1] == "2"  # rows 7 and 57
    assert failures.rows == (("CUDA out of memory", "2"),)
    flops = study.runs["train_flops"].sum() / 1e18
    assert column(by_family, "training compute")[-1] == f"{flops:.1f} exaFLOPs"


def test_attempts_are_counted_by_how_they_ended(tmp_path: Path) -> None:
    folder = large_ledger.write(tmp_path / "s", 2)
    key: dict[str, Any] = {"study": "large", "run_id": "a", "state": "failed"}
    rows = [key | {"attempt": at, "ended": how, "train_seconds": 30.0} for at, how in
            enumerate(("preempted", "preempted", None), start=1)]  # fmt: skip
    parquet.write(folder / "a" / "attempts" / "1.parquet", "attempts", rows)
    (attempts,) = [f for f in costs(store.load(folder)) if f.title == "How attempts ended"]
    assert attempts.rows == (("preempted", "2", "1 min 0 s"), ("not ended", "1", "30 s"))


def test_provenance_counts_runs_of_each_commit_manifest_and_seed(study: store.Study) -> None:
    code, manifests, seeds = provenance(study)
    assert sum(int(text) for text in column(manifests, "runs")) == 100
    assert column(seeds, "runs") == ["20"] * 5
    assert {row[1] for row in code.rows} == {"0" * 40}


def test_a_long_table_says_what_it_leaves_out(tmp_path: Path) -> None:
    rows = store.load(large_ledger.write(tmp_path / "s", 500, seed=None)).runs
    rows["host"] = [f"node{at}" for at in range(500)]
    made = provenance(type("S", (), {"runs": rows})())[0]
    assert len(made.rows) == 200 and made.note == "300 more rows are not shown."


def test_specs_are_shown_as_far_as_they_can_be_read(tmp_path: Path, study: store.Study) -> None:
    assert [(name, json.loads(text)["spec"]) for name, text in specs(study)] == [
        ("large", {"study": "large"})
    ]
    (study.folders[0] / "study.json").write_text("{")
    assert specs(study) == []
