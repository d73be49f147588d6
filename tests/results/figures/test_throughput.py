"""Speed and largest batch: the best of each line, over what was varied."""

import itertools
from collections.abc import Sequence

import pandas as pd
import pytest
from matplotlib.axes import Axes

from results.columns import configurations
from results.figures import style, throughput
from results.figures.points import NothingToDraw
from tests.helpers.pictures import points_of


def make_table(
    sizes: Sequence[int] = (64, 128),
    batches: Sequence[int] = (1, 8, 64),
    devices: Sequence[str] = ("A100",),
    largest: int = 8,
) -> pd.DataFrame:
    """Images a second rise with the batch and fall with the image; `largest` fits at 128."""
    rows = [
        {
            "model": model,
            "label": model.upper(),
            "family": family,
            "params": 10,
            "image_size": size,
            "mode": "train",
            "precision": "bf16",
            "compiled": False,
            "device": device,
            "num_threads": 1,
            "batch_size": batch,
            "fits": size < 128 or batch <= largest,
            "images_per_second": None if size == 128 and batch > largest else 1e5 * batch / size,
        }
        for (model, family), size, batch, device in itertools.product(
            [("vit_s", "vit"), ("bit_s", "bit")], sizes, batches, devices
        )
    ]
    return pd.DataFrame(rows)


def lines_of(ax: Axes) -> list[list[list[float]]]:
    return [points_of(line).tolist() for line in ax.get_lines() if line.get_marker() != "None"]


def test_speed_is_the_best_over_batches_at_each_image_size() -> None:
    ax = throughput.speed(make_table())
    assert ax.get_xlabel() == "image size (pixels)"
    assert lines_of(ax)[0] == [[64, 1e5], [128, 1e5 * 8 / 128]]
    assert sorted(text.get_text() for text in ax.texts) == ["BIT_S", "VIT_S"]
    assert {text.get_text() for text in ax.get_xticklabels()} == {"64", "128"}


def test_the_largest_batch_is_the_largest_that_fits() -> None:
    ax = throughput.largest_batch(make_table())
    assert lines_of(ax)[0] == [[64, 64], [128, 8]]


def test_of_one_image_size_speed_is_over_batches() -> None:
    ax = throughput.speed(make_table(sizes=(64,)))
    assert ax.get_xlabel() == "batch size (images)"
    assert [x for x, _ in lines_of(ax)[0]] == [1, 8, 64]


def test_what_was_varied_is_told_apart() -> None:
    ax = throughput.speed(make_table(devices=("A100", "H100")))
    assert len(lines_of(ax)) == 4
    assert {text.get_text() for text in ax.texts} >= {"VIT_S, A100", "VIT_S, H100"}


def test_both_stand_side_by_side_where_memory_ended() -> None:
    assert len(throughput.throughput(make_table()).axes) == 2
    assert len(throughput.throughput(make_table(largest=64)).axes) == 1


def test_axes_and_errors() -> None:
    ax = style.new_axes()
    assert throughput.speed(make_table(), ax=ax) is ax
    with pytest.raises(NothingToDraw):
        throughput.speed(make_table().assign(fits=False))
    with pytest.raises(configurations.MissingColumn, match="image_size"):
        throughput.speed(make_table().drop(columns="image_size"))
