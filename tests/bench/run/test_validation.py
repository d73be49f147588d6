"""A wrong value is refused in one line that names its path; a name must be safe as a folder."""

from typing import Any

import pytest
from pydantic import ValidationError

from bench.run.config import EngineConfig, RunConfig
from bench.run.errors import SettingError
from bench.run.validation import check_name, explain, known_keys

BASE: dict[str, Any] = {"model": "vit_nano2", "epochs": 2, "batch_size": 64}


def refusal(**changes: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        RunConfig(**BASE | changes)
    message = explain(caught.value, RunConfig)
    assert "\n" not in message
    return message


ONE_DURATION = "expected exactly one of epochs, steps, examples, flops"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"modle": "x"}, "modle: unknown key; did you mean model?"),
        ({"recipe": {"warmup": 3}}, "recipe.warmup: unknown key; did you mean warmup_steps?"),
        ({"engine": {"workers": 1}}, "engine.workers: unknown key; did you mean num_workers or "),
        ({"batch_size": "64"}, "batch_size: given '64', expected a valid integer"),
        ({"batch_size": 64.0}, "batch_size: given 64.0, expected a valid integer"),
        ({"seed": True}, "seed: given True, expected a valid integer"),
        ({"seed": -1}, "seed: given -1, expected greater than or equal to 0"),
        ({"epochs": float("inf")}, "epochs: given inf, expected a finite number"),
        ({"recipe": {"lr": 0}}, "recipe.lr: given 0, expected greater than 0"),
        ({"recipe": {"decay": "poly"}}, "recipe.decay: given 'poly', expected 'linear', 'cosine'"),
        ({"engine": {"zero_stage": 4}}, "engine.zero_stage: given 4, expected 0, 1, 2 or 3"),
        (
            {"steps": 5},
            "given epochs and steps, expected exactly one of epochs, steps, examples, flops",
        ),
        (
            {"epochs": None},
            "given no duration, expected exactly one of epochs, steps, examples, flops",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_path(changes: dict[str, Any], expected: str) -> None:
    assert refusal(**changes).startswith(expected)


def test_a_missing_key_is_named() -> None:
    with pytest.raises(ValidationError) as caught:
        RunConfig.model_validate({"epochs": 1})
    assert explain(caught.value, RunConfig) == "model: missing"


def test_an_unknown_key_comes_with_all_choices() -> None:
    message = refusal(engine={"gpus": 8})
    assert all(field in message for field in EngineConfig.model_fields)
    assert known_keys(RunConfig, ["engine"]) == list(EngineConfig.model_fields)
    assert known_keys(RunConfig, ["model_options"]) == []


@pytest.mark.parametrize("name", ["a", "vit_b16-n10.json", "A" * 101])
def test_names_that_may_be_folders(name: str) -> None:
    assert check_name(name, "study") == name


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "-a", ".a", "a b", "a\n", "ä", "a" * 102])
def test_names_that_may_not_be_folders(name: str) -> None:
    with pytest.raises(SettingError, match="study: given "):
        check_name(name, "study")
