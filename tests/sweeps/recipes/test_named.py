"""Recipes of papers against the published tables, and how a spec uses them."""

import re
from pathlib import Path
from typing import Any

import pytest

from bench.data.sources import describe
from bench.run.config import Run, RunConfig
from bench.run.protocols import FinetuneOptions
from results import reference
from sweeps import spec as specs
from sweeps.documents import SpecError
from sweeps.expand import expand
from sweeps.points import idle
from sweeps.recipes import named
from tests.helpers.paths import ROOT

# Rows of Table 3 of arXiv:2010.11929v2, by their names in the registry.
MODELS = {
    "ViT-B/16": "vit_b16",
    "ViT-B/32": "vit_b32",
    "ViT-L/16": "vit_l16",
    "ViT-L/32": "vit_l32",
    "ViT-H/14": "vit_h14",
    "ResNet50x1": "bit_r50x1",
    "ResNet50x2": "bit_r50x2",
    "ResNet101x1": "bit_r101x1",
    "ResNet152x1": "bit_r152x1",
    "ResNet152x2": "bit_r152x2",
    "R50x1+ViT-B/16": "r50_vit_b16",
    "R50x1+ViT-B/32": "r50_vit_b32",
    "R50x1+ViT-L/32": "r50_vit_l32",
    "R50x1+ViT-L/16": "r50_vit_l16",
    "ViT-*": "vit_b16",
}
DATA = {"JFT-300M": "vit_jft300m", "ImageNet-21k": "vit_imagenet21k", "ImageNet": "vit_imagenet"}


def rows(name: str) -> list[dict[str, Any]]:
    table = reference.load(name).astype(object)
    found = table.where(table.notna(), None).to_dict("records")
    return [{str(key): value for key, value in row.items()} for row in found]


def upstream(is_upstream: bool) -> dict[str, str]:
    """BiT's numbers by key, of pre-training or of fine-tuning."""
    found = [row for row in rows("bit_hyperrule") if (row["stage"] == "upstream") == is_upstream]
    return {row["key"]: row["value"] for row in found}


@pytest.mark.parametrize("row", rows("vit_table3_pretrain_hparams"), ids=lambda r: r["model"])
def test_pre_training_is_that_of_table_3(row: dict[str, Any]) -> None:
    name, model = DATA[row["pretrain_dataset"]], MODELS[row["model"]]
    found = named.read(name).values({"model": model})
    assert found["recipe.lr"] == float(row["base_lr"])
    assert found["recipe.decay"] == row["lr_decay"]
    assert found["recipe.weight_decay"] == float(row["weight_decay"])
    assert found.get("model_options.dropout", 0.0) == float(row["dropout"])
    assert found["batch_size"] == int(row["batch_size"])
    assert found["recipe.warmup_steps"] == int(row["warmup_steps"])
    assert found["image_size"] == int(row["image_size"])
    assert found["recipe.optimizer"] == row["optimizer"]
    assert (found["recipe.beta1"], found["recipe.beta2"]) == (
        float(row["beta1"]),
        float(row["beta2"]),
    )
    assert found["recipe.clip_norm"] == row["grad_clip_global_norm"]
    if row["note"] is None:  # the notes are of rows that are printed with two durations
        assert found["epochs"] == int(row["epochs"])


def test_fine_tuning_is_that_of_table_4() -> None:
    imagenet = [row for row in rows("vit_table4_finetune_hparams") if "ImageNet" in row["dataset"]]
    found = named.read("vit_finetune").values({"model": "vit_b16"})
    assert found["recipe.lr"] == min(float(row["base_lr"]) for row in imagenet)
    (row, *_) = imagenet
    assert found["steps"] == int(row["steps"])
    assert found["recipe.decay"] == row["lr_decay"]
    assert found["batch_size"] == int(row["batch_size"])
    assert found["recipe.weight_decay"] == float(row["weight_decay"])
    assert found["recipe.clip_norm"] == float(row["grad_clip_global_norm"])
    assert found["recipe.optimizer"] == row["optimizer"]
    assert found["recipe.momentum"] == float(row["momentum"])
    assert found["image_size"] == int(row["image_size"])


