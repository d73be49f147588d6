"""Stored features: computed once, whatever protocol asks, and anew when the weights change."""

from pathlib import Path

import numpy as np
import pytest
import torch

import models
from bench.data import sources
from bench.protocols import base, features
from bench.protocols.base import EvaluationError
from bench.run.config import read_run


def test_features_are_those_of_the_network_and_computed_once(
    done: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = read_run(done)
    asked: list[list[int]] = []
    compute = base.features

    def counted(network: torch.nn.Module, images: object, chosen: object, size: int) -> object:
        asked.append(np.asarray(chosen).tolist())
        return compute(network, images, chosen, size)  # type: ignore[arg-type]

    monkeypatch.setattr(base, "features", counted)
    first = features.load(done, run, run.data, "train", np.array([7, 3]), 8)
    again = features.load(done, run, run.data, "train", np.array([3, 5, 7]), 8)
    assert asked == [[3, 7], [5]]
    assert np.array_equal(again[[2, 0]], first)
    images = sources.load(run.data, "train")
    expected = compute(base.load_network(done), images, np.array([3, 5, 7]), 8)
    assert again == pytest.approx(expected, abs=1e-5)  # batches of other sizes round otherwise
    other = features.load(done, run, run.data, "train", np.array([3]), 12)
    assert len(asked) == 3 and not np.array_equal(other, again[:1])


def test_features_of_other_weights_are_computed_again(done: Path, tmp_path: Path) -> None:
    run, run_dir = read_run(done), tmp_path / done.name
    (run_dir / "checkpoint").mkdir(parents=True)
    path = run_dir / "checkpoint" / "weights.safetensors"
    path.write_bytes((done / "checkpoint" / "weights.safetensors").read_bytes())
    chosen = np.array([0, 1])
    before = features.load(run_dir, run, run.data, "eval", chosen, 8)
    network = models.load_checkpoint(path)
    with torch.no_grad():
        network.get_submodule("norm").bias.add_(1)  # type: ignore[operator]
    models.save_checkpoint(network, path)
    after = features.load(run_dir, run, run.data, "eval", chosen, 8)
    assert after == pytest.approx(before + 1, abs=1e-5)
    (stored,) = (run_dir / "evals" / "features").glob("*.safetensors")
    stored.write_bytes(b"not a file of tensors")
    assert np.array_equal(features.load(run_dir, run, run.data, "eval", chosen, 8), after)


def test_a_run_without_weights_is_refused(tmp_path: Path, done: Path) -> None:
    run = read_run(done)
    with pytest.raises(EvaluationError, match="only a finished run can be evaluated"):
        features.load(tmp_path, run, run.data, "eval", np.array([0]), 8)
