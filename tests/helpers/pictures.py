"""Parts of drawn figures: extents of texts, points of lines, words of legends."""

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from tests.helpers.known import known


def figure_of(ax: Axes) -> Figure:
    """Return the figure of an axes."""
    return known(ax.get_figure(root=True))


def text_boxes(texts: Sequence[Text]) -> list[Bbox]:
    """Draw the figure of some texts; return their extents in pixels, without leaders."""
    known(texts[0].get_figure(root=True)).draw_without_rendering()
    return [Text.get_window_extent(text) for text in texts]


def assert_apart(boxes: Sequence[Bbox]) -> None:
    """Fail if two boxes overlap."""
    for one, other in itertools.combinations(boxes, 2):
        assert Bbox.intersection(one, other) is None


def points_of(line: Line2D) -> npt.NDArray[np.float64]:
    """Return the points of a line in data coordinates: (N, 2)."""
    return np.asarray(line.get_xydata(), dtype=float)


def legend_of(ax: Axes) -> list[str]:
    """Return the words of the legend of an axes."""
    return [text.get_text() for text in known(ax.get_legend()).get_texts()]
