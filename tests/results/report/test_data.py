"""The report's columns hold what the ledger holds, in few bytes, and cannot leave their script."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from results import store
from results.report import data
from tests.helpers import large_ledger


def decode(encoded: Any, count: int) -> list[Any]:
    if isinstance(encoded, list):
        return encoded
    if "all" in encoded:
        return [encoded["all"]] * count
    return [None if code < 0 else encoded["of"][code] for code in encoded["at"]]


def test_encoding_is_undone_whatever_the_values() -> None:
    columns = {
        "same": (["a"] * 4, "string"),
        "few": (["a", "b", None, "a"], "string"),
        "many": (["a", "b", "c", None], "string"),
        "whole": ([1, 2**53, None, 1], "Int64"),
        "broken": ([0.5, None, 0.25, 0.5], "float64"),
        "flag": ([True, None, False, True], "boolean"),
        "unknown": ([None] * 4, "float64"),
    }
    for values, dtype in columns.values():
        assert decode(data.encode(pd.Series(values, dtype=dtype)), 4) == values


def test_what_repeats_is_kept_once() -> None:
    assert data.encode(pd.Series(["a"] * 1000)) == {"all": "a"}
    encoded = data.encode(pd.Series([1.5, 2.5] * 500))
    assert isinstance(encoded, dict) and encoded["of"] == [1.5, 2.5]


def test_infinite_and_undefined_are_unknown() -> None:
    assert data.encode(pd.Series([float("inf"), float("nan"), 1.0])) == [None, None, 1.0]


def test_json_cannot_end_its_script_element() -> None:
    value = {"</script><!--": "a & b\u2028"}
    text = data.to_json(value)
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == value


def test_every_known_column_is_there_and_unknown_ones_are_left_out(tmp_path: Path) -> None:
    study = store.load(large_ledger.write(tmp_path / "s", 60))
    made = data.payload(study.runs, study.evals, {}, cost="train_flops", metric="top1_accuracy")
    names = [column["name"] for column in made["columns"]]
    assert names == [name for name in study.runs if study.runs[name].notna().any()]
    assert made["axes"][0] == "train_flops" and "peak_memory_bytes" not in made["axes"]
    assert made["metrics"] == ["loss", "top1_accuracy"]
    assert [family["name"] for family in made["families"]] == ["vit", "hybrid", "bit"]
    titles = {column["name"]: column["title"] for column in made["columns"]}
    assert titles["train_flops"] == "training compute (FLOPs)"
    assert (titles["top1_accuracy"], titles["train_seconds"]) == ("top-1", "train seconds")


def test_seeds_of_a_configuration_share_its_number(tmp_path: Path) -> None:
    study = store.load(large_ledger.write(tmp_path / "s", 150))
    made = data.payload(study.runs, study.evals, {}, cost="train_flops", metric="top1_accuracy")
    count = made["runs"]["count"]
    columns = {name: decode(column, count) for name, column in made["runs"]["data"].items()}
    by = ["model", "train_examples"]
    frame = pd.DataFrame(columns).groupby(by)["configuration"]
    assert (frame.nunique() == 1).all() and frame.ngroups == 30  # 15 models in two sizes
    assert pd.DataFrame(columns).groupby("model")["line"].nunique().eq(1).all()


def test_evaluations_become_columns_with_the_mean_over_draws() -> None:
    runs = pd.DataFrame({"study": ["s", "s"], "run_id": ["a", "b"]})
    same = {"study": "s", "protocol": "fewshot", "dataset": "pets", "split": "test", "shots": 5}
    draws = [("a", 0, 0.5), ("a", 1, 0.75), ("b", 0, 0.25)]
    evals = pd.DataFrame(
        same | {"run_id": run, "seed": seed, "metric": "top1_accuracy", "value": value, "step": 9}
        for run, seed, value in draws
    ).assign(lr=float("nan"), image_size=224)
    wide, names = data.add_evaluations(runs, evals)
    assert names == ["fewshot pets, 5 shots, top-1 accuracy"]
    assert wide[names[0]].tolist() == [0.625, 0.25]


def test_evaluations_that_differ_in_their_learning_rate_are_not_mixed() -> None:
    runs = pd.DataFrame({"study": ["s"], "run_id": ["a"]})
    same = {"study": "s", "run_id": "a", "protocol": "finetune", "dataset": "pets"}
    evals = pd.DataFrame(
        same | {"lr": lr, "metric": "loss", "value": value}
        for lr, value in ((0.01, 1.0), (0.03, 2.0))
    ).assign(split="test", shots=None, image_size=8, step=9, seed=0)
    wide, names = data.add_evaluations(runs, evals)
    assert wide[names].iloc[0].tolist() == [1.0, 2.0]
    assert names == ["finetune pets, lr 0.01, loss", "finetune pets, lr 0.03, loss"]
