"""Make results/example.ipynb, executed: python -m tests.helpers.example_notebook."""

from typing import Any

import nbformat
from nbclient import NotebookClient

from tests.helpers.paths import ROOT

TARGET = ROOT / "results" / "example.ipynb"

CELLS = (
    """# From a ledger to answers

Everything the command line answers is a function over data frames. The ledger here is a small
study, half finished, that ships with the tests; the published rows are those of the ViT paper
(arXiv:2010.11929v2). Run it from the root of the repository.""",
    """>>>
%matplotlib inline
from IPython.display import HTML, Markdown
from results import compare, fit, frontier, plot, reference, store, table
from results.figures import laws as plot_laws
from results.tables import paper as printed
from results.tables import render

study = store.load("tests/data/ledger_v1")
study.runs[["label", "train_examples", "train_flops", "top1_accuracy"]]""",
    "`.evals`, `.curve` and `.attempts` are read when they are first asked for.",
    """>>>
study.curve.groupby("run_id")[["train_flops", "loss"]].last()""",
    "## Comparison tables\n\nBest in bold; the footnote says what ± is over, and n.",
    ">>>\nMarkdown(render.to_markdown(table.comparison(study.runs)))",
    "In the form of the paper's Table 6, and the paper's own Table 2, cell by cell:",
    """>>>
HTML(render.to_html(table.comparison(study.runs, study.evals, form="table6")))""",
    """>>>
HTML(render.to_html(printed.table("table2")))""",
    "## The compute frontier\n\nNothing else has both less compute and less error.",
    """>>>
paper = reference.table6()
on = frontier.frontier(paper.train_flops_valid, 1 - paper.average_of_five_accuracy)
paper[on].sort_values("train_flops_valid")[["label", "epochs", "average_of_five_accuracy"]]""",
    """>>>
plot.frontier(paper, cost="train_flops_valid", metric="average_of_five_accuracy").figure""",
    "## Data against accuracy",
    ">>>\nplot.data_scale(reference.table5()).figure",
    """## Laws

A curve per family with intervals by cluster bootstrap; each is fitted again without the
largest factor of two in compute. Warnings stand under the figure.""",
    """>>>
laws = fit.fit_groups(paper, x="train_flops_valid", metric="imagenet_accuracy")
{name: {key: p.value for key, p in law.parameters.items()} for name, law in laws.items()}""",
    ">>>\nplot_laws.fit_panels(laws)",
    """## Comparisons

How many times the compute of ViTs the ResNets need for the same accuracy.""",
    """>>>
pair = compare.groups(paper, "vit", "bit", metric="imagenet")
{"at 85%": compare.ratio_at(pair, 0.85).value, "at 88%": compare.ratio_at(pair, 0.88).reason}""",
)


def make() -> nbformat.NotebookNode:
    """The notebook, not executed."""
    v4: Any = nbformat.v4  # without annotations
    cells: list[nbformat.NotebookNode] = []
    for text in CELLS:
        is_code = text.startswith(">>>\n")
        new = v4.new_code_cell if is_code else v4.new_markdown_cell
        cells.append(new(text.removeprefix(">>>\n"), id=f"cell-{len(cells)}"))
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook: nbformat.NotebookNode = v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    return notebook


def execute(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The same with its outputs; raises CellExecutionError where a cell fails."""
    resources = {"metadata": {"path": str(ROOT)}}
    NotebookClient(notebook, timeout=300, resources=resources, record_timing=False).execute()
    notebook.metadata.pop("language_info", None)
    return notebook


if __name__ == "__main__":
    write: Any = nbformat.write
    write(execute(make()), TARGET)
