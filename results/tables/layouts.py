"""What stands where in a comparison table: the usual layout, and those of the ViT paper."""

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from results.columns import configurations
from results.columns import scores as long
from results.schema import ResultsError, Role, of_role, suggestion

FORMS = ("table2", "table5", "table6")


class UnknownForm(ResultsError):
    """A table of this form, or this way to summarize runs, does not exist."""


@dataclass(frozen=True)
class TableLayout:
    """What stands where: key columns of the rows, of the columns, and the costs.

    Costs stand "left" of the scores, "right" of them, or "below" them, a row each.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...] = ()
    costs: tuple[str, ...] = ()
    costs_at: str = "left"
    note: str = ""


def usual_costs(*roles: Role) -> tuple[str, ...]:
    """Return the columns of these roles, by default sizes and costs, that a table shows unasked."""
    return tuple(one.name for one in of_role(*(roles or ("size", "cost")), shown="table"))


def pooled() -> tuple[str, ...]:
    """Return the columns that runs or evaluations in one cell may differ in, besides the seed."""
    inner = [name for name in long.evaluation_keys() if name != "dataset"]
    return ("pretrain_dataset", *configurations.CONFIGURATION, *inner, "finetune_lr")


def _known(table: pd.DataFrame, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name in table and table[name].notna().any())


def _best_known(table: pd.DataFrame, names: Iterable[str]) -> tuple[str, ...]:
    """Return the one of `names` that the fewest rows lack, the first of equals."""
    known = _known(table, names)
    return (max(known, key=lambda name: table[name].notna().sum()),) if known else ()


def usual(table: pd.DataFrame, columns: tuple[str, ...]) -> TableLayout:
    """Return a layout of a row per family, model and whatever was varied besides the seed."""
    model = configurations.model_column(table)
    configurations.check_columns(table, [model, *columns])
    family = ("family",) if "family" in table and "family" not in columns else ()
    covered = [*family, model, *columns]
    if "evaluation" in columns:
        covered += [name for name in long.evaluation_keys() if name in table]
    varied = configurations.varying(
        table, list(dict.fromkeys(covered)), configurations.CONFIGURATION
    )
    # Scores on different data do not compare, so the data set is always named.
    shown = [name for name in ("dataset", "train_examples") if name in table]
    apart = [n for n in shown if table[n].nunique(dropna=False) > 1 and n not in varied]
    varied = (*apart, *varied)
    rows = [name for name in (*family, model, *varied) if name not in columns]
    offered = usual_costs("size") if columns else usual_costs()
    costs = [name for name in offered if name not in rows]
    return TableLayout(tuple(rows), columns, _known(table, costs))


def of_paper(name: str, table: pd.DataFrame) -> tuple[pd.DataFrame, TableLayout]:
    """Return the rows of a form and its layout: Tables 2, 5 and 6 of arXiv:2010.11929v2.

    Raises UnknownForm.
    """
    if name not in FORMS:
        raise UnknownForm(f"form {name!r} is unknown; {suggestion(name, FORMS)}")
    model = configurations.model_column(table)
    among = [column for column in pooled() if column not in (*long.evaluation_keys(), "params")]
    varied = configurations.varying(table, [model], among)
    if name == "table2":
        return _table2(table, model, varied)
    if name == "table5":
        trained = tuple(c for c in ("pretrain_dataset", "train_examples") if c in varied)
        rest = tuple(column for column in varied if column not in trained)
        return table, TableLayout((*trained, "evaluation"), (model, *rest))
    rows = [model, *varied, *(name for name in ("epochs",) if name in table)]
    if "seed" in table:
        seeds = table.groupby([model, *varied], dropna=False)["seed"].nunique()
        rows += ["seed"] if len(seeds) and seeds.max() > 1 else []
    costs = _best_known(table, ["train_flops", "train_flops_valid"])
    return table, TableLayout(tuple(dict.fromkeys(rows)), ("evaluation",), costs, "right")


def _table2(
    table: pd.DataFrame, model: str, varied: tuple[str, ...]
) -> tuple[pd.DataFrame, TableLayout]:
    note, rest = "", [column for column in varied if column != "train_examples"]
    if "epochs" in rest and "train_examples" in varied:
        rest = [*configurations.varying(table, [model, "train_examples"], rest)]
    if "train_examples" in varied:
        most = table.groupby([model, *rest], dropna=False)["train_examples"].transform("max")
        table = table[(table["train_examples"] == most) | most.isna()]
        note = "Of each model the runs on the most training images are shown."
    costs = _best_known(table, ["accelerator_days", "train_flops", "train_flops_valid"])
    return table, TableLayout(("evaluation",), (model, *rest), costs, "below", note)
