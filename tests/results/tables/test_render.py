"""The same table in five formats, whatever the names in it hold."""

import csv
import io
from html.parser import HTMLParser
from typing import Any

import pandas as pd
import pytest

from results import table
from results.tables import render

FRAME = pd.DataFrame({"label": ["A", "B"], "flops": [5.1e10, None], "top1": [0.5, 0.25]})


def make_grid(name: str = "A", frame: Any = FRAME, rules: Any = frozenset()) -> Any:
    return render.TableGrid(
        header=("model", "top-1 (%)"),
        cells=((name, "50.00 ± 1.00"), ("B", "25.00")),
        is_number=(False, True),
        bold=frozenset({(0, 1)}),
        footnote=f"top-1 of {name}",
        frame=frame,
        rules=rules,
    )


def test_csv_holds_raw_numbers_and_nothing_for_unknown() -> None:
    rows = list(csv.DictReader(io.StringIO(render.to_csv(make_grid()))))
    assert rows == [
        {"label": "A", "flops": "51000000000", "top1": "0.5"},
        {"label": "B", "flops": "", "top1": "0.25"},
    ]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "  ="])
def test_a_cell_that_a_spreadsheet_would_run_is_neutralised(start: str) -> None:
    label = f'{start}HYPERLINK("http://x")'
    text = render.to_csv(make_grid(frame=FRAME.assign(label=[label, "B"])))
    cells = [cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row]
    assert f"'{label}" in cells
    assert not any(cell.startswith(start) for cell in cells)


def test_latex_is_booktabs_and_escaped() -> None:
    text = render.to_latex(make_grid(r"a_b & 50% \x {#}~^$", rules=frozenset({1})))
    assert r"a\_b \& 50\% \textbackslash{}x \{\#\}\textasciitilde{}\textasciicircum{}\$" in text
    assert text.index(r"\toprule") < text.index(r"\midrule") < text.index(r"\bottomrule")
    assert text.count(r"\midrule") == 2
    assert r"\textbf{50.00 $\pm$ 1.00}" in text
    assert "±" not in text
    widths = {line.count(" & ") for line in text.splitlines() if line.endswith(r"\\")}
    assert widths == {1}


def test_markdown_keeps_its_columns_whatever_a_name_holds() -> None:
    text = render.to_markdown(make_grid("a|b\n*c*"))
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert lines[2] == r"| a\|b \*c\* | **50.00 ± 1.00** |"
    assert {line.replace(r"\|", "").count("|") for line in lines} == {3}


class Reader(HTMLParser):
    """The tags of a page, and the text of each cell."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[Any] = []
        self.tags: list[Any] = []
        self.cells: list[Any] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.open.append(tag)
        self.tags.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self.open):
            self.cells[-1] += data


def test_html_is_a_balanced_fragment_whatever_a_name_holds() -> None:
    name = '<script>alert(1)</script>" onclick="x&'
    made = Reader(render.to_html(make_grid(name, rules=frozenset({1}))))
    assert made.open == []
    assert made.cells == ["model", "top-1 (%)", name, "50.00 ± 1.00", "B", "25.00"]
    assert set(made.tags) == {
        *("figure", "table", "thead", "tbody", "tr", "th", "td", "strong", "figcaption")
    }


def test_text_is_aligned_and_holds_no_control_characters() -> None:
    text = render.to_text(make_grid("\x1b[31mA", rules=frozenset({1})))
    assert "\x1b" not in text
    lines = text.splitlines()
    assert lines[1] == lines[3]
    assert len(lines[0]) == len(lines[1]) == len(lines[2]) == len(lines[4])


@pytest.mark.parametrize("name", ["[a]", "*b*"])
def test_latex_takes_no_name_for_an_option_of_a_line(name: str) -> None:
    made = table.comparison(pd.DataFrame({"label": [name], "top1_accuracy": [0.5]}))
    assert f"\n{{}}{name} & " in render.to_latex(made)