@pytest.mark.parametrize("size", ["small", "medium", "large"])
def test_fine_tuning_by_the_hyper_rule_is_as_published(size: str) -> None:
    rule = {row["key"]: row["value"] for row in rows("bit_hyperrule") if row["stage"] != "upstream"}
    found = named.read(f"bit_hyperrule_{size}").values({"model": "bit_r50x1"})
    assert found["steps"] == int(rule[f"{size}_total_steps"])
    assert found["recipe.warmup_steps"] == int(rule[f"{size}_warmup_steps"])
    decays = [int(rule[f"{size}_decay_step_{number}"]) for number in (1, 2, 3)]
    assert found["recipe.decay_steps"] == decays
    key = "mixup_alpha_small" if size == "small" else "mixup_alpha_medium_and_large"
    assert found.get("recipe.mixup", 0.0) == float(rule[key])
    assert found["recipe.lr"] == float(rule["base_lr"])
    assert found["recipe.momentum"] == float(rule["momentum"])
    assert found["batch_size"] == int(rule["batch_size"])
    assert found["recipe.weight_decay"] == float(rule["weight_decay"])
    assert found["image_size"] == int(rule["small_image_crop"])


@pytest.mark.parametrize("name", ["bit_imagenet21k", "bit_jft300m"])
def test_bit_pre_trains_as_published(name: str) -> None:
    rule = {row["key"]: row["value"] for row in rows("bit_hyperrule") if row["stage"] == "upstream"}
    found = named.read(name).values({"model": "bit_r50x1"})
    assert found["batch_size"] == int(rule["batch_size"])
    # The rate is multiplied by batch / 256.
    assert found["recipe.lr"] == pytest.approx(float(rule["base_lr"]) * found["batch_size"] / 256)
    assert found["recipe.weight_decay"] == float(rule["weight_decay"])
    assert found["recipe.warmup_steps"] == int(rule["warmup_steps"])
    key = "epochs_bit_l" if name == "bit_jft300m" else "epochs_bit_s_and_m"
    assert found["epochs"] == int(rule[key])
    ends = [10, 23, 30, 37] if name == "bit_jft300m" else [30, 60, 80]
    assert [at * found["epochs"] for at in found["recipe.decay_steps"]] == pytest.approx(ends)


@pytest.mark.parametrize("row", rows("augreg_augmentations"), ids=lambda row: row["name"])
def test_augmentations_of_augreg_are_as_published(row: dict[str, Any]) -> None:
    found = named.read(f"augreg_{row['name']}").values({"model": "vit_b16"})
    assert found["recipe.randaugment_layers"] == row["randaugment_layers"]
    assert found["recipe.randaugment_magnitude"] == row["randaugment_magnitude"]
    assert found["recipe.mixup"] == row["mixup_alpha"]


@pytest.mark.parametrize("name", named.names())
def test_every_number_is_cited(name: str) -> None:
    recipe = named.read(name)
    keys = set(recipe.base).union(*(given for _, given in recipe.cases))
    assert set(recipe.sources) == keys
    places = ("arXiv:", "google-research/", "facebookresearch/")
    for source in recipe.sources.values():
        assert any(place in source for place in places), source


@pytest.mark.parametrize("name", named.names())
@pytest.mark.parametrize("model", ["vit_b16", "r50_vit_b16", "bit_r50x1"])
def test_every_recipe_makes_a_run(name: str, model: str) -> None:
    found = named.read(name).values({"model": model})
    nested: dict[str, Any] = {"model": model}
    for key, value in found.items():
        head, _, rest = key.partition(".")
        if rest:
            nested.setdefault(head, {})[rest] = value
        else:
            nested[key] = value
    config = RunConfig.model_validate(nested)
    assert config.network.family in ("vit", "hybrid", "bit")


def runs(tmp_path: Path, text: str, *settings: str) -> list[Run]:
    path = tmp_path / "spec.yaml"
    path.write_text(text)
    spec, _ = specs.load(str(path), settings)
    assert not idle(spec)
    return [one.run for one in expand(spec, describe)]


