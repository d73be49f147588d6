"""The verbs `table` and `report`: what is asked of a ledger, and where the answer goes."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bench.cli import ledgers
from bench.cli import output as show
from bench.run.errors import BenchError
from results import reference, store
from results import table as tables
from results.columns import filters, scores
from results.comparison import lines
from results.ledger.files import write_bytes
from results.tables import paper as printed
from results.tables.layouts import usual_costs
from results.tables.render import RENDERERS, TableGrid

# The paper's figures count no taps on zero padding: the column to compare them by.
COUNTED_BY_PAPER = {"train_flops": "train_flops_valid"}


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
        """Return True if it is about evaluations, False if about the runs' own scores."""
        named = {*self.rows, *self.columns, *filters.columns_of(self.where)}
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
    """Print or write a comparison table of studies; `format` may also be "json".

    `with_published` lays the ViT paper's scores beside them; `published` is one of the paper's
    own tables, alone. Raises AnswerError.
    """
    if format not in (*RENDERERS, "json"):
        raise AnswerError(f"--format: given {format!r}, expected one of {', '.join(RENDERERS)}")
    if published is None:
        made = _comparison(studies, question, with_published)
    else:
        ledgers.refuse_beside(published, studies)
        ledgers.check_published(published, printed.FORMS)
        _refuse_choices(published, question, with_published)
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


def _refuse_choices(published: str, question: Question, with_published: bool) -> None:
    """Raise AnswerError for options that have no effect on a table shown as it was printed."""
    usual = vars(Question())
    given = [name for name, value in vars(question).items() if value != usual[name]]
    options = {"metrics": "metric", "costs": "cost"}
    names = [f"--{options.get(name, name)}" for name in given]
    names += ["--with-published"] if with_published else []
    if names:
        raise AnswerError(
            f"--published {published}: shown as it was printed, without {', '.join(names)}"
        )


def select(study: store.Study, question: Question) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Return the runs a question is about, and their evaluations if it is about these."""
    evals = study.evals if question.of_evals else None
    return filters.select(study.runs, evals, question.where)


def _comparison(studies: Sequence[Path], question: Question, with_published: bool) -> TableGrid:
    runs, evals = select(ledgers.load(studies), question)
    paper, costs = None, question.costs
    if with_published and evals is not None:
        paper = reference.scores(question.form or "table6")
    elif with_published:
        runs = pd.concat([runs, ledgers.beside()])
        costs = costs or tuple(COUNTED_BY_PAPER.get(name, name) for name in usual_costs())
    measured = () if evals is None else evals["metric"].unique()
    known = pd.DataFrame(columns=list(dict.fromkeys([*runs, *measured])))
    metrics = tuple(lines.column(known, name) for name in question.metrics)
    return tables.comparison(
        runs,
        evals,
        rows=question.rows or None,
        columns=question.columns or None,
        costs=[lines.cost(runs, name) for name in costs] or None,
        metric=metrics,
        aggregate=question.aggregate,
        form=question.form,
        published=paper,
    )


def report(
    studies: Sequence[Path],
    *,
    output: Path,
    cost: str,
    metric: str,
    published: bool,
    where: Sequence[str] = (),
) -> None:
    """Write the report of studies to `output`, an .html file; raise AnswerError."""
    from results.report import write as reports

    if output.suffix not in (".html", ".htm"):
        raise AnswerError(f"-o: given {output}, expected a name in .html")
    study = ledgers.only(ledgers.load(studies), where)
    cost, metric = lines.cost(study.runs, cost), lines.column(study.runs, metric)
    reports.write(study, output, cost=cost, metric=metric, published=published)
    show.note(f"{output}: {len(study.runs)} runs")
