"""What stands where in a table, by what was varied and what is known."""

from typing import Any

import pandas as pd
import pytest

from results.tables import layouts


def make_table(**columns: Any) -> Any:
    base = {
        "label": ["A", "A", "B", "B"],
        "family": ["vit", "vit", "bit", "bit"],
        "dataset": "digits",
        "pretrain_dataset": "digits",
        "train_examples": [100, 400, 100, 400],
        "epochs": 7.0,
        "seed": 0,
        "train_flops": [1.0, 2.0, 3.0, 4.0],
        "accelerator_days": None,
        "metric": "top1_accuracy",
        "value": 0.5,
    }
    return pd.DataFrame(base | columns).assign(evaluation="digits")


def test_the_usual_rows_are_models_and_what_was_varied() -> None:
    layout = layouts.usual(make_table(), ())
    assert layout.rows == ("family", "label", "train_examples")
    assert layout.costs == ("train_flops",)  # the others are missing or unknown
    assert layouts.usual(make_table(), ("train_examples",)).rows == ("family", "label")


def test_table_2_takes_each_models_runs_on_the_most_images() -> None:
    table, layout = layouts.of_paper("table2", make_table())
    assert table["train_flops"].tolist() == [2.0, 4.0]
    assert (layout.rows, layout.columns) == (("evaluation",), ("label",))
    assert (layout.costs, layout.costs_at) == (("train_flops",), "below")


def test_table_2_tells_models_by_their_training_set() -> None:
    table = make_table(pretrain_dataset=["a", "b", "a", "b"], train_examples=100)
    assert layouts.of_paper("table2", table)[1].columns == ("label", "pretrain_dataset")


def test_table_5_has_the_training_sets_down_the_side() -> None:
    table = make_table(pretrain_dataset=["a", "b", "a", "b"])
    layout = layouts.of_paper("table5", table)[1]
    assert layout.rows == ("pretrain_dataset", "evaluation")
    layout = layouts.of_paper("table5", make_table())[1]
    assert layout.rows == ("train_examples", "evaluation")


def test_table_6_has_a_row_per_run_and_seeds_where_there_are_several() -> None:
    layout = layouts.of_paper("table6", make_table())[1]
    assert layout.rows == ("label", "train_examples", "epochs")
    layout = layouts.of_paper("table6", make_table(train_examples=100, seed=[0, 1, 0, 1]))[1]
    assert layout.rows == ("label", "epochs", "seed")
    assert (layout.columns, layout.costs_at) == (("evaluation",), "right")


def test_the_cost_shown_is_the_one_that_is_known_for_most() -> None:
    table = make_table(train_flops=[1.0, 2.0, None, None], train_flops_valid=1.0)
    assert layouts.of_paper("table6", table)[1].costs == ("train_flops_valid",)


def test_an_unknown_form_comes_with_the_choices() -> None:
    with pytest.raises(layouts.UnknownForm, match="did you mean table2"):
        layouts.of_paper("table22", make_table())


def test_what_the_models_were_trained_on_is_said_though_each_saw_one_data_set() -> None:
    table = make_table(train_examples=100, dataset=["digits", "digits", "cifar", "cifar"])
    assert layouts.usual(table, ()).rows == ("family", "label", "dataset")
