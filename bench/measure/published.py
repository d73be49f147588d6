"""Costs as the papers print them, beside those computed from the networks."""

from typing import Any

import models
import models.cost.macs
from bench.run.accelerators import peak_flops
from bench.run.errors import BenchError
from bench.run.ledger import SECONDS_PER_DAY
from models.cost.macs import train_flops
from results import reference
from results.columns import formatting

Row = dict[str, Any]

SETS = ("table6", "timm")
EXA = 1e18
# The head of the pre-training: JFT-300M's classes (Dosovitskiy et al. 2021, section 4.1, 18k;
# 18,291 in Sun et al. 2017), over a hidden layer of the network's width for those with a ViT.
JFT_CLASSES = 18_291
PUBLISHED_SIZE = 224
IRREGULAR = {
    ("ViT-B/32", 7): "printed 55 is what 49 tokens give, without the class token",
    ("R50x1+ViT-L/16", 7): "printed 859 is not half of its own row at 14 epochs, 1668",
}
# Shares of the dense peak outside of which a printed cost is more likely wrong than remarkable.
PLAUSIBLE_UTILIZATION = (0.05, 0.60)


class UnknownSet(BenchError):
    """A set of published costs that does not exist."""


def rows(name: str) -> list[Row]:
    """Return a published set beside our costs, a row each; raises UnknownSet."""
    if name == "table6":
        return table6()
    if name == "timm":
        return timm()
    raise UnknownSet(f"--published: given {name!r}, expected one of {', '.join(SETS)}")


def table6() -> list[Row]:
    """Return the 18 rows of the ViT paper's Table 6: exaFLOPs of pre-training, ours and theirs.

    Ours are 3 × 2 × valid multiply-adds × 303 million images × epochs. `implied_utilization` is the
    paper's compute over the TPUv3-core-days of its Table 2, for the runs that are in both.
    """
    by_label = {models.config(name).label: name for name in models.names()}
    core_days = _core_days()
    made = []
    for run in reference.table6().to_dict("records"):
        config = models.config(by_label[run["label"]])
        if isinstance(config, models.ViTConfig):
            config = models.config(config.name, representation_size=config.width)
        macs = models.cost.macs.count(config, num_classes=JFT_CLASSES).forward_macs_valid
        assert macs is not None
        seen = round(reference.JFT_IMAGES * run["epochs"])
        ours, theirs = train_flops(macs, seen), run["train_flops_valid"]
        days = core_days.get((run["label"], run["epochs"]))
        share = None if days is None else implied_utilization(theirs, days, "TPU v3 core")
        made.append(
            {
                "label": run["label"],
                "name": config.name,
                "epochs": int(run["epochs"]),
                "train_exaflops_valid": ours / EXA,
                "published_exaflops": theirs / EXA,
                "deviation": ours / theirs - 1,
                "published_core_days": days,
                "implied_utilization": share,
                "note": IRREGULAR.get((run["label"], run["epochs"])),
            }
        )
    return made


def timm() -> list[Row]:
    """Return timm's printed GMACs, which include norm work, beside ours."""
    known = {other: name for name in models.names() for other in _other_names(name)}
    table = reference.load("timm_model_costs")
    made = []
    for run in table[table["preferred"]].to_dict("records"):
        base = run["model"].rsplit(".", 1)[0]
        stem = base.removesuffix(f"_{run['image_size']}")
        name = known.get(base) or known.get(stem) or known.get(f"{stem}_{PUBLISHED_SIZE}")
        if name is None:
            continue
        counted = models.cost.macs.count(models.config(name, image_size=int(run["image_size"])))
        ours = (counted.forward_macs + counted.norm_operations) / 1e9
        made.append(
            {
                "label": run["model"],
                "name": name,
                "image_size": int(run["image_size"]),
                "gmacs": counted.forward_macs / 1e9,
                "gmacs_with_norms": ours,
                "published_gmacs": float(run["gmacs"]),
                "deviation": ours / float(run["gmacs"]) - 1,
            }
        )
    return made


def _other_names(name: str) -> tuple[str, ...]:
    return models.config(name).published_names


def implied_utilization(flops: float, accelerator_days: float, accelerator: str) -> float | None:
    """Return the share of the dense peak that a published cost implies; None if unknown.

    >>> round(implied_utilization(1567e18, 680, "TPU v3 core"), 2)
    0.43
    """
    peak = peak_flops(accelerator)
    return None if peak is None else flops / (accelerator_days * SECONDS_PER_DAY * peak)


def implausible(rows: list[Row]) -> list[str]:
    """Return a warning for each row whose implied utilization is not plausible."""
    low, high = PLAUSIBLE_UTILIZATION
    return [
        f"{row['label']}: implied utilization {formatting.percent(share, 0)}, expected "
        f"{formatting.percent(low, 0)} to {formatting.percent(high, 0)}"
        for row in rows
        if (share := row.get("implied_utilization")) is not None and not low <= share <= high
    ]


def _core_days() -> dict[tuple[str, int], float]:
    """Return TPUv3-core-days of Table 2 by model and epochs: both JFT runs take 14 epochs."""
    table = reference.load("vit_table2_sota")
    is_cost = table["metric"] == "pretrain_tpuv3_core_days"
    costs = table[is_cost & (table["pretrain_dataset"] == "JFT-300M")].to_dict("records")
    shared = ("ViT-L/16", "ViT-H/14")
    return {(row["model"], 14): float(row["value"]) for row in costs if row["model"] in shared}
