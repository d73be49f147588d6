"""Builds the published tables from CSV files: python -m results.published.make CSV_FOLDER."""

import csv
import json
import re
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from results.ledger.files import write_whole
from results.schema import SCHEMA_VERSION, WRITER_VERSION, ResultsError

DESCRIPTIONS = {
    "accelerators": "peak dense FLOP/s of accelerators, and which unit is counted",
    "analytic_model_costs": "multiply-adds and parameters in closed form",
    "augreg_augmentations": "AugReg: augmentation settings",
    "augreg_results": "AugReg Table 3, and big_vision's expected transfer results",
    "bit_hyperrule": "BiT: upstream recipe and HyperRule",
    "bit_results": "BiT: tables of the paper, of the repository, and timm's evaluations",
    "datasets": "sizes of data sets, as printed",
    "scaling_law_constants": "fitted constants of scaling laws, and related figures",
    "scaling_vit_architectures": "Scaling ViT Table 2: shapes",
    "scaling_vit_data_scale": "Scaling ViT: accuracy by model, data size and steps",
    "timm_imagenet_accuracy": "timm: ImageNet accuracy of public ViT, hybrid and BiT weights",
    "timm_model_costs": "timm: parameters, GMACs (norm work included) and activations",
    "timm_throughput": "timm: images per second by device, precision and version",
    "vit_checkpoints": "recommended AugReg checkpoints: files, size, speed, accuracy",
    "vit_model_configs": "configs of the vision_transformer repository",
    "vit_readme_finetune": "fine-tuning runs of the vision_transformer README",
    "vit_table1_variants": "ViT Table 1: Base, Large, Huge",
    "vit_table2_sota": "ViT Table 2: state-of-the-art comparison",
    "vit_table3_pretrain_hparams": "ViT Table 3: pre-training",
    "vit_table4_finetune_hparams": "ViT Table 4: fine-tuning",
    "vit_table5_pretrain_datasets": "ViT Table 5: model by pre-training set by transfer set",
    "vit_table6_compute_check": "ViT Table 6: exaFLOPs recalculated",
    "vit_table6_scaling": "ViT Table 6: the compute frontier of Figure 5",
    "vit_table7_resnet_adam_sgd": "ViT Table 7: ResNets with Adam or SGD",
    "vit_table8_position_embedding": "ViT Table 8: position embeddings",
    "vit_table9_vtab": "ViT Table 9: VTAB-1k by task",
    "vit_text_figures": "numbers that stand only in the text of the ViT paper",
}
# Versions look like numbers, but 12.10 is not 12.1.
ALWAYS_TEXT = frozenset({"torch_version", "cuda_version"})
ACCURACIES_IN_PERCENT = re.compile(r"(.*top[15]|average_of_five)_percent")
WHOLE = re.compile(r"[+-]?\d{1,18}")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
DOTTED = re.compile(r"\d+\.\d+\.")  # "0.1." in vit_checkpoints.csv, from the end of a file name
# How the figures were collected means nothing to who reads the table.
REWORDED = {
    "were read in one stored note on the paper (secondary), agreeing with memory": "are secondary",
    "as quoted on stored public pages": "as quoted on secondary pages",
    "; not found in a stored source": "",
    " (see README)": "",
    "a stored benchmark": "a benchmark",
    "public source text listing AMD peaks (1307.4), found by exact string; ": "",
    "public source text with hardware tables, found by exact string": "third-party tables",
    "from memory": "unverified",
}


class MakeError(ResultsError):
    """The folder of CSV files is not what the published tables are made of."""


def _typed(name: str, cells: list[str]) -> pa.Array:
    """Convert a column of text to flags, whole numbers or floats if all of it is; empty is null."""
    given = {cell for cell in cells if cell}
    kind: pa.DataType = pa.string()
    convert: Callable[[str], Any] = str
    if given and name not in ALWAYS_TEXT:
        if given <= {"yes", "no"}:
            kind, convert = pa.bool_(), lambda cell: cell == "yes"
        elif all(WHOLE.fullmatch(cell) for cell in given):
            kind, convert = pa.int64(), int
        elif all(NUMBER.fullmatch(cell) for cell in given):
            kind, convert = pa.float64(), float
    return pa.array([convert(cell) if cell else None for cell in cells], type=kind)


def _fractions(cells: list[str], units: list[str]) -> pa.Array:
    """Accuracies as fractions, the double nearest to what is printed; null for other units."""
    divisors = {"percent": 100, "fraction": 1}
    values = [
        float(Decimal(cell) / divisors[unit]) if cell and unit in divisors else None
        for cell, unit in zip(cells, units, strict=True)
    ]
    return pa.array(values, type=pa.float64())


def _add_fractions(table: dict[str, pa.Array], text: dict[str, list[str]]) -> None:
    """Add a `_fraction` column beside each column of accuracies."""
    for name, cells in text.items():
        match = ACCURACIES_IN_PERCENT.fullmatch(name)
        if match:
            table[f"{match[1]}_fraction"] = _fractions(cells, ["percent"] * len(cells))
        elif name in ("value", "std") and {"percent", "fraction"} & set(text.get("unit", ())):
            table[f"{name}_fraction"] = _fractions(cells, text["unit"])


def _cleaned(cell: str) -> str:
    for old, new in REWORDED.items():
        cell = cell.replace(old, new)
    return cell.removesuffix(".") if DOTTED.fullmatch(cell) else cell


def convert(source: Path) -> pa.Table:
    """One CSV file as an Arrow table: typed, empty cells null, accuracies also as fractions.

    The file's metadata hold a description, the sources and the versions. Raises MakeError naming
    file and line where a row has the wrong number of cells.
    """
    with source.open(newline="", encoding="utf-8") as stream:
        header, *rows = csv.reader(stream)
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise MakeError(f"{source}: row {number} has {len(row)} cells, not {len(header)}")
    text = {name: [_cleaned(row[at]) for row in rows] for at, name in enumerate(header)}
    table = {name: _typed(name, cells) for name, cells in text.items()}
    _add_fractions(table, text)
    metadata = {
        "scalestudy.table": f"published.{source.stem}",
        "scalestudy.description": DESCRIPTIONS[source.stem],
        "scalestudy.sources": json.dumps(sorted(set(text["source"]))),
        "scalestudy.schema_version": str(SCHEMA_VERSION),
        "scalestudy.writer_version": WRITER_VERSION,
    }
    return pa.table(table).replace_schema_metadata(metadata)


def make(folder: Path, target: Path) -> None:
    """Write `target`/*.parquet from `folder`/*.csv; raise MakeError if a CSV is missing."""
    found = {path.stem: path for path in sorted(folder.glob("*.csv"))}
    if found.keys() != DESCRIPTIONS.keys():
        differing = ", ".join(sorted(found.keys() ^ DESCRIPTIONS.keys()))
        raise MakeError(f"{folder}: expected one CSV per published table; differing: {differing}")
    for name, path in found.items():
        table = convert(path)

        def fill(stream: Any, table: pa.Table = table) -> None:
            pq.write_table(table, stream)

        write_whole(target / f"{name}.parquet", fill)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m results.published.make CSV_FOLDER")
    make(Path(sys.argv[1]), Path(__file__).parent)
