"""What the report says of laws and comparisons is what fit and compare say, with their doubts."""

import pandas as pd
import pytest

from results import compare, reference, store
from results.fit import FitError
from results.laws.law_fit import LawFit
from results.report.answers import (
    comparisons,
    fitted,
    law_curves,
    law_table,
    replicas,
)
from tests.helpers import large_ledger
from tests.helpers.known import known

COST, METRIC = "train_flops", "top1_accuracy"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    folder = tmp_path_factory.mktemp("runs") / "s"
    return store.load(large_ledger.write(folder, 300)).runs


@pytest.fixture(scope="module")
def laws(runs: pd.DataFrame) -> dict[str, LawFit | FitError]:
    return fitted(runs, COST, METRIC)


def test_every_family_has_its_law_or_a_reason(
    runs: pd.DataFrame, laws: dict[str, LawFit | FitError]
) -> None:
    assert [row[0] for row in law_table(laws, COST, METRIC, 9).rows] == ["ViT", "Hybrid", "ResNet"]
    few = fitted(runs.head(3), COST, METRIC)
    assert isinstance(few["vit"], FitError)
    (row,) = law_table(few, COST, METRIC, 9).rows
    assert row[-1].startswith("no law: 1 different x") and row[2:-1] == ("",) * 6


def test_warnings_stand_beside_their_law_with_their_codes(runs: pd.DataFrame) -> None:
    made = fitted(runs, "train_examples", METRIC)
    table = law_table(made, "train_examples", METRIC, 9)
    for row, law in zip(table.rows, made.values(), strict=True):
        assert isinstance(law, LawFit)
        assert all(f"{warning.code}: {warning.text}" in row[-1] for warning in law.warnings)


def test_curves_run_over_the_data_inside_their_bands(laws: dict[str, LawFit | FitError]) -> None:
    curves = law_curves(laws, COST, METRIC)["curves"]
    assert [curve["family"] for curve in curves] == ["vit", "hybrid", "bit"]
    for curve in curves:
        law = laws[curve["family"]]
        assert isinstance(law, LawFit)
        assert curve["x"][0] == pytest.approx(law.x.min(), rel=1e-5)
        assert curve["x"][-1] == pytest.approx(law.x.max(), rel=1e-5)
        rows = zip(curve["low"], curve["y"], curve["high"], strict=True)
        assert all(low <= y <= high for low, y, high in rows)


def test_families_are_compared_as_the_package_compares_them() -> None:
    paper = reference.table6().assign(state="done")
    made = comparisons(paper, "train_flops_valid", METRIC)
    ratio = compare.mean_ratio(compare.groups(paper, "vit", "bit", metric=METRIC))
    answers = {row[0]: row[1] for row in known(made).rows}
    question = "ResNet: training compute without padding for the same top-1, ViT = 1"
    assert answers[question] == f"{ratio.value:.2f} ×"


def test_what_is_not_comparable_says_so(runs: pd.DataFrame) -> None:
    bit = runs[(runs["family"] == "bit")].assign(train_flops=1e30)
    vit = runs[(runs["family"] == "vit")]
    rows = known(comparisons(pd.concat([vit, bit]), COST, METRIC)).rows
    crossing = next(row for row in rows if row[0].endswith("at how much training compute"))
    assert crossing[1] == "not comparable" and "do not overlap" in crossing[3]
    assert comparisons(vit, COST, METRIC) is None


def test_a_large_ledger_is_resampled_less_often(runs: pd.DataFrame) -> None:
    assert replicas(runs) == 1000
    assert replicas(pd.concat([runs] * 7)) == 100
