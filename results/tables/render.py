"""A table of texts in the formats that people, papers and programs read."""

import csv
import html
import io
import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

MIN_WIDTH = 72  # of a footnote under a narrow table
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


@dataclass(frozen=True)
class TableGrid:
    """A table as text: `cells` (R, C) under `header` (C), columns of words or numbers.

    `bold` holds the (row, column) of the best scores, where there are two to compare; a thin rule
    stands above each row in `rules`. `frame` is what the texts were made of, in the units of the
    ledger.
    """

    header: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    is_number: tuple[bool, ...]
    bold: frozenset[tuple[int, int]]
    footnote: str
    frame: pd.DataFrame
    rules: frozenset[int] = frozenset()


def _map_cells(made: TableGrid, escape: Callable[[str], str], bold: str) -> list[list[str]]:
    """Header and rows escaped, the best in `bold` (a template with {})."""
    rows = [[escape(cell) for cell in made.header]]
    for at, cells in enumerate(made.cells):
        texts = [escape(cell) for cell in cells]
        rows.append([bold.format(t) if (at, c) in made.bold else t for c, t in enumerate(texts)])
    return rows


def to_markdown(made: TableGrid) -> str:
    """Return a table in GitHub's Markdown, the best in bold, the footnote below."""

    def escape(cell: str) -> str:
        return re.sub(r"([\\|*_<>`\[\]])", r"\\\1", " ".join(cell.split()))

    header, *rows = _map_cells(made, escape, "**{}**")
    rule = ["---:" if is_number else "---" for is_number in made.is_number]
    lines = [f"| {' | '.join(cells)} |" for cells in (header, rule, *rows)]
    return "\n".join([*lines, "", escape(made.footnote)]) + "\n"


def to_latex(made: TableGrid) -> str:
    """Return a `tabular` of the booktabs package, the best in bold, the footnote below."""

    def escape(cell: str) -> str:
        text = "".join(LATEX.get(letter, letter) for letter in " ".join(cell.split()))
        # After the end of a line LaTeX would take them for an option of it.
        return "{}" + text if text.startswith(("[", "*")) else text

    header, *rows = _map_cells(made, escape, r"\textbf{{{}}}")
    align = "".join("r" if is_number else "l" for is_number in made.is_number)
    lines = [rf"\begin{{tabular}}{{{align}}}", r"\toprule"]
    lines += [rf"{' & '.join(header)} \\", r"\midrule"]
    for at, cells in enumerate(rows):
        lines += [r"\midrule"] if at in made.rules else []
        lines.append(rf"{' & '.join(cells)} \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    lines += [rf"\par\smallskip{{\footnotesize {escape(made.footnote)}}}"]
    return "\n".join(lines) + "\n"


def to_html(made: TableGrid) -> str:
    """Return a `figure` with the table and its footnote, escaped for any page."""
    line, right = "border-top:1px solid", "text-align:right"

    def cell(tag: str, text: str, at: int, ruled: bool) -> str:
        styles = [style for style, on in ((right, made.is_number[at]), (line, ruled)) if on]
        style = f' style="{";".join(styles)}"' if styles else ""
        return f"<{tag}{style}>{text}</{tag.split()[0]}>"

    header, *rows = _map_cells(made, html.escape, "<strong>{}</strong>")
    head = "".join(cell('th scope="col"', text, at, False) for at, text in enumerate(header))
    lines = ['<figure class="comparison">', "<table>", f"<thead><tr>{head}</tr></thead>", "<tbody>"]
    for at, cells in enumerate(rows):
        ruled = at in made.rules
        parts = [cell("td", text, column, ruled) for column, text in enumerate(cells)]
        lines.append(f"<tr>{''.join(parts)}</tr>")
    note = f"<figcaption>{html.escape(made.footnote)}</figcaption>"
    return "\n".join([*lines, "</tbody>", "</table>", note, "</figure>"]) + "\n"


def to_text(made: TableGrid) -> str:
    """Aligned columns for a terminal, the footnote under them."""

    def printable(cell: str) -> str:
        letters = (letter if letter.isprintable() else " " for letter in cell)
        return " ".join("".join(letters).split())

    rows = [[printable(cell) for cell in cells] for cells in (made.header, *made.cells)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(made.header))]

    def line(cells: Sequence[str]) -> str:
        parts = zip(cells, widths, made.is_number, strict=True)
        return "  ".join(c.rjust(w) if right else c.ljust(w) for c, w, right in parts).rstrip()

    header, *body = map(line, rows)
    rule = "  ".join("-" * width for width in widths)
    ruled = [part for at, text in enumerate(body) for part in (rule, text)[at not in made.rules :]]
    note = textwrap.fill(printable(made.footnote), max(len(rule), MIN_WIDTH))
    return "\n".join([header, rule, *ruled, "", note]) + "\n"


def to_csv(made: TableGrid) -> str:
    """Return the numbers as CSV for programs: fractions, FLOPs, days; unknown is an empty cell.

    Text that a spreadsheet would take for a formula gets an apostrophe in front.
    """

    def safe(value: Any) -> object:
        if isinstance(value, str):
            return f"'{value}" if value.lstrip(" ").startswith(FORMULA_STARTS) else value
        if pd.isna(value):
            return None
        return int(value) if isinstance(value, float) and value.is_integer() else value

    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([safe(str(name)) for name in made.frame.columns])
    for row in made.frame.itertuples(index=False):
        writer.writerow([safe(value) for value in row])
    return stream.getvalue()


RENDERERS: dict[str, Callable[[TableGrid], str]] = {
    "text": to_text,
    "markdown": to_markdown,
    "latex": to_latex,
    "csv": to_csv,
    "html": to_html,
}
