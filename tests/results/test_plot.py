"""Figures hold the points, scales, colors, labels and words they should, in every format."""

import itertools
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib
import numpy as np
import numpy.typing as npt
import pandas as pd
import PIL.Image
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import same_color
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from results import plot, reference
from results.columns import families
from results.columns.configurations import MissingColumn
from results.figures import points, style
from tests.helpers.known import known
from tests.helpers.pictures import figure_of, legend_of, points_of

MODELS = {
    "ViT-Ti/8": ("vit", 180_000, 2e6),
    "ViT-S/8": ("vit", 700_000, 8e6),
    "R8+ViT-Ti/8": ("hybrid", 230_000, 4e6),
    "R8+ViT-S/8": ("hybrid", 820_000, 13e6),
    "ResNet8x1": ("bit", 75_000, 3e6),
    "ResNet14x1": ("bit", 170_000, 10e6),
}


def make_runs(
    num_models: int = 6, sizes: Sequence[int] = (100, 400, 1437), num_seeds: int = 2
) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    rows = []
    for label, (family, params, macs) in list(MODELS.items())[:num_models]:
        for size, seed in itertools.product(sizes, range(num_seeds)):
            error = 0.5 * (params / 1e5) ** -0.1 * (size / 100) ** -0.65
            rows.append(
                {
                    "state": "done",
                    "family": family,
                    "label": label,
                    "params": params,
                    "train_examples": size,
                    "seed": seed,
                    "train_flops": 6 * macs * size * 60,
                    "top1_accuracy": 1 - error + 0.005 * generator.standard_normal(),
                }
            )
    return pd.DataFrame(rows)


