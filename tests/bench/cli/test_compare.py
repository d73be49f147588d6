"""The verb `compare`, on published rows and on a ledger."""

import json
from typing import Any

import pytest

from bench.cli.app import main


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    with pytest.raises(SystemExit) as end:
        main(["compare", *arguments])
    out, err = capsys.readouterr()
    return int(end.value.code or 0), out, err


TABLE6 = ("--published", "table6", "--replicas", "100")


def test_published_rows_need_no_study(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, *TABLE6, "--metric", "imagenet", "--json")
    assert code == 0
    document = json.loads(out)
    rows = {row["name"]: row for row in document["configurations"]}
    assert len(rows) == 18
    assert rows["R50x1+ViT-L/16, 14 ep"]["dominated_by"] == ["ViT-L/16, 14 ep"]
    assert rows["ViT-B/16"]["dominated_by_in_family"] == ["ViT-L/32"]
    pairs = [(made["a"], made["b"]) for made in document["comparisons"]]
    assert pairs == [("vit", "hybrid"), ("vit", "bit"), ("hybrid", "bit")]
    ratio = document["comparisons"][1]["mean_ratio"]
    assert ratio["low"] < ratio["value"] < ratio["high"]
    assert "log cost" in ratio["method"]
    each = {row["name"]: row["ratio"] for row in document["comparisons"][1]["ratio_of_each_run"]}
    assert each["ResNet50x1"] is None
    assert each["ResNet50x2"] == pytest.approx(2.2, abs=0.05)


def test_sentences_and_the_single_runs_within_limits(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(
        capsys, *TABLE6, "--metric", "imagenet", "--families", "vit", "bit",
        "--at-accuracy", "0.8712", "--at-cost", "1e21",
    )  # fmt: skip
    assert code == 0
    assert "ViT needs 2.1 × [" in out
    assert "cheapest that reaches it: ViT-L/16, 14 ep, 87.12% at 1,567 exaFLOPs" in out
    assert "best within it: R50x1+ViT-L/16, 7 ep" in out
    assert "Pareto frontiers, linear in the metric against log cost" in err


def test_a_crossing_in_data_needs_no_cost(capsys: pytest.CaptureFixture[str]) -> None:
    models = ("--families", "ViT-B/16", "ViT-L/16")
    code, out, _ = run(capsys, "--published", "table5", *models, "--json")
    found = json.loads(out)["comparisons"][0]["crossing_in_data"]
    assert code == 0
    assert found["overtaking"] == "ViT-L/16"
    assert found["at"]["value"] == pytest.approx(4.68e6, rel=1e-3)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "missing STUDY"),
        (("--published", "table7"), "expected one of table5, table6"),
        ((*TABLE6, "--metric", "imagnet"), "imagnet"),
        ((*TABLE6, "--at-accuracy", "85"), "expected a fraction"),
        ((*TABLE6, "--families", "vit", "bat"), "'bat'"),
        ((*TABLE6, "--cost", "energy_joules"), "energy_joules"),
    ],
)
def test_what_is_wrong_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: Any, said: str
) -> None:
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["fit", "x", "--at", "nan"],
        ["fit", "x", "--at", "1e9", "--at", "-5"],
        ["compare", "x", "--at-cost", "0"],
        ["next", "x", "--budget-days", "inf"],
    ],
)
def test_places_that_are_no_positive_numbers_are_refused(
    capsys: pytest.CaptureFixture[str], arguments: Any
) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert "expected a finite number above 0" in capsys.readouterr().err
