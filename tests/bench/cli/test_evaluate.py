"""What the verb `evaluate` makes of its words."""

import pytest

from bench.cli.evaluate import numbers, request
from bench.run.errors import SettingError


@pytest.mark.parametrize("text", ["0", "-1", "1,,5", "five", "1.5"])
def test_numbers_of_shots_are_whole_and_positive(text: str) -> None:
    assert numbers("1, 5,10", "--shots", 1) == [1, 5, 10]
    with pytest.raises(SettingError, match=r"--shots: given .* whole numbers from 1 on"):
        numbers(text, "--shots", 1)


def test_settings_and_flags_are_the_same_options() -> None:
    flags = request("fewshot", None, {"shots": "1,5", "seeds": None}, [])
    settings = request("fewshot", None, {"shots": None, "seeds": None}, ["shots=[1, 5]"])
    assert flags == settings
    assert request("fewshot", "digits", {}, []).key != request("fewshot", None, {}, []).key
