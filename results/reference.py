"""Published figures, as shipped and in the form of runs. The files are made by `published.make`."""

from importlib.resources import files

import pandas as pd

from results import parquet
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


class UnknownReference(ResultsError):
    """No published table has this name."""


def names() -> tuple[str, ...]:
    """The names of the published tables, sorted."""
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
    return parquet.decode(content, name).to_pandas(types_mapper=PANDAS_TYPES.get)


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
    """The 18 pre-training runs of the ViT paper's Table 6 (arXiv:2010.11929v2) as runs.

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
    """The 15 pairs of model and pre-training set of the ViT paper's Table 5, as runs.

    `dataset` and `train_examples` are those of pre-training, the accuracies as in `table6`; five
    of H/14's differ between the two tables. Null is what the paper did not report.
    """
    table = load("vit_table5_pretrain_datasets")
    runs = _runs(table, ["model", "pretrain_dataset", "pretrain_images"])
    runs.insert(1, "family", "vit")
    runs.attrs["label"] = "ViT paper, Table 5"
    return runs.rename(columns={"pretrain_images": "train_examples"})
