"""A family of models from outside the packages, from the spec to figure, table and help."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import models
from bench.data.sources import describe_from
from models.cost.macs import count
from models.cost.memory import kept
from results import store
from sweeps import expand, submit
from sweeps import spec as specs
from tests.helpers import pages

PAGE = "docs/how-to/add-a-model.md"
SPEC = """
study: shapes
base: {data: digits, image_size: 8, steps: 4, batch_size: 8}
grid: {model: [mlp_s, mlp_m, vit_nano2]}
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The program of the page, loaded, and a spec beside it."""
    (tmp_path / "shapes.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(models.FAMILIES, "mlp", models.FAMILIES["vit"])
    return pages.load_program(PAGE, tmp_path / "my_family.py")


def scalestudy(program: Path, *words: str, code: int = 0) -> str:
    command = [sys.executable, str(program), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stderr
    return done.stderr if code else done.stdout


def test_operators_give_parameters_multiply_adds_and_memory(program: Path) -> None:
    config = models.config("mlp_s")
    cost = count(config, num_classes=10)
    assert cost.params == (192 + 1) * 32 + (32 + 1) * 10
    assert cost.forward_macs == cost.forward_macs_valid == 192 * 32 + 32 * 10
    assert [part.name for part in cost.parts] == ["hidden", "relu", "head"]
    # The pixels, the output of ReLU, the log-probabilities and the label.
    parts = kept(config, num_classes=10)
    assert sum(part.per_image for part in parts) == 4 * 192 + 4 * 32 + 4 * 10 + 8


def test_the_registry_lists_it_and_hints_at_it(program: Path) -> None:
    assert models.names()[-2:] == ["mlp_s", "mlp_m"]
    rows = json.loads(scalestudy(program, "models", "mlp_m", "--json"))
    assert [(row["name"], row["label"], row["family"]) for row in rows] == [
        ("mlp_m", "MLP-M", "mlp")
    ]
    said = scalestudy(program, "plan", "shapes.yaml", "--set", "model=mlp_x", code=2)
    assert "mlp_s" in said


def test_a_study_trains_it_up_to_table_figure_and_comparison(program: Path, tmp_path: Path) -> None:
    planned = json.loads(scalestudy(program, "plan", "shapes.yaml", "--json"))
    small = planned["runs"][0]
    assert (small["family"], small["label"]) == ("mlp", "MLP-S")
    assert small["train_flops"] == 6 * (192 * 32 + 32 * 10) * 32
    assert small["predicted_memory_bytes"] > 0
    spec, folder = specs.load("shapes.yaml", data_names=["digits"])
    shapes = tmp_path / "runs" / "shapes"
    for one in expand.expand(spec, describe_from(folder)):
        submit.write_config(shapes, one.run)
        scalestudy(program, "train", str(shapes / one.run.run_id))

    study = store.load(shapes)
    assert sorted(study.runs["label"]) == ["MLP-M", "MLP-S", "ViT-nano/2"]
    assert "MLP-S" in scalestudy(program, "table", "shapes")
    scalestudy(program, "plot", "frontier", "shapes", "--cost", "train_flops", "-o", "mlp.svg")
    drawn = (tmp_path / "mlp.svg").read_text()
    assert "#cc79a7" in drawn.lower() and "<!-- MLP -->" in drawn
    compared = scalestudy(program, "compare", "shapes", "--cost", "train_flops")
    assert "MLP" in compared
