"""Labels that are placed again whenever the axes of a figure have changed their size."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from results.figures.labels import lay_out, pixels_per_point

Floats = npt.NDArray[np.float64]
SAME = 3.0  # points; between 100 and 300 dots per inch a layout differs by 1.6
PASSES = 4  # the labels of an axes may change its neighbours' size; two were enough in all figures


class Write(Protocol):
    """Writes the labels of an axes, amid a drawing with `renderer`."""

    def __call__(self, *, renderer: RendererBase) -> Sequence[Annotation]: ...


@dataclass
class _Labelled:
    """An axes, what writes its labels, and those written."""

    ax: Axes
    write: Write
    texts: Sequence[Annotation] = ()

    @property
    def is_gone(self) -> bool:
        """Whether the axes was removed or cleared since."""
        is_cleared = bool(self.texts) and all(text.axes is None for text in self.texts)
        return self.ax.figure is None or is_cleared

    def size(self) -> Floats:
        """Width and height in points: the same on paper of any resolution."""
        return np.array(self.ax.get_window_extent().size) / pixels_per_point(self.ax)

    def label(self, renderer: RendererBase) -> None:
        for text in self.texts:
            if text.axes is not None:
                text.remove()
        self.texts = self.write(renderer=renderer)


class Labels(Artist):
    """The labels of all axes of a figure; drawn before these and after the layout.

    An artist, since a figure's draw event comes when all is drawn.
    """

    def __init__(self) -> None:
        super().__init__()
        self.set(zorder=-1e9, in_layout=False)
        self._parts: list[_Labelled] = []
        self._placed_for: Floats | None = None

    def add(self, ax: Axes, write: Write) -> None:
        """Has `write` called at the next drawing, and when sizes have changed since."""
        self._parts.append(_Labelled(ax, write))
        self._placed_for = None

    def draw(self, renderer: RendererBase) -> None:
        """Places the labels anew if an axes has another size than when they were placed."""
        self._parts = [part for part in self._parts if not part.is_gone]
        for _ in range(PASSES if self._parts else 0):
            sizes = np.array([part.size() for part in self._parts])
            if self._is_placed_for(sizes):
                break
            for part in self._parts:
                part.label(renderer)
            self._placed_for = sizes
            lay_out(self._parts[0].ax, renderer)

    def _is_placed_for(self, sizes: Floats) -> bool:
        known = self._placed_for
        if known is None or len(known) != len(sizes):
            return False
        return bool(np.abs(sizes - known).max() < SAME)


def keep_labelled(figure: Figure, writers: Sequence[tuple[Axes, Write]]) -> None:
    """Writes labels on axes of a figure now, and again when it is drawn at another size."""
    found = (artist for artist in figure.artists if isinstance(artist, Labels))
    labels = next(found, None) or figure.add_artist(Labels())
    assert isinstance(labels, Labels)
    for ax, write in writers:
        labels.add(ax, write)
    figure.draw_without_rendering()
