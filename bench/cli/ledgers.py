"""Reading ledgers for the verbs that answer from them: the same checks and words for all."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

import models
from bench.cli import output
from bench.run.errors import BenchError
from results import reference, store
from results.columns import families, filters

# The paper's tables that are runs, so that figures and comparisons can be made of them.
PAPER = {"table5": reference.table5, "table6": reference.table6}
DATASET = "JFT-300M, then ImageNet"  # pre-trained on one, fine-tuned and tested on the other


class LedgerError(BenchError):
    """There is no ledger to answer from, or no such table of the paper."""


def load(studies: Sequence[Path]) -> store.Study:
    """Return the studies together and note what could not be read; raise LedgerError for no run."""
    _add_looks()
    if not studies:
        raise LedgerError("missing STUDY: expected a study's name or its folder")
    study = store.load(studies)
    for skipped in study.skipped:
        output.note(f"skipped: {skipped}")
    if study.runs.empty:
        found = ", ".join(str(path) for path in studies)
        raise LedgerError(f"{found}: no run has ended yet; see scalestudy status")
    return study


def _add_looks() -> None:
    """Tell tables and figures how the families that a program has added are shown."""
    for name, family in models.FAMILIES.items():
        if name not in families.LOOKS and (family.title or family.look):
            color, marker = family.look or families.style(name)
            families.LOOKS[name] = families.Look(family.title or name, color, marker)


def runs(studies: Sequence[Path], where: Sequence[str] = ()) -> pd.DataFrame:
    """Return the runs of studies that meet the conditions of `--where`."""
    return filters.select(load(studies).runs, None, where)[0]


def only(study: store.Study, where: Sequence[str]) -> store.Study:
    """Return the study with the runs that meet the conditions, and what belongs to these."""
    if not where:
        return study
    chosen, _ = filters.select(study.runs, None, where)
    pairs = frozenset(zip(chosen["study"], chosen["run_id"], strict=True))
    return replace(study, only=pairs, skipped=[], notes=[])


def refuse_beside(published: str, studies: Sequence[Path]) -> None:
    """Raise LedgerError where a table of the paper was asked for instead of studies, and both."""
    if studies:
        raise LedgerError(
            f"--published {published}: shows the paper's own table instead of studies; "
            "to lay it beside them use --with-published"
        )


def check_published(name: str, choices: Collection[str]) -> None:
    """Raise LedgerError unless the table of the paper is one of the choices."""
    if name not in choices:
        raise LedgerError(f"--published: given {name!r}, expected one of {', '.join(choices)}")


def published(name: str, studies: Sequence[Path] = ()) -> pd.DataFrame:
    """Return a table of the ViT paper as runs; raise LedgerError beside studies or for no such."""
    refuse_beside(name, studies)
    check_published(name, PAPER)
    return PAPER[name]()


def beside(table: str = "table6") -> pd.DataFrame:
    """Return the paper's runs as they stand beside a study's, with their data sets' names."""
    return PAPER[table]().assign(dataset=DATASET)
