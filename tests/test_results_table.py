"""Comparison tables: means over seeds as people and as programs read them."""

import csv
import io
import statistics

import pandas as pd
import pytest

from results import reference, render, summary, table

SCORES = {("vit_s8", 100): [0.50, 0.54], ("vit_s8", 400): [0.80], ("bit_r8", 100): [0.60, 0.60]}


def make_runs(scores=SCORES, **values):
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


def rows_of(made):
    return [dict(zip(made.header, cells, strict=True)) for cells in made.cells]


def test_a_row_is_a_configuration_and_its_score_the_mean_over_seeds():
    first, second, third = rows_of(table.comparison(make_runs()))
    spread = 100 * statistics.stdev([0.50, 0.54])  # divides by n - 1
    assert first["top-1 (%)"] == f"52.00 ± {spread:.2f}" == "52.00 ± 2.83"
    assert (first["model"], first["training images"], first["n"]) == ("ViT-S/8", "100", "2")
    assert (second["top-1 (%)"], second["n"]) == ("80.00", "1")  # one run has no ±
    assert third["top-1 (%)"] == "60.00 ± 0.00"


def test_costs_stand_in_readable_units():
    row = rows_of(table.comparison(make_runs()))[0]
    assert row["params (k)"] == "700"
    assert row["forward MMACs"] == "8.50"
    assert row["train gigaFLOPs"] == "51.0"  # 6 x 8.5e6 x 1000 images


def test_the_papers_compute_stands_in_exaflops():
    made = table.comparison(reference.table6(), costs=["train_flops_valid"])
    cells = {(row["model"], row["epochs"]): row for row in rows_of(made)}
    assert cells[("ViT-H/14", "14")]["train exaFLOPs, valid"] == "4,262"
    assert cells[("ViT-H/14", "14")]["top-1 (%)"] == "88.08"
    assert cells[("ResNet50x1", "7")]["train exaFLOPs, valid"] == "50.0"


def test_rows_follow_family_and_size():
    made = table.comparison(make_runs({("bit_r8", 100): [0.6], ("vit_s8", 100): [0.5]}))
    assert [row["family"] for row in rows_of(made)] == ["ViT", "ResNet"]


def test_what_was_varied_makes_rows_of_its_own():
    runs = pd.concat([make_runs(), make_runs(recipe="sgd", top1_accuracy=0.1)])
    runs["recipe"] = runs["recipe"].fillna("adam")
    made = table.comparison(runs)
    assert made.header[:4] == ("family", "model", "training images", "recipe")
    assert "over seeds;" in made.footnote


def test_pooling_more_than_seeds_is_said_in_the_footnote():
    made = table.comparison(make_runs(), rows=["family"])
    assert "over seeds, training images;" in made.footnote
    assert "over seeds;" in table.comparison(make_runs()).footnote


def test_values_of_a_column_stand_side_by_side_with_empty_cells():
    made = table.comparison(make_runs(), columns="train_examples")
    resnet, vit = sorted(rows_of(made), key=lambda row: row["model"])
    assert vit["100"] == "52.00 ± 2.83"
    assert vit["400"] == "80.00"
    assert resnet["400"] == ""
    assert "train gigaFLOPs" not in vit  # it differs between the columns


def test_failed_and_unfinished_runs_do_not_count():
    runs = make_runs({("vit_s8", 100): [0.50, 0.90]})
    runs.loc[1, "state"] = "failed"
    runs.loc[1, "train_flops"] = 1.0
    (row,) = rows_of(table.comparison(runs))
    assert (row["top-1 (%)"], row["n"], row["train gigaFLOPs"]) == ("50.00", "1", "51.0")
    runs["state"] = "failed"
    (row,) = rows_of(table.comparison(runs))
    assert (row["top-1 (%)"], row["n"]) == ("", "")
    assert row["params (k)"] == "700"


def test_the_best_score_is_bold_highest_accuracy_or_lowest_loss():
    markdown = render.to_markdown(table.comparison(make_runs()))
    assert markdown.count("**") == 2
    assert "**80.00**" in markdown
    runs = make_runs().rename(columns={"top1_accuracy": "loss"})
    assert "**0.520 ± 0.028**" in render.to_markdown(table.comparison(runs, metric="loss"))


def test_a_lone_score_is_not_called_best():
    assert "**" not in render.to_markdown(table.comparison(make_runs({("vit_s8", 100): [0.5]})))


def test_csv_holds_raw_numbers_under_names_with_units():
    rows = list(csv.DictReader(io.StringIO(render.to_csv(table.comparison(make_runs())))))
    assert float(rows[0]["top1_accuracy_mean"]) == 0.52
    assert rows[0]["top1_accuracy_n"] == "2"
    assert rows[1]["top1_accuracy_std"] == ""
    assert rows[0]["train_flops"] == "51000000000"
    assert rows[0]["params"] == "700000"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_cell_that_a_spreadsheet_would_run_is_neutralised(start):
    label = f'{start}HYPERLINK("http://x")'
    text = render.to_csv(table.comparison(make_runs(label=label)))
    cells = [cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row]
    assert f"'{label}" in cells
    assert not any(cell.startswith(start) for cell in cells)


def test_latex_is_booktabs_and_escaped():
    text = render.to_latex(table.comparison(make_runs(label=r"a_b & 50% \x {#}~^$")))
    assert r"a\_b \& 50\% \textbackslash{}x \{\#\}\textasciitilde{}\textasciicircum{}\$" in text
    assert text.index(r"\toprule") < text.index(r"\midrule") < text.index(r"\bottomrule")
    assert r"$\pm$" in text
    assert "±" not in text
    widths = {line.count(" & ") for line in text.splitlines() if line.endswith(r"\\")}
    assert len(widths) == 1


def test_markdown_keeps_its_columns_whatever_a_name_holds():
    made = table.comparison(make_runs(label="a|b\n*c*"))
    text = render.to_markdown(made)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert r"a\|b \*c\*" in lines[2]
    assert {line.replace(r"\|", "").count("|") for line in lines} == {len(made.header) + 1}


def test_text_is_aligned():
    lines = render.to_text(table.comparison(make_runs())).splitlines()
    rule = lines[1]
    assert all(len(line) <= len(rule) for line in lines[:5])
    end = lines[0].index("top-1 (%)") + len("top-1 (%)")
    assert [line[:end].split()[-1] for line in lines[2:5]] == ["2.83", "80.00", "0.00"]


def test_no_runs_make_an_empty_table():
    made = table.comparison(make_runs().iloc[:0])
    for write in render.RENDERERS.values():
        assert "52.00" not in write(made)


def test_a_missing_column_comes_with_the_near_match():
    with pytest.raises(summary.MissingColumn, match=r"'top1' is missing.*top1_accuracy"):
        table.comparison(make_runs(), metric="top1")
