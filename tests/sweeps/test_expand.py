"""From a spec to runs: how many, in which order, and what is refused before anything starts."""

from pathlib import Path
from typing import Any

import pytest

from bench.data.sources import describe_from
from bench.run import trackers
from bench.run.config import Run
from sweeps.documents import SpecError
from sweeps.expand import expand
from sweeps.points import idle
from sweeps.spec import StudySpec


def spec(**changes: Any) -> StudySpec:
    values: dict[str, Any] = {
        "study": "small",
        "base": {"data": "digits", "steps": 10},
        "grid": {"model": ["vit_nano2", "bit_nano"], "train_examples": [100, 200]},
    }
    return StudySpec.model_validate(values | changes)


def points(study: StudySpec) -> list[tuple[str, int]]:
    return [(run.config.model, run.train_examples) for run in expanded(study)]


def expanded(study: StudySpec) -> list[Run]:
    return [one.run for one in expand(study, describe_from(Path()))]


def refusal(study: StudySpec) -> str:
    with pytest.raises(SpecError) as caught:
        expand(study, describe_from(Path()))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_runs_come_in_the_order_of_the_grid() -> None:
    assert points(spec()) == [
        ("vit_nano2", 100),
        ("vit_nano2", 200),
        ("bit_nano", 100),
        ("bit_nano", 200),
    ]


def test_a_study_without_a_grid_is_one_run() -> None:
    one = spec(base={"data": "digits", "steps": 1, "model": "vit_nano2"}, grid={})
    assert len(expand(one, describe_from(Path()))) == 1


def test_excluded_points_are_left_out() -> None:
    left = points(spec(exclude=[{"model": "bit_nano", "train_examples": [100, 300]}]))
    assert left == [("vit_nano2", 100), ("vit_nano2", 200), ("bit_nano", 200)]


def test_excluding_everything_is_refused() -> None:
    assert "no runs are left" in refusal(spec(exclude=[{"data": "digits"}]))


def test_overrides_apply_where_they_match() -> None:
    study = spec(overrides=[{"match": {"model": "bit_nano"}, "set": {"recipe.lr": 0.5}}])
    rates = {run.config.model: run.config.recipe.lr for run in expanded(study)}
    assert rates == {"vit_nano2": 1e-3, "bit_nano": 0.5}


def test_dotted_and_nested_keys_meet() -> None:
    base = {"data": "digits", "steps": 1, "recipe": {"weight_decay": 0.3}, "recipe.lr": 0.2}
    (run,) = expanded(spec(base=base, grid={"model": ["vit_nano2"]}))
    assert (run.config.recipe.weight_decay, run.config.recipe.lr) == (0.3, 0.2)


def test_the_same_run_twice_is_refused() -> None:
    # All 1,797 digits but one in five of each class are the training set: 1,442.
    message = refusal(spec(grid={"model": ["vit_nano2"], "train_examples": [1442, None]}))
    assert "two runs are the same" in message
    assert "train_examples=None" in message


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ({"model": "vit_nano3"}, "unknown model 'vit_nano3': did you mean"),
        ({"batch_size": "64"}, "batch_size: given '64', expected a valid integer"),
        ({"epochs": 3}, "given epochs and steps, expected exactly one"),
        ({"image_size": 9}, "image_size"),
        ({"data": "nowhere"}, "data: nowhere does not exist"),
        ({"train_examples": 5000}, "train_examples: given 5000, expected at most 1442"),
        ({"model_options": {"widht": 3}}, "widht"),
        ({"engine.micro_batch_size": 7}, "engine.micro_batch_size: given 7, expected a divisor"),
    ],
)
def test_a_wrong_run_is_refused_with_its_values(base: dict[str, Any], expected: str) -> None:
    values = {"data": "digits", "steps": 10, "model": "vit_nano2"} | base
    message = refusal(spec(base=values, grid={"seed": [4]}))
    assert expected in message
    assert "run seed=4" in message


def test_a_tracker_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(trackers.PACKAGES, "wandb", "no_such_package")
    message = refusal(spec(base={"data": "digits", "steps": 10, "engine.trackers": ["wandb"]}))
    assert "engine.trackers: given wandb" in message