SMALL = """
study: small
base: {data: digits, recipe: vit_imagenet21k, steps: 10, image_size: 32, batch_size: 32}
grid: {model: [vit_nano4, bit_nano32]}
"""


def test_a_spec_names_a_recipe_and_overrides_any_key(tmp_path: Path) -> None:
    vit, bit = (run.config for run in runs(tmp_path, SMALL))
    assert (vit.recipe.weight_decay, vit.recipe.lr, vit.recipe.decay) == (0.03, 1e-3, "linear")
    assert vit.model_options == {"dropout": 0.1} and bit.model_options == {}
    assert (vit.steps, vit.epochs, vit.batch_size) == (10, None, 32)
    settings = ["base.recipe.lr=0.5", "base.model_options.dropout=0.0", "model=vit_nano4"]
    (changed,) = runs(tmp_path, SMALL, *settings)
    assert changed.config.recipe.lr == 0.5
    assert changed.config.recipe.weight_decay == 0.03
    assert changed.config.model_options == {"dropout": 0.0}


def test_a_named_recipe_and_its_keys_are_the_same_run(tmp_path: Path) -> None:
    named = runs(tmp_path, SMALL)[1]
    spelled = """
study: small
base:
  data: digits
  steps: 10
  image_size: 32
  batch_size: 32
  augment: inception
  model: bit_nano32
  recipe: {weight_decay: 0.03, warmup_steps: 10000, clip_norm: null}
"""
    assert named.run_id == runs(tmp_path, spelled)[0].run_id


def test_recipes_may_be_an_axis_or_an_override(tmp_path: Path) -> None:
    both = SMALL.replace("grid: {", "grid: {recipe: [vit_imagenet, vit_jft300m], ")
    both = both.replace("recipe: vit_imagenet21k, ", "")
    found = [run.config.recipe.weight_decay for run in runs(tmp_path, both)]
    assert found == [0.3, 0.3, 0.1, 0.1]
    override = (
        SMALL
        + """
overrides:
  - match: {model: bit_nano32}
    set: {recipe: bit_imagenet21k}
  - match: {recipe.optimizer: sgd}
    set: {recipe.lr: 0.02}
"""
    )
    vit, bit = (run.config.recipe for run in runs(tmp_path, override))
    assert (vit.optimizer, bit.optimizer, bit.lr, bit.weight_decay) == ("adam", "sgd", 0.02, 1e-4)


def test_an_unknown_recipe_is_refused_with_near_matches(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="given 'vit_imagnet'; did you mean vit_imagenet"):
        runs(tmp_path, SMALL.replace("vit_imagenet21k", "vit_imagnet"))


def test_the_page_lists_every_recipe_and_its_spec_is_right(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "how-to" / "use-a-recipe.md").read_text()
    listed = page.replace("`_medium`", "`bit_hyperrule_medium`")
    listed = listed.replace("`_large`", "`bit_hyperrule_large`")
    assert [name for name in named.names() if f"`{name}`" not in listed] == []
    (text,) = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    vit, _, bit = runs(tmp_path, text, "data=digits", "image_size=32")
    assert (vit.config.recipe.lr, vit.config.recipe.weight_decay) == (5e-4, 0.03)
    assert bit.config.recipe.optimizer == "sgd"


def test_an_evaluation_names_a_recipe(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(SMALL + "evaluations: [{protocol: finetune, recipe: bit_hyperrule_small}]\n")
    spec, _ = specs.load(str(path))
    (options,) = spec.evaluations
    assert isinstance(options, FinetuneOptions)
    assert (options.steps, options.batch_size, options.image_size) == (500, 512, 128)
    assert (options.lrs, options.recipe.decay_steps) == ([0.003], [200, 300, 400])
    path.write_text(SMALL + "evaluations: [{protocol: finetune, recipe: vit_imagenet}]\n")
    with pytest.raises(SpecError, match="recipe: vit_imagenet gives epochs"):
        specs.load(str(path))
