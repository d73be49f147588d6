"""Refits of published scaling-law constants from the points published with them.

Of all constants that ship, those of Zhai et al. 2022 (arXiv:2106.04560, Figure 2) come with
points: the paper's appendix lists accuracies by model, data and steps. Their compute follows from
the paper's GFLOPs, with one utilization for all, since measured core-days are not published: that
moves a and d, not the exponent b and the offset. As in Figure 2, the fit is through the frontier.
"""

from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from results import reference
from results.laws import law
from results.laws.law_fit import LawFit

LAW = "zhai_2021_double_saturating"
# The paper's name of an error to the column of its points, without the points' unit.
METRICS = {
    "imagenet_finetune_error": "imagenet_finetune_top1",
    "imagenet_10shot_linear_error": "imagenet_10shot_linear",
}
SYMBOLS = {"a": "a", "b": "b", "c": "e", "d": "d"}  # theirs to ours
CORE_FLOPS = 61.5e12  # a second, of half a TPUv3 chip at peak
UTILIZATION = 0.4  # ViT-L/16 at 43 %, H/14 at 32 %: core-days over exaFLOPs of arXiv:2010.11929
WITHOUT_POINTS = {
    "hoffmann_2022_chinchilla": "the runs of language models are not published as a table",
    "pearce_2024_reconciling": "exponents derived from the constants of others",
    "alabdulmohsin_2023_sovit": "the shape sweep is published as a figure only",
    "chinchilla_rule": "a rule of thumb",
}


@dataclass(frozen=True, eq=False)
class Refitted:
    """A law fitted to published points, and the constants published for it by our names."""

    metric: str
    made: LawFit
    published: dict[str, float]

    def rows(self) -> list[dict[str, Any]]:
        """Return one row per constant: `published`, our `value`, its interval `low` to `high`."""
        return [
            {"law": LAW, "metric": self.metric, "symbol": name, "published": value}
            | asdict(self.made.parameters[name])
            for name, value in self.published.items()
        ]


def points(metric: str) -> pd.DataFrame:
    """Return the published points of Scaling ViT for one metric, as runs over `core_days`.

    `train_flops` is 3 x the forward FLOPs of the paper's Table 2 x images seen; one row per model,
    data size and number of steps. A model without GFLOPs in that table is left out.
    """
    table = reference.load("scaling_vit_data_scale")
    table = table[table["metric"] == METRICS[metric]]
    models = reference.load("scaling_vit_architectures")[["model", "gflops_224"]]
    table = table.merge(models, on="model")
    flops = 3e9 * table["gflops_224"] * table["images_seen"]
    return pd.DataFrame(
        {
            "label": table["model"],
            "family": "vit",
            "train_examples": table["pretrain_images"],
            "epochs": table["images_seen"] / table["pretrain_images"],
            "train_flops": flops,
            "core_days": flops / (CORE_FLOPS * UTILIZATION * 86_400),
            "top1_accuracy": table["value_fraction"],
        }
    )


def refit(**settings: Any) -> list[Refitted]:
    """Refit the constants that come with points; `settings` are those of `fit_points`."""
    constants = reference.load("scaling_law_constants")
    constants = constants[constants["law"] == LAW]
    found = []
    for metric in METRICS:
        theirs = constants[constants["metric"] == metric].set_index("symbol")["value"]
        made = law.fit_law(
            points(metric),
            x="core_days",
            points="frontier",
            form="double_saturating",
            unit=1.0,
            **settings,
        )
        named = {ours: float(theirs[name]) for name, ours in SYMBOLS.items()}
        found.append(Refitted(metric, made, named))
    return found
