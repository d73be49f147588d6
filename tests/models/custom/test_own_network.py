"""A network of the user's, from the spec to jobs, ledger, table and figure."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import models
from models.cost.macs import count
from results import store
from sweeps.jobs import snapshot
from tests.helpers import pages
from tests.helpers.paths import ROOT
from tests.helpers.studies import wait
from tests.helpers.torchvision_stub import TorchvisionStub

PAGE = "docs/how-to/use-your-own-network.md"
NETS = '''
from torch import nn


class Small(nn.Module):
    """Convolution, group norm and head, with a sine that fvcore has no formula for."""

    def __init__(self, num_classes, width):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.norm = nn.GroupNorm(1, width)
        self.head = nn.Linear(width, num_classes)

    def features(self, images):
        return self.norm(self.conv(images)).sin().mean((2, 3))

    def forward(self, images):
        return self.head(self.features(images))


def small(num_classes, image_size, width=8):
    return Small(num_classes, width)


small.free_operators = ["aten::sin"]


def strange(num_classes, image_size):
    return Small(num_classes, 8)


def statistics(num_classes, image_size):
    return nn.Sequential(nn.Flatten(), nn.BatchNorm1d(192), nn.Linear(192, num_classes))


def narrow(num_classes, image_size):
    return nn.Sequential(nn.Flatten(), nn.Linear(192, num_classes - 1))


def deep(num_classes, image_size):
    return nn.Linear(768, num_classes)


def nothing(num_classes, image_size):
    return None
'''
SPEC = """
study: mine
base: {data: digits, image_size: 8, steps: 3, batch_size: 8}
grid: {model: [vit_nano2, "own_nets:small"]}
overrides:
  - match: {model: "own_nets:small"}
    set: {model_options: {width: 4}}
