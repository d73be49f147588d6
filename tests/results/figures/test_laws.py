"""Laws and IsoFLOP profiles as figures: curves, bands, minima and what to doubt."""

import numpy as np
import pandas as pd
import pytest

from results import fit, reference
from results.figures import laws as plot_laws
from results.figures import style
from results.figures.points import NothingToDraw
from results.laws import isoflop
from tests.helpers.pictures import legend_of, points_of


@pytest.fixture(scope="module")
def law() -> fit.LawFit:
    x = np.geomspace(1e18, 1e21, 8)
    noise = np.exp(0.02 * np.random.default_rng(0).standard_normal(8))
    return fit.fit_points(x, 0.5 * (x / 1e18) ** -0.2 * noise, form="power", replicas=200)


def test_a_law_has_points_a_curve_two_bands_and_its_exponent(law: fit.LawFit) -> None:
    ax = plot_laws.fits({"vit": law})
    points = [
        line for line in ax.get_lines() if line.get_marker() == "o" and len(points_of(line)) == 8
    ]
    assert len(points) == 1
    assert len(ax.collections) >= 2
    assert f"b = {law.parameters['b'].value:.2g}" in [text.get_text() for text in ax.texts]
    legend = legend_of(ax)
    assert legend[:3] == ["ViT", "curve, 90%", "next run, 90%"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("training compute (FLOPs)", "top-1 error")


def test_beyond_the_data_the_curve_is_dashed(law: fit.LawFit) -> None:
    ax = plot_laws.fits(law)
    (dashed,) = [line for line in ax.get_lines() if line.get_linestyle() == "--"]
    assert points_of(dashed)[:, 0].min() > law.x.max()


def test_warnings_and_families_without_a_law_stand_below() -> None:
    runs = reference.table6()
    laws = fit.fit_groups(
        runs, x="train_flops_valid", metric="imagenet_accuracy", form="power", replicas=0
    )
    laws["mixer"] = fit.FitError("1 different x")
    figure = plot_laws.fit_panels(laws)
    assert len(figure.axes) == 3
    texts = [text.get_text() for ax in figure.axes for text in ax.texts]
    assert any("mixer: no law, 1 different x" in text for text in texts)
    for made in list(laws.values())[:3]:
        assert isinstance(made, fit.LawFit)
        for warning in made.warnings:
            assert any(warning.code in text for text in texts)


def test_no_law_at_all_says_why() -> None:
    with pytest.raises(NothingToDraw, match="too few"):
        plot_laws.fits({"vit": fit.FitError("too few")})


def make_profiles() -> tuple[isoflop.Profile, ...]:
    rows = [
        {
            "label": f"n{n:.0f}",
            "params": n,
            "train_flops": c,
            # best at n = 1e6 (c / 1e16)^0.5
            "top1_accuracy": 1 - 0.2 * np.exp(0.05 * np.log(n / (1e6 * (c / 1e16) ** 0.5)) ** 2),
            "state": "done",
            "seed": 0,
        }
        for c in (1e15, 1e16, 1e17)
        for n in 1e6 * (c / 1e16) ** 0.5 * np.array([0.1, 0.3, 1, 3, 10])
    ]
    return isoflop.profiles(pd.DataFrame(rows), replicas=50)


def test_each_profile_has_its_parabola_and_its_minimum() -> None:
    ax = plot_laws.isoflop(make_profiles())
    stars = [points_of(line)[0, 0] for line in ax.get_lines() if line.get_marker() == "*"]
    assert stars == pytest.approx([1e6 * 0.1**0.5, 1e6, 1e6 * 10**0.5], rel=0.01)
    expected = {f"$10^{{{power}}}$ FLOPs" for power in (15, 16, 17)}  # as on the axes
    assert {text.get_text() for text in ax.texts} == expected
    assert all(text.get_parse_math() for text in ax.texts)
    assert ax.get_ylabel() == "top-1 error"


def test_an_axes_can_be_passed_in(law: fit.LawFit) -> None:
    ax = style.new_axes()
    assert plot_laws.fits(law, ax=ax) is ax
    ax = style.new_axes()
    assert plot_laws.isoflop(make_profiles(), ax=ax) is ax
    with pytest.raises(NothingToDraw):
        plot_laws.isoflop([])
