"""Figures of a study for notebooks: functions that draw them and write them to files."""

import io
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from results.figures.data_scale import data_scale as data_scale
from results.figures.data_scale import data_scales as data_scales
from results.figures.frontier import frontier as frontier
from results.figures.frontier import frontiers as frontiers
from results.ledger.files import write_whole
from results.schema import ResultsError

Drawing = Figure | Axes

FORMATS = ("png", "pdf", "svg")
DPI = 300


class UnknownFormat(ResultsError):
    """The error for a file name whose ending is not in `FORMATS`."""


def save(figure: Drawing, path: Path | str) -> Path:
    """Write a figure atomically, as PNG (300 dpi), PDF or SVG by the ending of `path`.

    The same figure makes the same bytes. Raises UnknownFormat.
    """
    path = Path(path)
    kind = path.suffix[1:].lower()
    if kind not in FORMATS:
        expected = ", ".join(f".{name}" for name in FORMATS)
        raise UnknownFormat(f"{path}: given {path.suffix or 'no ending'}, expected {expected}")
    drawn = figure.get_figure(root=True) if isinstance(figure, Axes) else figure
    assert drawn is not None
    content = io.BytesIO()
    metadata = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(kind)
    with matplotlib.rc_context({"pdf.fonttype": 42, "svg.hashsalt": "scalestudy"}):
        drawn.savefig(content, format=kind, dpi=DPI, metadata=metadata)
    return write_whole(path, lambda stream: stream.write(content.getbuffer()))
