"""Comparison tables: means over seeds as people and as programs read them."""

import doctest
import math
import statistics
from typing import Any

import pandas as pd
import pytest

from results import reference, table
from results.columns import configurations
from results.tables import layouts, render

SCORES = {("vit_s8", 100): [0.50, 0.54], ("vit_s8", 400): [0.80], ("bit_r8", 100): [0.60, 0.60]}


def make_runs(scores: Any = SCORES, **values: Any) -> Any:
    family = {"vit_s8": "vit", "bit_r8": "bit"}
    rows = [
        {
            "study": "digits",
            "state": "done",
            "model": model,
            "label": {"vit_s8": "ViT-S/8", "bit_r8": "ResNet-8"}[model],
            "family": family[model],
            "params": 700_000,
            "dataset": "digits",
            "train_examples": train_examples,
            "epochs": 10.0,
            "seed": seed,
            "forward_macs_per_image": 8_500_000,
            "train_flops": 6 * 8_500_000.0 * 10 * train_examples,
            "top1_accuracy": score,
        }
        | values
        for (model, train_examples), found in scores.items()
        for seed, score in enumerate(found)
    ]
    return pd.DataFrame(rows)


def rows_of(made: Any) -> Any:
    return [dict(zip(made.header, cells, strict=True)) for cells in made.cells]


def test_a_row_is_a_configuration_and_its_score_the_mean_over_seeds() -> None:
    first, second, third = rows_of(table.comparison(make_runs()))
    spread = 100 * statistics.stdev([0.50, 0.54])  # divides by n - 1
    assert first["top-1 (%)"] == f"52.00 ± {spread:.2f}" == "52.00 ± 2.83"
    assert (first["model"], first["training images"], first["n"]) == ("ViT-S/8", "100", "2")
    assert (second["top-1 (%)"], second["n"]) == ("80.00", "1")  # one run has no ±
    assert third["top-1 (%)"] == "60.00 ± 0.00"


def test_costs_stand_in_readable_units() -> None:
    row = rows_of(table.comparison(make_runs()))[0]
    assert row["params (k)"] == "700"
    assert row["forward MMACs"] == "8.50"
    assert row["train gigaFLOPs"] == "51.0"  # 6 x 8.5e6 x 1000 images


def test_the_papers_compute_stands_in_exaflops() -> None:
    made = table.comparison(reference.table6(), costs=["train_flops_valid"])
    cells = {(row["model"], row["epochs"]): row for row in rows_of(made)}
    assert cells[("ViT-H/14", "14")]["train exaFLOPs, valid"] == "4,262"
    assert cells[("ViT-H/14", "14")]["top-1 (%)"] == "88.08"
    assert cells[("ResNet50x1", "7")]["train exaFLOPs, valid"] == "50.0"


def test_rows_follow_family_and_size() -> None:
    made = table.comparison(make_runs({("bit_r8", 100): [0.6], ("vit_s8", 100): [0.5]}))
    assert [row["family"] for row in rows_of(made)] == ["ViT", "ResNet"]


def test_what_was_varied_makes_rows_of_its_own() -> None:
    runs = pd.concat([make_runs(), make_runs(recipe="sgd", top1_accuracy=0.1)])
    runs["recipe"] = runs["recipe"].fillna("adam")
    made = table.comparison(runs)
    assert made.header[:4] == ("family", "model", "training images", "recipe")
    assert "over seeds;" in made.footnote


def test_pooling_more_than_seeds_is_said_in_the_footnote() -> None:
    made = table.comparison(make_runs(), rows=["family"])
    assert "over seeds, training images;" in made.footnote
    assert "over seeds;" in table.comparison(make_runs()).footnote


def test_values_of_a_column_stand_side_by_side_with_empty_cells() -> None:
    made = table.comparison(make_runs(), columns="train_examples")
    resnet, vit = sorted(rows_of(made), key=lambda row: row["model"])
    assert vit["100"] == "52.00 ± 2.83"
    assert vit["400"] == "80.00"
    assert resnet["400"] == ""
    assert "train gigaFLOPs" not in vit  # it differs between the columns


def test_failed_and_unfinished_runs_do_not_count() -> None:
    runs = make_runs({("vit_s8", 100): [0.50, 0.90]})
    runs.loc[1, "state"] = "failed"
    runs.loc[1, "train_flops"] = 1.0
    (row,) = rows_of(table.comparison(runs))
    assert (row["top-1 (%)"], row["n"], row["train gigaFLOPs"]) == ("50.00", "1", "51.0")
    runs["state"] = "failed"
    (row,) = rows_of(table.comparison(runs))
    assert (row["top-1 (%)"], row["n"]) == ("", "")
    assert row["params (k)"] == "700"


