"""The ViT paper's own comparison tables (arXiv:2010.11929v2), cell by cell as printed."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from results import reference
from results.schema import suggestion
from results.tables.render import TableGrid

PRINTED = re.compile(r"printed ([^;]+)")  # a note that says how a cell reads


@dataclass(frozen=True)
class _Form:
    """Which columns of a published table its rows and columns come from, and its cost."""

    published: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cost: str
    cost_title: str
    says: str


FORMS = {
    "table2": _Form(
        "vit_table2_sota",
        ("dataset",),
        ("model", "pretrain_dataset"),
        "pretrain_tpuv3_core_days",
        "TPUv3-core-days",
        "Top-1 accuracy (%): mean ± standard deviation over three fine-tuning runs. "
        "The starred figure is a later paper's.",
    ),
    "table5": _Form(
        "vit_table5_pretrain_datasets",
        ("pretrain_dataset", "dataset"),
        ("model",),
        "",
        "",
        "Top-1 accuracy (%) after fine-tuning at 384 pixels, by pre-training set.",
    ),
    "table6": _Form(
        "vit_table6_scaling",
        ("model", "epochs"),
        ("dataset",),
        "pretrain_compute",
        "exaFLOPs",
        "Top-1 accuracy (%) after fine-tuning at 384 pixels, and the compute of pre-training on "
        "JFT-300M at 224.",
    ),
}


def _text(row: pd.Series) -> str:
    printed = PRINTED.match(row["note"]) if isinstance(row.get("note"), str) else None
    if printed:
        return printed[1]
    if pd.isna(row["value"]):
        return ""
    decimals = 2 if row["metric"] == "top1_accuracy" else 0
    std = f" ± {row['std']:.2f}" if "std" in row and pd.notna(row["std"]) else ""
    return f"{row['value']:.{decimals}f}{std}"


def _matrix(found: pd.DataFrame, rows: Sequence[str], columns: Sequence[str]) -> pd.DataFrame:
    """(value, text) by rows and columns in the order printed; of two values the first."""
    keys = [*rows, *columns]
    table = found.drop_duplicates(keys).set_index(keys)
    pairs = pd.Series(list(zip(table["value"], table["text"], strict=True)), index=table.index)
    wide: pd.DataFrame = pairs.unstack(list(columns), sort=False)
    filled: pd.DataFrame = wide.apply(
        lambda column: column.map(lambda p: p if isinstance(p, tuple) else (None, ""))
    )
    return filled


def _bold(values: pd.DataFrame, along_rows: bool) -> set[tuple[int, int]]:
    best = values.max(axis=1 if along_rows else 0)
    is_best = values.eq(best, axis=0 if along_rows else 1).to_numpy()
    return {(int(row), int(column)) for row, column in zip(*is_best.nonzero(), strict=True)}


def table(name: str) -> TableGrid:
    """Table 2, 5 or 6 of the paper ("table2", "table5", "table6"), the best in bold.

    `frame` has one row per cell, in per cent as printed. Raises UnknownReference.

    >>> print("  ".join(table("table6").cells[5]))
    ViT-H/14  14  88.08  90.36  99.50  94.71  97.11  99.71  4262
    """
    if name not in FORMS:
        raise reference.UnknownReference(
            f"published table {name!r} is unknown; {suggestion(name, FORMS)}"
        )
    form = FORMS[name]
    published = reference.load(form.published)
    published["text"] = [_text(row) for _, row in published.iterrows()]
    is_score = published["metric"] == "top1_accuracy"
    scores = _matrix(published[is_score], form.rows, form.columns)
    paid = published[published["metric"] == form.cost]
    across = name == "table2"  # its costs are a row
    values = scores.map(lambda pair: pair[0]).astype(float)
    lines = [list(row) for row in scores.map(lambda pair: pair[1]).to_numpy()]
    keys = [key if isinstance(key, tuple) else (key,) for key in scores.index]
    cells = [[*map(str, key), *line] for key, line in zip(keys, lines, strict=True)]
    titles = [key if isinstance(key, str) else ", ".join(key) for key in scores.columns]
    if across:
        cells.append([form.cost_title, *paid["text"]])
    elif form.cost:
        titles.append(form.cost_title)
        cells = [[*line, text] for line, text in zip(cells, paid["text"], strict=True)]
    first = len(form.rows)
    words = ["pre-trained on" if key == "pretrain_dataset" else key for key in form.rows]
    words = ["data set" if word == "dataset" else word for word in words]
    number = re.sub(r"\D", "", name)
    return TableGrid(
        header=(*words, *titles),
        cells=tuple(map(tuple, cells)),
        is_number=tuple(key == "epochs" for key in form.rows) + (True,) * len(titles),
        bold=frozenset((row, first + at) for row, at in _bold(values, name != "table6")),
        footnote=f"{form.says} As printed in Table {number} of arXiv:2010.11929v2; an empty cell "
        "was not reported.",
        frame=published.drop(columns=["text", "note"], errors="ignore"),
        rules=frozenset({len(lines)} if across else ()),
    )