evaluations: [{protocol: fewshot, shots: [1], seeds: [0]}]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a module of networks and a spec."""
    (tmp_path / "own_nets.py").write_text(NETS)
    (tmp_path / "broken_nets.py").write_text("1 / 0\n")
    (tmp_path / "mine.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "own_nets", raising=False)
    count.cache_clear()
    return tmp_path


def scalestudy(*words: str, code: int = 0) -> str:
    command = [sys.executable, "-m", "bench", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stderr
    return done.stderr if code else done.stdout


def test_it_is_counted_on_the_real_network(folder: Path) -> None:
    cost = count(models.config("own_nets:small", image_size=16, width=4), num_classes=10)
    assert cost.params == 27 * 4 + 2 * 4 + 5 * 10
    assert cost.forward_macs == 16 * 16 * 27 * 4 + 4 * 10
    assert cost.norm_operations == 5 * 4 * 16 * 16
    assert cost.forward_macs_valid is None


@pytest.mark.parametrize(
    ("name", "options", "complaint"),
    [
        ("own_nets:strange", {}, "no FLOP formula for aten::sin"),
        ("own_nets:statistics", {}, "has buffers to save (1.num_batches_tracked"),
        ("own_nets:narrow", {}, "one image gives (1, 9), expected logits (1, 10)"),
        ("own_nets:nothing", {}, "expected an nn.Module, got NoneType"),
        ("own_nets:absent", {}, "cannot be imported: AttributeError(\"module 'own_nets' has no"),
        ("broken_nets:small", {}, "cannot be imported: ZeroDivisionError"),
        ("own_nets:small", {"width": -1}, "cannot be built: RuntimeError"),
        ("own_nets:deep", {}, "cannot take an image (1, 3, 8, 8): RuntimeError"),
        ("own_nets:small", {"depth": 2}, "called with num_classes, image_size, depth"),
        ("own_nets:small", {"num_classes": 2}, "num_classes is given by the data set"),
        ("own nets:small", {}, "expected package.module:function"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    folder: Path, name: str, options: dict[str, int], complaint: str
) -> None:
    with pytest.raises(models.ModelsError) as error:
        count(models.config(name, image_size=8, **options), num_classes=10)
    assert complaint in str(error.value)


def test_a_study_trains_it_from_the_copy_in_the_study(folder: Path) -> None:
    planned = json.loads(scalestudy("plan", "mine.yaml", "--json"))
    own = planned["runs"][1]
    assert own["run_id"].startswith("own_nets.small-digits-")
    assert (own["family"], own["params"]) == ("custom", 27 * 4 + 2 * 4 + 5 * 10)
    assert own["train_flops"] == 6 * (64 * 27 * 4 + 4 * 10) * 3 * 8
    assert own["train_flops_valid"] is own["predicted_memory_bytes"] is None
    scalestudy("submit", "mine.yaml", "--json")
    (folder / "own_nets.py").write_text("raise RuntimeError('edited after the submit')\n")
    wait(folder / "runs" / "mine")

    study = store.load(folder / "runs" / "mine")
    assert study.runs["state"].tolist() == ["done", "done"]
    (row,) = study.runs[study.runs["model"] == "own_nets:small"].to_dict("records")
    assert (row["label"], row["family"]) == ("own_nets:small", "custom")
    assert row["train_flops"] == own["train_flops"]
    assert set(study.evals["protocol"]) == {"upstream", "fewshot"}
    assert "own_nets:small" in scalestudy("table", "mine")
    conditions = ("--where", "family=custom", "--where", "params<200")  # one of them of the ledger
    shown = json.loads(scalestudy("status", "mine", *conditions, "--json"))["runs"]
    assert [run["run_id"] for run in shown] == [own["run_id"]]
    scalestudy("plot", "frontier", "mine", "--cost", "train_flops", "-o", "own.png")
    assert (folder / "own.png").exists()


def test_an_unknown_module_is_refused_before_anything_is_submitted(folder: Path) -> None:
    (folder / "own_nets.py").unlink()
    said = scalestudy("submit", "mine.yaml", "--json", code=2)
    assert "unknown model 'own_nets:small': no module 'own_nets' is installed" in said
    assert not (folder / "runs").exists()


def test_an_entry_point_gives_it_a_short_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = folder / "own_nets-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: own-nets\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[scalestudy.models]\nown_small = own_nets:small\n")
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{folder}")
    rows = {row["name"]: row for row in json.loads(scalestudy("models", "--json"))}
    assert (rows["own_small"]["family"], rows["own_small"]["params"]) == ("custom", None)
    assert "own_small" in scalestudy("models")
    (row,) = json.loads(scalestudy("cost", "own_small", "--image-size", "8", "--json"))
    assert row["params"] == 27 * 8 + 2 * 8 + 9 * 1000
    assert row["forward_macs_valid_per_image"] is None
    assert "own_small" in scalestudy("plan", "mine.yaml", "--set", "model=own_smal", code=2)


def test_a_network_that_cannot_be_built_fails_its_run_at_once_and_with_the_reason(
    folder: Path,
) -> None:
    base, *_ = SPEC.partition("grid:")
    (folder / "mine.yaml").write_text(
        base + 'grid: {model: ["own_nets:narrow", "own_nets:absent"]}'
    )
    scalestudy("submit", "mine.yaml", "--json")
    wait(folder / "runs" / "mine")
    runs = store.load(folder / "runs" / "mine").runs.set_index("model")
    assert runs["state"].tolist() == ["failed", "failed"]
    assert runs["attempts"].tolist() == [1, 1]
    assert runs["params"].isna().all()
    assert "one image gives (1, 9)" in str(runs.loc["own_nets:narrow", "failure"])
    assert "has no attribute 'absent'" in str(runs.loc["own_nets:absent", "failure"])


def test_what_a_function_cannot_have_is_refused(folder: Path) -> None:
    run = "base.engine.activation_checkpointing=true"
    scalestudy("submit", "mine.yaml", "--set", run, "--json")
    wait(folder / "runs" / "mine")
    runs = store.load(folder / "runs" / "mine").runs.set_index("model")
    assert runs.loc["vit_nano2", "state"] == "done"
    assert "Small has no part to recompute" in str(runs.loc["own_nets:small", "failure"])
    said = scalestudy("throughput", "own_nets:small", "--image-size", "8", code=2)
    assert "memory is unknown: give --batch-sizes" in said


def test_only_modules_that_are_not_installed_are_copied(folder: Path) -> None:
    networks = [models.config("own_nets:small"), models.config("torch.nn:Linear")]
    assert snapshot.own_modules([*networks, models.config("vit_nano2")]) == [folder / "own_nets.py"]


def test_the_three_lines_of_the_page_are_a_network_of_timm(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, TorchvisionStub()])
    pytest.importorskip("timm")
    (code,) = pages.code_blocks(PAGE)
    (folder / "nets.py").write_text(code)
    config = models.config("nets:deit_tiny", image_size=32, patch_size=8)
    ours = models.config("vit_ti16", image_size=32, patch_size=8)
    assert count(config, num_classes=10).params == count(ours, num_classes=10).params
    assert count(config, num_classes=10).forward_macs == count(ours, num_classes=10).forward_macs
    network = models.assemble(config, num_classes=10)
    assert isinstance(network, nn.Module)
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