def test_the_best_score_is_bold_highest_accuracy_or_lowest_loss() -> None:
    markdown = render.to_markdown(table.comparison(make_runs()))
    assert markdown.count("**") == 2
    assert "**80.00**" in markdown
    runs = make_runs().rename(columns={"top1_accuracy": "loss"})
    assert "**0.520 ± 0.028**" in render.to_markdown(table.comparison(runs, metric="loss"))


def test_a_lone_score_is_not_called_best() -> None:
    assert "**" not in render.to_markdown(table.comparison(make_runs({("vit_s8", 100): [0.5]})))


def test_no_runs_make_an_empty_table() -> None:
    made = table.comparison(make_runs().iloc[:0])
    for write in render.RENDERERS.values():
        assert "52.00" not in write(made)


def test_a_missing_column_comes_with_the_near_match() -> None:
    with pytest.raises(configurations.MissingColumn, match=r"'top1' is missing.*top1_accuracy"):
        table.comparison(make_runs(), metric="top1")


# --- evaluations, forms, other summaries


def make_evals(runs: Any, value: Any = 0.9, draws: Any = (0, 1), shots: Any = (1, 5)) -> Any:
    """Upstream top-1 of each run, and few-shot accuracies that rise with shots and draw."""
    shared = {"split": "eval", "metric": "top1_accuracy", "lr": None, "step": 10, "num_examples": 9}
    rows = []
    for run in runs.itertuples():
        own = {"study": run.study, "run_id": run.run_id, **shared}
        rows.append(own | {"protocol": "upstream", "dataset": "digits", "value": run.top1_accuracy})
        rows += [
            own
            | {"protocol": "fewshot", "dataset": "pets", "shots": n, "seed": draw}
            | {"value": value - 0.1 / n + 0.02 * draw - 0.1 * run.seed}
            for n in shots
            for draw in draws
        ]
    made = pd.DataFrame(rows)
    return made.assign(manifest=None, image_size=8).astype({"shots": "Int64", "seed": "Int64"})


def make_ledger(scores: Any = SCORES) -> Any:
    runs = make_runs(scores)
    runs["run_id"] = [f"run-{at}" for at in range(len(runs))]
    return runs, make_evals(runs)


def test_draws_are_averaged_in_a_run_before_the_spread_over_seeds() -> None:
    runs, evals = make_ledger({("vit_s8", 100): [0.5, 0.6], ("bit_r8", 100): [0.6, 0.6]})
    made = table.comparison(runs, evals, rows="label", columns="shots", costs=[])
    vit = rows_of(made)[0]
    # seed 0: (0.80 + 0.82) / 2, seed 1: 0.1 less; over both 0.76 with |0.1| / sqrt(2)
    assert vit["1-shot"] == f"76.00 ± {100 * 0.1 / 2**0.5:.2f}"
    assert "over seeds, each run the mean of its draws" in made.footnote
    assert "(here always 2)" in made.footnote


def test_of_lone_runs_the_spread_is_over_draws_and_the_footnote_says_so() -> None:
    runs, evals = make_ledger({("vit_s8", 100): [0.5], ("bit_r8", 100): [0.6]})
    made = table.comparison(runs, evals, form="table2")
    few = next(row for row in rows_of(made) if row["evaluation"] == "pets, 5-shot")
    # 0.88 and 0.90
    assert few["ViT-S/8"] == f"89.00 ± {100 * statistics.stdev([0.88, 0.90]):.2f}"
    assert "over draws of the images" in made.footnote
    assert "evaluations of finished runs" in made.footnote


def test_form_of_table_2_has_data_sets_by_models_and_a_cost_row() -> None:
    runs, evals = make_ledger()
    runs["accelerator_days"] = runs["train_examples"] / 100.0
    made = table.comparison(runs, evals, form="table2")
    assert made.header == ("evaluation", "ViT-S/8", "ResNet-8")
    names = [cells[0] for cells in made.cells]
    assert names == ["digits", "pets, 1-shot", "pets, 5-shot", "accelerator days"]
    assert made.cells[-1][1:] == ("4.00", "1.00")  # ViT-S/8 on 400 images, ResNet-8 on 100
    assert "the most training images" in made.footnote
    assert made.rules == {3}
    assert (0, 1) in made.bold  # 80 against 60: along the row


def test_form_of_table_5_has_training_sets_and_data_sets_by_models() -> None:
    made = table.comparison(*make_ledger(), form="table5")
    assert made.header == ("training images", "evaluation", "ViT-S/8", "ResNet-8")
    digits = [row for row in rows_of(made) if row["evaluation"] == "digits"]
    assert [row["training images"] for row in digits] == ["100", "400"]
    assert [row["ResNet-8"] for row in digits] == ["60.00 ± 0.00", ""]


