"""The verbs `table` and `report`: what is asked of a ledger, and where the answer goes."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bench.cli import output as show
from bench.run.errors import BenchError
from results import reference, store
from results import table as tables
from results.columns import configurations, scores
from results.ledger.files import write_bytes
from results.tables import paper as printed
from results.tables.layouts import COSTS
from results.tables.render import RENDERERS, TableGrid


class AnswerError(BenchError):
    """What was asked of a ledger does not exist, or there is nothing to answer from."""


@dataclass(frozen=True)
class Question:
    """What a table or figure shows: names of columns; empty means the usual ones."""

    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ("top1_accuracy",)
    costs: tuple[str, ...] = ()
    aggregate: str = "mean"
    form: str | None = None
    where: tuple[str, ...] = ()
    evals: bool = False

    @property
    def of_evals(self) -> bool:
        """Whether it is about evaluations, or about what the runs themselves scored."""
        named = {*self.rows, *self.columns, *(text.partition("=")[0] for text in self.where)}
        return self.evals or self.form is not None or bool(named & scores.only_of_evals())


def names(given: Sequence[str] | None) -> tuple[str, ...]:
    """Names that were given several times, or with commas between them.

    >>> names(["label,seed", "epochs"])
    ('label', 'seed', 'epochs')
    """
    return tuple(part for text in given or () for part in text.split(",") if part)


def table(
    studies: Sequence[Path],
    question: Question,
    *,
    format: str,
    output: Path | None = None,
    with_published: bool = False,
    published: str | None = None,
) -> None:
    """Prints or writes a comparison table of some studies; `format` may also be "json".

    `with_published` lays the ViT paper's scores beside them; `published` is one of the paper's
    own tables, alone. Raises AnswerError.
    """
    if format not in (*RENDERERS, "json"):
        raise AnswerError(f"--format: given {format!r}, expected one of {', '.join(RENDERERS)}")
    if published is None:
        made = _comparison(studies, question, with_published)
    elif studies:
        raise AnswerError(f"--published {published}: stands alone; beside studies --with-published")
    else:
        made = printed.table(published)
    if format == "json":
        rows = made.frame.astype(object).where(made.frame.notna(), None)
        text = show.document_text(rows.to_dict(orient="records"))
    else:
        text = RENDERERS[format](made)
    if output is None:
        sys.stdout.write(text)
    else:
        write_bytes(output, text.encode())
        show.note(f"{output}: {len(made.frame)} rows")


def select(study: store.Study, question: Question) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """The runs a question is about, and their evaluations if it is about these.

    Raises AnswerError.
    """
    runs, evals = study.runs, study.evals if question.of_evals else None
    for text in question.where:
        key, equals, value = text.partition("=")
        if not equals:
            raise AnswerError(f"--where: given {text!r}, expected COLUMN=VALUE")
        name = "seed" if key == "draw" else key
        is_of_evals = evals is not None and name in evals and key not in ("study", "run_id", "seed")
        if evals is not None and is_of_evals:
            evals = where(evals, name, value)
        else:
            runs = where(runs, key.removeprefix("pretrain_"), value)
    return runs, evals


def _comparison(studies: Sequence[Path], question: Question, with_published: bool) -> TableGrid:
    runs, evals = select(load(studies), question)
    paper, costs = None, question.costs
    if with_published and evals is not None:
        paper = reference.scores(question.form or "table6")
    elif with_published:
        runs = pd.concat([runs, reference.table6().assign(dataset="JFT-300M, then ImageNet")])
        costs = costs or (*COSTS[:2], "train_flops_valid", "accelerator_days")
    return tables.comparison(
        runs,
        evals,
        rows=question.rows or None,
        columns=question.columns or None,
        costs=costs or None,
        metric=question.metrics,
        aggregate=question.aggregate,
        form=question.form,
        published=paper,
    )


def where(frame: pd.DataFrame, column: str, value: str) -> pd.DataFrame:
    """The rows whose `column` reads `value`, numbers compared as numbers."""
    configurations.check_columns(frame, [column])
    if not pd.api.types.is_numeric_dtype(frame[column]):
        return frame[frame[column].astype(str) == value]
    try:
        return frame[(frame[column] == float(value)).fillna(False)]
    except ValueError:
        raise AnswerError(f"--where {column}: given {value!r}, expected a number") from None


def report(
    studies: Sequence[Path], *, output: Path, cost: str, metric: str, published: bool
) -> None:
    """Writes the report of some studies into `output`, an .html file; raises AnswerError."""
    from results.report import write as reports

    if output.suffix not in (".html", ".htm"):
        raise AnswerError(f"-o: given {output}, expected a name in .html")
    study = load(studies)
    reports.write(study, output, cost=cost, metric=metric, published=published)
    show.note(f"{output}: {len(study.runs)} runs")


def load(studies: Sequence[Path]) -> store.Study:
    """The studies together; what cannot be read is named. Raises AnswerError for no run at all."""
    if not studies:
        raise AnswerError("missing STUDY…: give a study's name or folder")
    study = store.load(studies)
    for skipped in study.skipped:
        show.note(f"skipped: {skipped}")
    if study.runs.empty:
        found = ", ".join(str(path) for path in studies)
        raise AnswerError(f"{found}: no run has ended yet; see scalestudy status")
    return study