def written(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


def markers_of(ax: Axes) -> dict[tuple[Any, Any], npt.NDArray[np.float64]]:
    """(color, marker) -> the points (N, 2) drawn so."""
    lines = [line for line in ax.get_lines() if line.get_marker() not in ("None", "", None)]
    return {(line.get_color(), line.get_marker()): points_of(line) for line in lines}


def assert_labels_apart(ax: Axes) -> None:
    figure_of(ax).draw_without_rendering()
    boxes = [Text.get_window_extent(text) for text in ax.texts]
    for one, other in itertools.combinations(boxes, 2):
        assert Bbox.intersection(one, other) is None


# --- error against compute


def test_frontier_has_one_point_per_configuration_in_the_familys_look() -> None:
    ax = plot.frontier(make_runs())
    drawn = markers_of(ax)
    looks = {
        (style.lighter(color, 0), marker) for color, marker in map(families.style, families.LOOKS)
    }
    assert {look: len(found) for look, found in drawn.items()} == dict.fromkeys(looks, 6)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert ax.get_xlabel() == "training compute (FLOPs)"
    assert ax.get_ylabel() == "top-1 error"
    assert all(text.get_text().endswith("%") for text in ax.get_yticklabels())
    expected = ["ViT", "Hybrid", "ResNet", "Pareto frontier", "mean ± 1 std, n = 2 seeds"]
    assert legend_of(ax) == expected


def test_table_6_alone_shows_its_frontier_and_labels_every_run() -> None:
    ax = plot.frontier(reference.table6(), cost="train_flops_valid")
    (line,) = [line for line in ax.get_lines() if line.get_label() == "Pareto frontier"]
    exaflops = (points_of(line)[:, 0] / 1e18).round().tolist()
    assert exaflops == [50, 55, 106, 246, 783, 859, 1567, 3306, 4262]  # by hand from the table
    assert len(written(ax)) == 18
    assert {"ViT-H/14", "ResNet152x2, 14 ep", "R50x1+ViT-B/16"} <= set(written(ax))
    assert_labels_apart(ax)
    assert legend_of(ax) == ["ViT", "Hybrid", "ResNet", "Pareto frontier"]


def test_labels_cover_no_point() -> None:
    ax = plot.frontier(make_runs())
    assert len(written(ax)) >= 15
    assert_labels_apart(ax)
    centres = np.concatenate([ax.transData.transform(xy) for xy in markers_of(ax).values()])
    for text in ax.texts:
        box = Text.get_window_extent(text)
        assert not any(box.contains(*centre) for centre in centres)


def test_published_points_are_lighter_and_have_their_own_entry() -> None:
    ax = plot.frontier(make_runs(), published=reference.table6())
    assert "ViT paper, Table 6" in legend_of(ax)
    lighter = style.lighter(families.LOOKS["vit"].color, style.PUBLISHED)
    assert len(markers_of(ax)[lighter, "o"]) == 6
    (line,) = [line for line in ax.get_lines() if line.get_label() == "Pareto frontier"]
    assert points_of(line)[:, 0].max() < 1e15  # the paper's runs are not on a study's frontier
    assert_labels_apart(ax)


def test_bars_span_one_sample_standard_deviation() -> None:
    runs = make_runs(num_models=1, sizes=(100,))
    ax = plot.frontier(runs)
    (bars,) = ax.collections
    assert isinstance(bars, LineCollection)
    ((_, low), (_, high)) = bars.get_segments()[0]
    error = 1 - runs["top1_accuracy"]
    assert high - low == pytest.approx(2 * error.std(ddof=1))
    assert (high + low) / 2 == pytest.approx(error.mean())


@pytest.mark.parametrize("draw_figure", [plot.frontier, plot.data_scale])
@pytest.mark.parametrize(
    ("num_models", "sizes", "num_seeds"), [(1, (1437,), 1), (1, (100, 400), 1)]
)
def test_one_model_is_enough(
    draw_figure: Callable[..., Axes], num_models: int, sizes: Sequence[int], num_seeds: int
) -> None:
    ax = draw_figure(make_runs(num_models, sizes, num_seeds))
    assert legend_of(ax)[0] == "ViT"
    assert written(ax)
    assert not any("n =" in text for text in legend_of(ax))


def test_a_loss_is_its_own_error() -> None:
    runs = make_runs().assign(loss=lambda r: 3 * (1 - r["top1_accuracy"]))
    ax = plot.frontier(runs, metric="loss", cost="train_examples")
    assert ax.get_ylabel() == "loss (nats)"
    assert not any("%" in text.get_text() for text in ax.get_yticklabels())


def test_forty_models_fit_on_both_figures() -> None:
    parts = [make_runs(sizes=(100, 1000)) for _ in range(7)]
    runs = pd.concat(part.assign(label=part["label"] + f"-{n}") for n, part in enumerate(parts))
    ax = plot.frontier(runs)
    assert len(written(ax)) > 10
    assert_labels_apart(ax)
    ax = plot.data_scale(runs)
    assert len(written(ax)) == 42
    assert_labels_apart(ax)


@pytest.mark.parametrize("draw_figure", [plot.frontier, plot.data_scale])
def test_nothing_to_draw_names_what_was_missing(draw_figure: Callable[..., Axes]) -> None:
    runs = make_runs().assign(state="failed")
    with pytest.raises(points.NothingToDraw, match="no finished run with top1_accuracy"):
        draw_figure(runs)


@pytest.mark.parametrize("name", ["a$\\foo{$b", "$\\frac$", "$x_1$"])
@pytest.mark.parametrize("draw_figure", [plot.frontier, plot.data_scale])
def test_dollars_in_names_are_no_formulas(draw_figure: Callable[..., Axes], name: str) -> None:
    ax = draw_figure(make_runs(1).assign(label=name, family=name))
    figure_of(ax).draw_without_rendering()
    named = [
        text for text in (*ax.texts, *known(ax.get_legend()).get_texts()) if name in text.get_text()
    ]
    assert len(named) >= 2
    shown = (*named, ax.xaxis.label, ax.yaxis.label)
    assert not any(text.get_parse_math() for text in shown)


def test_published_points_need_the_cost_that_was_named() -> None:
    with pytest.raises(MissingColumn, match="'params'"):
        plot.frontier(make_runs(1), cost="params", published=reference.table6())


# --- accuracy against training-set size


def test_data_scale_has_one_labelled_line_per_model_and_ticks_at_the_sizes() -> None:
    ax = plot.data_scale(make_runs())
    assert sorted(written(ax)) == sorted(MODELS)
    assert_labels_apart(ax)
    assert ax.get_xscale() == "log"
    assert {text.get_text() for text in ax.get_xticklabels()} == {"100", "400", "1.4k"}
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("training images", "top-1 accuracy")
    lines = [line for line in ax.get_lines() if len(points_of(line)) == 3]
    assert len(lines) == 6


def test_the_larger_model_has_the_familys_color_and_the_smaller_a_lighter_one() -> None:
    ax = plot.data_scale(make_runs())
    colors = {text.get_text(): text.get_color() for text in ax.texts}
    vit = families.LOOKS["vit"].color
    assert same_color(colors["ViT-S/8"], vit)
    assert not same_color(colors["ViT-Ti/8"], vit)


def test_table_5_lies_dashed_beside_a_study() -> None:
    ax = plot.data_scale(make_runs(), published=reference.table5())
    assert "ViT paper, Table 5" in legend_of(ax)
    assert len(written(ax)) == 6 + 5
    assert_labels_apart(ax)
    dashed = [line for line in ax.get_lines() if line.get_linestyle() == "--"]
    large = max(dashed, key=lambda line: points_of(line)[-1, 1])
    assert points_of(large)[:, 0].tolist() == [14e6, 303e6]  # H/14, not reported on ImageNet
    assert points_of(large)[:, 1].tolist() == [0.8513, 0.8804]


# --- files


@pytest.fixture(scope="module")
def ax() -> Axes:
    return plot.frontier(make_runs(num_models=2))


def test_png_is_whole_and_dense_enough_to_print(ax: Axes, tmp_path: Path) -> None:
    path = plot.save(ax, tmp_path / "figure.png")
    with PIL.Image.open(path) as image:
        image.load()
        assert image.info["dpi"][0] >= 200


def test_pdf_is_whole_with_fonts_as_text(ax: Axes, tmp_path: Path) -> None:
    content = plot.save(ax, tmp_path / "figure.pdf").read_bytes()
    assert content.startswith(b"%PDF")
    assert content.rstrip().endswith(b"%%EOF")
    assert b"/Type3" not in content.replace(b" ", b"")


def test_svg_is_whole(ax: Axes, tmp_path: Path) -> None:
    root = ElementTree.parse(plot.save(figure_of(ax), tmp_path / "figure.SVG")).getroot()
    assert root.tag.endswith("svg")


@pytest.mark.parametrize("kind", plot.FORMATS)
def test_the_same_runs_make_the_same_bytes(kind: str, tmp_path: Path) -> None:
    paths = [tmp_path / f"{n}.{kind}" for n in range(2)]
    contents = [plot.save(plot.frontier(make_runs(2)), path).read_bytes() for path in paths]
    assert contents[0] == contents[1]


def test_another_format_is_refused_with_the_choices(ax: Axes, tmp_path: Path) -> None:
    with pytest.raises(plot.UnknownFormat, match=r"given \.gif, expected \.png, \.pdf, \.svg"):
        plot.save(ax, tmp_path / "figure.gif")
    assert list(tmp_path.iterdir()) == []


def test_figures_can_share_a_page() -> None:
    figure = Figure(figsize=(12, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    assert plot.frontier(make_runs(), ax=left) is left
    assert plot.data_scale(make_runs(), ax=right) is right
    assert_labels_apart(left)
    assert_labels_apart(right)


def test_the_users_settings_of_matplotlib_are_left_alone(tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    plot.save(plot.frontier(make_runs(2)), tmp_path / "figure.pdf")
    assert dict(matplotlib.rcParams) == before
    code = "import sys; import results.plot; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
