"""What a person may write in a spec, and what is said of what is wrong."""

from pathlib import Path
from typing import Any

import pytest

from sweeps import spec as specs
from sweeps.documents import SpecError
from sweeps.resources import Resources

SPEC = """
study: small
base: {data: digits, steps: 10}
grid: {model: [vit_nano2, bit_nano], seed: [0, 1]}
"""


def load(tmp_path: Path, text: str, *settings: str) -> specs.StudySpec:
    path = tmp_path / "spec.yaml"
    path.write_text(text)
    return specs.load(str(path), settings)[0]


def refusal(tmp_path: Path, text: str, *settings: str) -> str:
    with pytest.raises(SpecError) as caught:
        load(tmp_path, text, *settings)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_spec_is_read_with_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC)
    spec, folder = specs.load(str(path))
    assert folder == tmp_path
    assert spec.study == "small"
    assert spec.grid == {"model": ["vit_nano2", "bit_nano"], "seed": [0, 1]}
    assert spec.resources.cluster == "local"


def test_the_demo_is_bundled() -> None:
    assert "demo" in specs.bundled()
    assert specs.load("demo")[0].study == "demo"


def test_an_unknown_spec_is_refused_with_the_bundled_names() -> None:
    with pytest.raises(SpecError, match=r"nowhere: no such spec, expected .* demo"):
        specs.load("nowhere")


def test_exponents_without_a_point_are_numbers(tmp_path: Path) -> None:
    assert load(tmp_path, SPEC + "overrides: [{match: {seed: 1}, set: {recipe.lr: 1e-3}}]")
    assert load(tmp_path, SPEC, "recipe={lr: 3e-4}").base["recipe"] == {"lr": 0.0003}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("bse: {}", "bse: unknown key; did you mean base?"),
        ("resources: {paralel: 2}", "resources.paralel: unknown key; did you mean parallel?"),
        ("resources: {nodes: two}", "resources.nodes: given 'two', expected a valid integer"),
        ("resources: {nodes: 0}", "resources.nodes: given 0, expected"),
        (
            "resources: {cluster: pbs}",
            "resources.cluster: given 'pbs', expected 'local' or 'slurm'",
        ),
        ("exclude: [{modle: x}]", "exclude.0.modle: unknown key; did you mean model?"),
        ("overrides: [{match: {}, set: {recipe.rl: 1}}]", "did you mean recipe.lr or"),
        ("grid: {}", "grid is given twice"),
        ("resources: &a {}\nexclude: [*a]", "an alias"),
        ("resources: [", "line"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, change: str, expected: str) -> None:
    message = refusal(tmp_path, SPEC + change + "\n")
    assert expected in message
    assert str(tmp_path / "spec.yaml") in message


def test_an_empty_axis_is_refused(tmp_path: Path) -> None:
    assert "grid.seed: given an empty list" in refusal(tmp_path, SPEC, "seed=[]")


def test_a_study_name_that_is_no_folder_name_is_refused(tmp_path: Path) -> None:
    assert "study: given '../x'" in refusal(tmp_path, SPEC, "study=../x")


def test_a_line_break_cannot_reach_the_batch_script(tmp_path: Path) -> None:
    text = SPEC + 'resources: {partition: "main\\ntouch x #"}\n'
    assert "resources.partition: given 'main\\ntouch x #'" in refusal(tmp_path, text)


def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    assert "given list, expected keys" in refusal(tmp_path, "[1, 2]")


@pytest.mark.parametrize(
    ("setting", "base", "grid"),
    [
        (
            "seed=7",
            {"data": "digits", "steps": 10, "seed": 7},
            {"model": ["vit_nano2", "bit_nano"]},
        ),
        (
            "seed=[7]",
            {"data": "digits", "steps": 10},
            {"model": ["vit_nano2", "bit_nano"], "seed": [7]},
        ),
        (
            "base.data=x",
            {"data": "x", "steps": 10},
            {"model": ["vit_nano2", "bit_nano"], "seed": [0, 1]},
        ),
        (
            "grid.seed=[3]",
            {"data": "digits", "steps": 10},
            {"model": ["vit_nano2", "bit_nano"], "seed": [3]},
        ),
    ],
)
def test_settings_replace_values(
    tmp_path: Path, setting: str, base: dict[str, object], grid: dict[str, object]
) -> None:
    spec = load(tmp_path, SPEC, setting)
    assert spec.base == base
    assert spec.grid == grid


def test_a_setting_wins_over_grid_overrides_and_other_durations(tmp_path: Path) -> None:
    text = SPEC + "overrides: [{match: {seed: 1}, set: {steps: 99, batch_size: 8}}]\n"
    spec = load(tmp_path, text, "epochs=2", "batch_size=[16, 32]")
    assert spec.base == {"data": "digits", "epochs": 2}
    assert spec.grid["batch_size"] == [16, 32]
    assert spec.overrides[0].set == {}


@pytest.mark.parametrize("setting", ["seed", "=3", "sede=3", "resources.x=1"])
def test_a_wrong_setting_is_refused(tmp_path: Path, setting: str) -> None:
    refusal(tmp_path, SPEC, setting)


def test_devices_are_tasks_or_gpus() -> None:
    assert Resources(nodes=2, gpus_per_node=4).num_devices == 8
    assert Resources(nodes=2, tasks_per_node=3).num_devices == 6
    assert Resources().num_devices == 1


@pytest.mark.parametrize(
    "text",
    [
        "? [a]\n: 1\n",
        "study: small\nbase: {steps: 2024-99-99}\n",
        "study: small\nbase: " + "[" * 3000,
    ],
)
def test_what_yaml_trips_over_is_one_line(tmp_path: Path, text: str) -> None:
    assert "spec.yaml" in refusal(tmp_path, text)


def test_a_date_that_does_not_exist_is_no_value(tmp_path: Path) -> None:
    assert "is not a YAML value" in refusal(tmp_path, SPEC, "steps=2024-99-99")


def test_data_on_the_command_line_start_where_the_user_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    (here / "photos").mkdir(parents=True)
    (here / "digits").mkdir()
    monkeypatch.chdir(here)
    (tmp_path / "spec.yaml").write_text(SPEC)

    def data(setting: str) -> Any:
        found, _ = specs.load(str(tmp_path / "spec.yaml"), [setting], data_names=["digits"])
        return found.grid.get("data", found.base.get("data"))

    assert data("data=photos") == str(here / "photos")
    assert data("data=digits") == "digits"
    assert data("data=[digits, photos]") == ["digits", str(here / "photos")]
    assert data("data=beside") == "beside"  # the spec, perhaps