def test_a_batch_that_does_not_divide_over_the_devices_is_refused() -> None:
    message = refusal(spec(resources={"nodes": 3}))
    assert "batch_size: given 64, expected a multiple of 3 devices" in message


def test_runs_with_resources_of_their_own_form_groups(tmp_path: Path) -> None:
    spec = StudySpec.model_validate(
        {
            "study": "s",
            "base": {"data": "digits", "steps": 1, "batch_size": 64},
            "grid": {"model": ["vit_nano2", "bit_nano"], "seed": [0, 1]},
            "overrides": [
                {"match": {"model": "bit_nano"}, "set": {"resources.nodes": 4}},
                {"match": {"model": "vit_nano2"}, "set": {"resources.nodes": 1}},
            ],
            "resources": {"tasks_per_node": 2},
        }
    )
    planned = expand(spec, describe_from(tmp_path))
    assert [one.resources.num_devices for one in planned] == [2, 2, 8, 8]
    assert len({id(one.resources) for one in planned}) == 2
    assert planned[0].resources is spec.resources
    # Where a run is executed is no part of what it is.
    plain = spec.model_copy(update={"overrides": []})
    assert [run.run_id for run in expand(plain, describe_from(tmp_path))] == [
        one.run_id for one in planned
    ]


def test_wrong_resources_of_a_run_are_refused_with_its_values(tmp_path: Path) -> None:
    override: dict[str, Any] = {"match": {"seed": 1}, "set": {"resources.nodes": 3}}
    values = {
        "study": "s",
        "base": {"data": "digits", "steps": 1, "model": "vit_nano2", "batch_size": 64},
        "grid": {"seed": [0, 1]},
        "overrides": [override],
    }
    with pytest.raises(SpecError, match=r"run seed=1: batch_size: given 64, .* 3 devices"):
        expand(StudySpec.model_validate(values), describe_from(tmp_path))
    override["set"] = {"resources.nodes": "many"}
    with pytest.raises(SpecError, match=r"run seed=1: resources.nodes: given 'many'"):
        expand(StudySpec.model_validate(values), describe_from(tmp_path))


@pytest.mark.parametrize(
    "match",
    [
        {"recipe": {"lr": 0.1}},  # an inner key
        {"recipe.lr": 0.1},
        {"seed": 0, "recipe.lr": [0.1]},  # seed has its default
        {"model_options.dropout": 0.5, "recipe.lr": 0.1},
    ],
)
def test_excludes_match_what_a_run_has_however_it_is_written(match: dict[str, Any]) -> None:
    base = {"data": "digits", "steps": 10, "model": "vit_nano2", "model_options": {"dropout": 0.5}}
    study = spec(base=base, grid={"recipe.lr": [0.1, 0.2]}, exclude=[match])
    assert [run.config.recipe.lr for run in expanded(study)] == [0.2]
    assert idle(study) == []


def test_a_match_that_meets_no_run_is_said() -> None:
    override = {"match": {"train_examples": 300}, "set": {"seed": 1}}
    study = spec(exclude=[{"model": "vit_nano22"}, {"seed": 1}], overrides=[override])
    assert idle(study) == [
        "exclude.0: no run has model=vit_nano22",
        "overrides.0.match: no run has train_examples=300",
    ]


def test_an_inner_key_under_a_value_that_has_none_is_refused() -> None:
    study = spec(base={"data": "digits", "steps": 10, "recipe": 5, "recipe.lr": 0.1})
    assert "recipe: given 5, expected keys and values, for recipe.lr" in refusal(study)


def test_of_two_overrides_the_later_counts() -> None:
    study = spec(
        overrides=[
            {"match": {"data": "digits"}, "set": {"recipe.lr": 0.5, "seed": 1}},
            {"match": {"model": "bit_nano"}, "set": {"recipe.lr": 0.25}},
        ]
    )
    made = {r.config.model: r.config for r in expanded(study)}
    assert {model: config.recipe.lr for model, config in made.items()} == {
        "vit_nano2": 0.5,
        "bit_nano": 0.25,
    }
    assert {config.seed for config in made.values()} == {1}
