"""Tables, figures, fits, comparisons and the report see the same configurations of a ledger."""

import pandas as pd
import pytest

from results import compare, fit, reference, table
from results.columns import configurations
from results.comparison import lines
from results.figures import points
from results.report import data

MODELS = (("A", 1e5, 1e9), ("B", 2e5, 3e9), ("C", 4e5, 9e9), ("D", 8e5, 3e10), ("E", 1.6e6, 1e11))


def make_runs() -> pd.DataFrame:
    """Return five models of two seeds each, and A's second run with another head: six in all."""
    rows = [
        {
            "study": "s",
            "run_id": f"{model}{seed}",
            "state": "done",
            "model": model,
            "label": model,
            "family": "vit",
            "params": params,
            "dataset": "d",
            "train_examples": 100,
            "epochs": 10.0,
            "image_size": 8,
            "recipe": "r",
            "init": "i",
            "batch_size": 8,
            "seed": seed,
            "train_flops": flops,
            "top1_accuracy": 0.5 + 0.05 * number + 0.01 * seed,
        }
        for number, (model, params, flops) in enumerate(MODELS)
        for seed in range(2)
    ]
    runs = pd.DataFrame(rows)
    runs.loc[1, "params"] = 1.1e5
    return runs


def counts(runs: pd.DataFrame, metric: str, cost: str) -> dict[str, int]:
    table_rows = len(table.comparison(runs, metric=metric).cells)
    report = data.payload(
        runs, pd.DataFrame(columns=["protocol", "value"]), {}, cost=cost, metric=metric
    )
    return {
        "ids": len(set(configurations.ids(runs))),
        "table": table_rows,
        "plot": len(points.of_error(runs, metric, cost)),
        "compare": len(lines.configurations(runs, metric=metric, x=cost)),
        "report": len(set(pd.Series(decoded(report["runs"]["data"]["configuration"])))),
    }


def decoded(column: object) -> list[object]:
    if isinstance(column, dict):
        return [column["of"][at] for at in column["at"]] if "of" in column else [column["all"]]
    assert isinstance(column, list)
    return column


def test_runs_of_one_model_that_differ_in_size_are_two_configurations_everywhere() -> None:
    runs = make_runs()
    found = counts(runs, "top1_accuracy", "train_flops")
    law = fit.fit_law(runs, replicas=0)
    assert found | {"fit": law.num_configurations} == dict.fromkeys([*found, "fit"], 6)


def test_the_papers_runs_are_as_many_everywhere() -> None:
    runs = reference.table6().assign(study="paper", run_id=range(18), state="done")
    found = counts(runs, "imagenet_accuracy", "train_flops_valid")
    assert set(found.values()) == {18}


@pytest.mark.parametrize("column", configurations.CONFIGURATION)
def test_any_column_of_a_configuration_tells_runs_apart_everywhere(column: str) -> None:
    runs = make_runs()
    runs["params"] = runs.groupby("model")["params"].transform("first")
    assert set(counts(runs, "top1_accuracy", "train_flops").values()) == {5}
    other = f"other {column}" if runs[column].dtype.kind not in "if" else 2 * runs[column][3]
    runs.loc[3, column] = other
    assert set(counts(runs, "top1_accuracy", "train_flops").values()) == {6}


def test_names_of_configurations_say_what_differs() -> None:
    names = lines.configurations(make_runs(), metric="top1_accuracy", x="train_flops")["name"]
    assert {"A, 100k params", "A, 110k params"} < set(names)
    assert compare.groups(make_runs(), "A, 100k params", "B", cost="train_flops").a.name
