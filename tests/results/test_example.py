"""The example notebook runs from its first cell to its last, and the shipped one is that."""

import warnings

import nbformat
import pytest

from tests.helpers import example_notebook
from tests.helpers.paths import ROOT


@pytest.mark.filterwarnings("ignore")  # of the kernel's own libraries
def test_the_notebook_runs_without_error_and_ships_executed() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = example_notebook.execute(example_notebook.make())
    shipped = nbformat.read(  # type: ignore[no-untyped-call]
        example_notebook.TARGET, as_version=4
    )
    assert [cell.source for cell in shipped.cells] == [cell.source for cell in made.cells]
    for cell in shipped.cells:
        assert cell.cell_type == "markdown" or cell.execution_count
    text = example_notebook.TARGET.read_text()
    assert len(text) < 1_000_000
    assert str(ROOT) not in text
    assert "/home/" not in text and "/tmp/" not in text