def test_form_of_table_6_has_a_row_per_run_its_data_sets_and_its_compute() -> None:
    runs, evals = make_ledger()
    made = table.comparison(runs, evals, form="table6")
    keys = ("model", "training images", "epochs", "seed")
    scores = ("digits", "pets, 1-shot", "pets, 5-shot")
    assert made.header == (*keys, *scores, "train gigaFLOPs")
    assert len(made.cells) == len(runs)
    assert made.cells[0][:5] == ("ViT-S/8", "100", "10", "0", "50.00")


@pytest.mark.parametrize(
    ("aggregate", "text"),
    [("median", "54.00"), ("min", "50.00"), ("max", "70.00"), ("best", "70.00"), ("mean", "58.00")],
)
def test_other_summaries_have_no_spread(aggregate: str, text: str) -> None:
    runs = make_runs({("vit_s8", 100): [0.50, 0.54, 0.70]})
    made = table.comparison(runs, aggregate=aggregate)
    cell = made.cells[0][-2]
    assert cell == text or (aggregate == "mean" and cell.startswith(f"{text} ± "))
    assert list(made.frame)[-3] == f"top1_accuracy_{aggregate}"


def test_the_best_loss_is_the_lowest_beside_the_best_accuracy() -> None:
    runs = make_runs({("vit_s8", 100): [0.50, 0.54]}).assign(loss=[2.0, 1.5])
    made = table.comparison(runs, metric=["top1_accuracy", "loss"], aggregate="best", rows="label")
    (row,) = rows_of(made)
    assert (row["top-1 (%)"], row["loss"]) == ("54.00", "1.500")


def test_beside_others_a_cell_of_fewer_runs_says_so() -> None:
    scores = {("vit_s8", 100): [0.5] * 3, ("vit_s8", 400): [0.5] * 2, ("bit_r8", 100): [0.5]}
    made = table.comparison(make_runs(scores), columns="train_examples")
    vit, bit = rows_of(made)
    assert (vit["100"], vit["400"], bit["100"]) == (
        "50.00 ± 0.00",
        "50.00 ± 0.00 (n = 2)",
        "50.00",
    )
    assert "(3 where a cell does not say)" in made.footnote


@pytest.mark.parametrize("name", ["table2", "table5", "table6"])
def test_the_papers_scores_stand_beside_a_studys(name: str) -> None:
    made = table.comparison(*make_ledger(), form=name, published=reference.scores(name))
    cells = {text for row in made.cells for text in row}
    expected = {
        "table2": {"88.55 ± 0.04", "60.00 ± 0.00 (n = 2)"},
        "table5": {"77.91", "60.00 ± 0.00"},
        "table6": {"88.08", "60.00"},
    }
    assert expected[name] <= cells


def test_published_means_bring_their_spread_and_number() -> None:
    made = table.comparison(*make_ledger(), form="table2", published=reference.scores("table2"))
    cell = made.frame[made.frame["evaluation"] == "CIFAR-100"].iloc[0]
    assert cell["top1_accuracy_mean"] == 0.9455
    assert cell["top1_accuracy_std"] == 0.0004
    assert cell["top1_accuracy_n"] == 3


def test_costs_of_several_models_together_are_left_out_unless_asked_for() -> None:
    assert "params (k)" not in table.comparison(make_runs(), rows=["family"]).header
    assert "params (k)" in table.comparison(make_runs(), rows="family", costs=["params"]).header


@pytest.mark.parametrize("given", [{"form": "table3"}, {"aggregate": "mode"}])
def test_what_does_not_exist_comes_with_the_choices(given: Any) -> None:
    with pytest.raises(layouts.UnknownForm, match=r"choices|did you mean"):
        table.comparison(*make_ledger(), **given)


def test_the_example_holds() -> None:
    assert doctest.testmod(table).failed == 0


def test_what_is_not_finite_is_missing() -> None:
    runs = pd.DataFrame(
        {"label": ["A", "A", "B"], "loss": [1.0, math.inf, math.nan], "seed": [0, 1, 0]}
    )
    frame = table.comparison(runs, metric="loss").frame
    assert frame["loss_n"].tolist() == [1, 0]
    assert frame["loss_mean"].iloc[0] == 1.0


def test_no_row_over_several_models_has_a_cost() -> None:
    runs = pd.DataFrame(
        {
            "label": ["A", "B"] * 2,
            "params": [1, 3] * 2,
            "train_examples": [10, 10, 20, 20],
            "top1_accuracy": 0.5,
        }
    )
    assert "params" not in table.comparison(runs, rows="train_examples", columns="label").frame
    assert "params" in table.comparison(runs, rows="label", columns="train_examples").frame
