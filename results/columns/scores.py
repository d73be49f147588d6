"""The scores of runs in long form: one row per run and evaluation, of their own split or later."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from results.columns import configurations, formatting
from results.schema import protocol_keys

OF_A_RUN = ["study", "run_id"]


def evaluation_keys() -> tuple[str, ...]:
    """Return the columns that tell evaluations of a run apart, but for the draw of images."""
    return ("dataset", "protocol", *protocol_keys(), "split", "metric")


def only_of_evals() -> frozenset[str]:
    """Return the columns that runs lack, so that naming one asks for scores of evaluations."""
    names = {"evaluation", "protocol", "split", "draw", "finetune_lr", "pretrain_dataset"}
    return frozenset(names | {*protocol_keys()})


def of_runs(runs: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Return the runs' own `metrics` in long form: `runs` once a metric, with `metric` and `value`.

    Also `pretrain_dataset`, for a run's own score the same as `dataset`. Raises MissingColumn.
    """
    configurations.check_columns(runs, metrics)
    made = {"protocol": "upstream"}
    if "dataset" in runs and "pretrain_dataset" not in runs:
        runs = runs.assign(pretrain_dataset=runs["dataset"])
    parts = [runs.assign(metric=name, value=runs[name].astype(float), **made) for name in metrics]
    return parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)


def of_evals(runs: pd.DataFrame, evals: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Return the rows of `evals` with one of `metrics`, each with the columns of its run.

    `dataset` and `image_size` are then those of the evaluation, the run's are called
    `pretrain_dataset` and `pretrain_image_size`; `draw` is the evaluation's seed. Of weights that
    were evaluated at several steps the last count.
    """
    known = {"dataset": "pretrain_dataset", "image_size": "pretrain_image_size"}
    options = [name for name in protocol_keys() if name in evals]
    key = [*OF_A_RUN, "protocol", "dataset", "split", "metric", *options, "seed", "lr"]
    found = evals[evals["metric"].isin(list(metrics))]
    found = found.sort_values("step", kind="stable").drop_duplicates(key, keep="last")
    found = found.sort_values(["dataset", *options], na_position="first", kind="stable")
    found = found.drop(columns=["manifest", "num_examples", "step"])
    found = found.rename(columns={"seed": "draw", "lr": "finetune_lr"})
    return found.merge(runs.rename(columns=known), on=OF_A_RUN, how="inner", validate="m:1")


def describe(scores: pd.DataFrame) -> pd.Series:
    """Return a text per row that names its evaluation: data set, protocol or shots, metric.

    Only what differs within `scores` is named, and the data set unless nothing but metrics do.
    """
    names = [name for name in evaluation_keys() if name in scores]
    group = scores.groupby(names, dropna=False, sort=False).ngroup()
    kinds = scores.loc[~group.duplicated(), names]
    within = kinds.groupby("dataset", dropna=False) if "dataset" in names else None
    varied = {name for name in names if kinds[name].nunique() > 1}
    if within is not None:
        alone = {"protocol", "split"} & varied
        varied -= {name for name in alone if within[name].nunique().max() <= 1}
    if within is not None and varied != {"metric"}:
        varied.add("dataset")
    texts = [_text(dict(kind), varied) for _, kind in kinds.iterrows()]
    return group.map(dict(enumerate(texts)))


def _text(fields: Mapping[Any, Any], varied: set[str]) -> str:
    parts = [str(fields["dataset"])] if "dataset" in varied else []
    if pd.notna(fields.get("shots")):
        parts.append(f"{fields['shots']}-shot")
    elif "protocol" in varied and fields["protocol"] != "upstream":
        parts.append(str(fields["protocol"]))
    others = [name for name in protocol_keys() if name != "shots" and name in varied]
    parts += [f"{formatting.name(n)} {fields[n]}" for n in others if pd.notna(fields.get(n))]
    if "split" in varied:
        parts.append(str(fields["split"]))
    if "metric" in varied and parts:
        parts.append(formatting.name(fields["metric"]))
    return ", ".join(parts) or formatting.header(fields["metric"])


def wide(
    runs: pd.DataFrame, evals: pd.DataFrame, metrics: Sequence[str]
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return `runs` with a column per evaluation (mean over draws), and the columns' names.

    They are called as `describe` does, as "digits, 5-shot accuracy".
    """
    table = of_evals(runs, evals, metrics)
    endings = table["metric"].map(
        lambda name: " accuracy" if formatting.is_fraction(name) else f" {name}"
    )
    table = table.assign(evaluation=describe(table).astype(object) + endings)
    means = table.groupby([*OF_A_RUN, "evaluation"], sort=False)["value"].mean().unstack(sort=False)
    return runs.merge(means.reset_index(), how="left", on=OF_A_RUN), tuple(means.columns)
