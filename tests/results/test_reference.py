"""The shipped figures are the papers', typed, with their sources."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from results import reference
from results.ledger import parquet
from results.published import make

FOLDER = Path(make.__file__).parent


def test_every_published_table_ships_with_its_source() -> None:
    assert reference.names() == tuple(sorted(make.DESCRIPTIONS))
    for name in reference.names():
        table = reference.load(name)
        assert len(table)
        assert table.source.notna().all()
        assert table.verified.dtype == "boolean"
        pairs = parquet.metadata(FOLDER / f"{name}.parquet")
        assert pairs["scalestudy.description"] == make.DESCRIPTIONS[name]


def test_accuracies_are_also_fractions_in_all_tables() -> None:
    for name in reference.names():
        table = reference.load(name)
        for column in table.columns[table.columns.str.endswith("_fraction")]:
            assert table[column].dropna().between(0, 1).all(), (name, column)
        if "unit" in table and (table.unit == "percent").any():
            percent = table[table.unit == "percent"]
            pd.testing.assert_series_equal(
                percent.value / 100, percent.value_fraction, check_names=False, rtol=1e-15
            )


def test_an_unknown_table_comes_with_the_near_match() -> None:
    with pytest.raises(reference.UnknownReference, match=r"did you mean .*vit_table6_scaling"):
        reference.load("vit_table6")


def test_table_6_in_the_form_of_runs() -> None:
    runs = reference.table6().set_index(["label", "epochs"])
    assert len(runs) == 18
    assert runs.family.value_counts().to_dict() == {"bit": 7, "vit": 6, "hybrid": 5}
    huge = runs.loc[[("ViT-H/14", 14)]].iloc[0]
    assert huge.train_flops_valid == 4262e18
    assert huge.top1_accuracy == huge.imagenet_accuracy == 0.8808
    assert huge.cifar100_accuracy == 0.9471
    assert (runs.train_examples == 303_000_000).all()


# (97.67 + 86.07 + 94.26 + 77.54 + 91.11) / 5 = 89.33, which Table 7 prints as the average of
# ResNet50x1 with Adam; with ReaL it would be 88.535.
def test_the_average_of_five_leaves_real_out_as_table_7_does() -> None:
    runs = reference.table6().set_index(["label", "epochs"])
    assert runs.average_of_five_accuracy[("ResNet50x1", 7)] == pytest.approx(0.8933, abs=1e-9)
    printed = reference.load("vit_table7_resnet_adam_sgd")
    printed = printed[
        printed.dataset.str.contains("verage") & (printed.pretrain_optimizer == "adam")
    ]
    for model, epochs, fraction in zip(
        printed.model, printed.epochs, printed.value_fraction, strict=True
    ):
        made = runs.average_of_five_accuracy[(model, epochs)]
        assert made == pytest.approx(fraction, abs=5e-5)


def test_table_5_in_the_form_of_runs() -> None:
    runs = reference.table5()
    assert len(runs) == 15
    assert sorted(runs.train_examples.unique()) == [1_300_000, 14_000_000, 303_000_000]
    imagenet = runs.set_index(["label", "dataset"]).top1_accuracy
    assert imagenet[("ViT-L/32", "ImageNet")] == 0.7116
    assert pd.isna(imagenet[("ViT-H/14", "ImageNet")])  # printed "-"


def test_tables_5_and_6_agree_but_for_another_run_of_h14() -> None:
    five = reference.table5().query("dataset == 'JFT-300M'").set_index("label")
    six = reference.table6().sort_values("epochs").drop_duplicates("label", keep="last")
    six = six.set_index("label").loc[five.index]
    shared = list(reference.TRANSFER_SETS.values())
    differing = (five[shared] != six[shared]).sum(axis=1)
    assert differing[differing > 0].to_dict() == {"ViT-H/14": 5}  # all but CIFAR-10


# --- the maker

CSV = """model,value,std,unit,top1_percent,torch_version,flag,count,note,source,verified
A,80.70,0.04,percent,80.70,2.10,yes,1,"a, b (see README)",paper,yes
B,,,percent,,2.9,no,,,paper,no
C,5.5,,hours,99,2.10,,3,,other,yes
"""


def convert(tmp_path: Path, text: str) -> Any:
    path = tmp_path / "datasets.csv"
    path.write_text(text)
    return make.convert(path)


def test_columns_are_typed_and_empty_is_null(tmp_path: Path) -> None:
    table = convert(tmp_path, CSV).to_pydict()
    assert table["value"] == [80.7, None, 5.5]
    assert table["count"] == [1, None, 3]
    assert table["flag"] == [True, False, None]
    assert table["torch_version"] == ["2.10", "2.9", "2.10"]
    assert table["note"] == ["a, b", None, None]


def test_only_what_is_in_per_cent_becomes_a_fraction(tmp_path: Path) -> None:
    table = convert(tmp_path, CSV).to_pydict()
    assert table["value_fraction"] == [0.807, None, None]
    assert table["std_fraction"] == [0.0004, None, None]
    assert table["top1_fraction"] == [0.807, None, 0.99]


def test_a_row_with_a_missing_cell_is_named(tmp_path: Path) -> None:
    with pytest.raises(make.MakeError, match=r"datasets\.csv: row 3 has 2 cells, not 3"):
        convert(tmp_path, "a,source,verified\n1,x,yes\n1,x\n")


def test_a_folder_without_all_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(make.MakeError, match="accelerators"):
        make.make(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
