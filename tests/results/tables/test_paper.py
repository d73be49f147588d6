"""The paper's tables, cell by cell as the published rows hold them."""

import doctest
from typing import Any

import pytest

from results import reference
from results.tables import paper, render


def cells_of(name: str) -> Any:
    """(first column, header) -> text."""
    made = paper.table(name)
    keys = len(paper.FORMS[name].rows)
    return {
        (*row[:keys], title): text
        for row in made.cells
        for title, text in zip(made.header[keys:], row[keys:], strict=True)
    }


def number(text: str) -> Any:
    return float(text.split(" ± ")[0])


def test_table_6_is_the_papers() -> None:
    made, rows = cells_of("table6"), reference.load("vit_table6_scaling")
    for row in rows.itertuples():
        title = row.dataset if row.metric == "top1_accuracy" else "exaFLOPs"
        assert number(made[row.model, str(row.epochs), title]) == row.value
    assert len(made) == len(rows) == 18 * 7


def test_table_5_is_the_papers_with_empty_cells_for_what_it_does_not_report() -> None:
    made, rows = cells_of("table5"), reference.load("vit_table5_pretrain_datasets")
    for row in rows.itertuples():
        text = made[row.pretrain_dataset, row.dataset, row.model]
        assert number(text) == row.value if str(row.value) != "nan" else text == ""
    assert len(made) == len(rows) == 90
    assert sum(text == "" for text in made.values()) == 6  # H/14 on ImageNet, six data sets


# Read in Table 2 of arXiv:2010.11929v2.
@pytest.mark.parametrize(
    ("key", "text"),
    [
        (("ImageNet", "ViT-H/14, JFT-300M"), "88.55 ± 0.04"),
        (("Oxford Flowers-102", "ViT-L/16, JFT-300M"), "99.74 ± 0.00"),
        (("ImageNet ReaL", "BiT-L (ResNet152x4), JFT-300M"), "90.54"),
        (("VTAB (19 tasks)", "BiT-L (ResNet152x4), JFT-300M"), "76.29 ± 1.70"),
        (("TPUv3-core-days", "ViT-L/16, ImageNet-21k"), "0.23k"),
    ],
)
def test_table_2_is_the_papers(key: str, text: str) -> None:
    assert cells_of("table2")[key] == text


def test_table_2_has_the_starred_figure_and_empty_cells() -> None:
    made = {row: text for (row, title), text in cells_of("table2").items() if "Noisy" in title}
    assert made["ImageNet"] == "88.4/88.5*"
    assert made["CIFAR-10"] == ""
    assert made["TPUv3-core-days"] == "12.3k"


def test_the_best_of_a_data_set_is_bold() -> None:
    markdown = render.to_markdown(paper.table("table2"))
    bold = ["88.55 ± 0.04", "90.72 ± 0.05", "99.50 ± 0.06", "94.55 ± 0.04", "97.56 ± 0.03"]
    for text in [*bold, "99.74 ± 0.00", "77.63 ± 0.23"]:
        assert f"**{text}**" in markdown
    assert markdown.count("**") == 2 * 7


def test_an_unknown_table_comes_with_the_choices() -> None:
    with pytest.raises(reference.UnknownReference, match="table6"):
        paper.table("table7")


def test_the_example_holds() -> None:
    assert doctest.testmod(paper) == (0, 1)
