"""What stands where in a drawn figure."""

import itertools

from matplotlib.text import Text
from matplotlib.transforms import Bbox


def text_boxes(texts):
    texts[0].get_figure().draw_without_rendering()
    return [Text.get_window_extent(text) for text in texts]


def assert_apart(boxes) -> None:
    for one, other in itertools.combinations(boxes, 2):
        assert Bbox.intersection(one, other) is None
