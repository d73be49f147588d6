"""Published figures, as shipped and in the form of runs. The files are made by `published.make`."""

from importlib.resources import files

import pandas as pd

from results.ledger import parquet
from results.schema import ResultsError, suggestion
from results.store import PANDAS_TYPES

TRANSFER_SETS = {
    "ImageNet": "imagenet_accuracy",
    "ImageNet ReaL": "imagenet_real_accuracy",
    "CIFAR-10": "cifar10_accuracy",
    "CIFAR-100": "cifar100_accuracy",
    "Oxford-IIIT Pets": "pets_accuracy",
    "Oxford Flowers-102": "flowers_accuracy",
}
FAMILIES = {"vit": "vit", "hybrid": "hybrid", "bit_resnet": "bit"}  # theirs to the registry's
JFT_IMAGES = 303_000_000  # section 4.1; the figure that reproduces the exaFLOPs of Table 6
EXA = 1e18
# Table in this folder, its cost, the column of a ledger that this is, and its unit.
SCORES = {
    "table2": ("vit_table2_sota", "pretrain_tpuv3_core_days", "accelerator_days", 1.0),
    "table5": ("vit_table5_pretrain_datasets", "", "", 1.0),
    "table6": ("vit_table6_scaling", "pretrain_compute", "train_flops_valid", EXA),
}


class UnknownReference(ResultsError):
    """No published table has this name."""


def names() -> tuple[str, ...]:
    """Return the names of the published tables, sorted."""
    found = (file.name for file in files("results.published").iterdir())
    return tuple(sorted(name[: -len(".parquet")] for name in found if name.endswith(".parquet")))


def load(name: str) -> pd.DataFrame:
    """One published table; unreported cells are null.

    Accuracies are in per cent as printed, and as fractions in columns that end in `_fraction`.
    `source` says where a row stands, `verified` whether it was read there. Raises
    UnknownReference.
    """
    if name not in names():
        raise UnknownReference(f"published table {name!r} is unknown; {suggestion(name, names())}")
    content = files("results.published").joinpath(f"{name}.parquet").read_bytes()
    table = parquet.decode(content, name)
    frame: pd.DataFrame = table.to_pandas(types_mapper=PANDAS_TYPES.get)
    return frame


def _runs(table: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """One row per `by`, in the order printed, with a column per transfer set and their mean."""
    scores = table[table.metric == "top1_accuracy"]
    wide = scores.pivot(index=by, columns="dataset", values="value_fraction")
    wide = wide.rename(columns=TRANSFER_SETS)[list(TRANSFER_SETS.values())]
    five = wide.drop(columns="imagenet_real_accuracy")
    wide["average_of_five_accuracy"] = five.mean(axis=1, skipna=False)
    wide.insert(0, "top1_accuracy", wide["imagenet_accuracy"])
    printed = scores[by].drop_duplicates()
    runs = printed.merge(wide.reset_index(), on=by)
    return runs.rename(columns={"model": "label", "pretrain_dataset": "dataset"})


def table6() -> pd.DataFrame:
    """Return the 18 pre-training runs of the ViT paper's Table 6 (arXiv:2010.11929v2) as runs.

    `train_flops_valid` is the paper's own count, `top1_accuracy` that of ImageNet after
    fine-tuning at 384 pixels, `average_of_five_accuracy` the mean without ReaL, as in Table 7.
    """
    table = load("vit_table6_scaling")
    by = ["model", "family", "pretrain_dataset", "epochs"]
    compute = table[table.metric == "pretrain_compute"]
    table = table.merge(compute[[*by, "value"]].rename(columns={"value": "exaflops"}), on=by)
    runs = _runs(table, [*by, "exaflops"])
    runs["family"] = runs["family"].map(FAMILIES)
    runs["exaflops"] *= EXA
    runs.insert(4, "train_examples", JFT_IMAGES)
    runs.attrs["label"] = "ViT paper, Table 6"
    return runs.rename(columns={"exaflops": "train_flops_valid"})


def table5() -> pd.DataFrame:
    """Return the 15 pairs of model and pre-training set of the ViT paper's Table 5 as runs.

    `dataset` and `train_examples` are those of pre-training, the accuracies as in `table6`; five
    of H/14's differ between the two tables. Null is what the paper did not report.
    """
    table = load("vit_table5_pretrain_datasets")
    runs = _runs(table, ["model", "pretrain_dataset", "pretrain_images"])
    runs.insert(1, "family", "vit")
    runs.attrs["label"] = "ViT paper, Table 5"
    return runs.rename(columns={"pretrain_images": "train_examples"})


def scores(name: str) -> pd.DataFrame:
    """Return the scores of Table 2, 5 or 6 ("table2" and so on) in long form, one row per cell.

    As `columns.scores` makes them of a ledger: `dataset` is that of the transfer, after which the
    row's `value`; Table 2 brings the `std` of its `n` = 3 runs, and core-days of a TPUv3 as
    `accelerator_days`. Raises UnknownReference.
    """
    if name not in SCORES:
        raise UnknownReference(f"published table {name!r} is unknown; {suggestion(name, SCORES)}")
    table, cost, paid_in, scale = SCORES[name]
    found = load(table)
    by = [key for key in ("model", "pretrain_dataset", "epochs") if key in found]
    is_score = found["metric"] == "top1_accuracy"
    made = found[is_score].drop_duplicates([*by, "dataset"]).dropna(subset="value")
    made = made.assign(value=made["value_fraction"], protocol="finetune", study="ViT paper")
    if "std" in made:
        made = made.assign(std=made["std_fraction"], n=made["std"].notna() * 2 + 1)
    if cost:
        paid = found[found["metric"] == cost].set_index(by)["value"].astype(float) * scale
        made = made.join(paid.rename(paid_in), on=by)
    family = made["family"].map(FAMILIES) if "family" in made else made["model"].map(_family)
    named = made.assign(family=family).rename(
        columns={"model": "label", "pretrain_images": "train_examples"}
    )
    known = (*by[1:], "label", "family", "train_examples", "dataset", "protocol", "metric")
    kept = [*known, "value", "std", "n", paid_in, "study"]
    return named[[key for key in kept if key in named]].reset_index(drop=True)


def _family(model: str) -> str:
    """Return the family of a network of Tables 2 and 5; EfficientNets belong to none of ours."""
    return "vit" if model.startswith("ViT") else "bit" if "ResNet" in model else "efficientnet"
