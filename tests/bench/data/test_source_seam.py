"""A kind of data source from outside the packages, from the spec to the figure."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.cli.app import main
from bench.data import sources
from results import store
from sweeps import expand, submit
from sweeps import spec as specs
from tests.helpers import pages

PAGE = "docs/how-to/add-a-source.md"
SPEC = """
study: shapes
base: {data: shapes.npz, model: vit_nano2, image_size: 8, steps: 4, batch_size: 8}
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The program of the page, loaded; beside it 20 images of each of two classes, and a spec."""
    labels = np.arange(40) % 2
    pixels = np.repeat(labels * 200, 64 * 3).reshape(40, 8, 8, 3).astype(np.uint8)
    np.savez(tmp_path / "shapes.npz", images=pixels, labels=labels)
    (tmp_path / "shapes.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sources, "SOURCES", dict(sources.SOURCES))
    return pages.load_program(PAGE, tmp_path / "my_sources.py")


def scalestudy(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as end:
        main(list(words))
    assert end.value.code == 0, capsys.readouterr().err
    return capsys.readouterr().out


def test_a_toy_source_is_planned_trained_and_shown(
    program: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # 2 of the 20 images of each class are held out.
    (planned,) = json.loads(scalestudy(capsys, "plan", "shapes.yaml", "--json"))["runs"]
    assert (planned["dataset"], planned["train_examples"]) == ("shapes", 36)

    spec, folder = specs.load("shapes.yaml", data_names=sources.names())
    (one,) = expand.expand(spec, sources.describe_from(folder))
    run = one.run
    assert (run.data.kind, run.data.num_eval, run.data.num_classes) == ("npz", 4, 2)
    assert run.run_id == planned["run_id"]
    study = tmp_path / "runs" / "shapes"
    submit.write_study(study, spec, [run])
    submit.write_config(study, run)
    command = [sys.executable, str(program), "train", str(study / run.run_id)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr

    (row,) = store.load(study).runs.to_dict("records")
    assert (row["state"], row["dataset"], row["examples_seen"]) == ("done", "shapes", 32)
    assert "shapes" in scalestudy(capsys, "table", "shapes", "--rows", "dataset")
    scalestudy(capsys, "plot", "frontier", "shapes", "-o", "frontier.svg")
    assert (tmp_path / "frontier.svg").exists()


def test_help_and_refusals_name_the_toy_source(
    program: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    helped = " ".join(scalestudy(capsys, "evaluate", "--help").split())
    expected = "a .npz file (images, labels), 'digits', a Parquet file or folder (image, label), "
    assert expected in helped
    with pytest.raises(sources.DataError, match=r"nowhere does not exist, expected a \.npz file"):
        sources.describe("nowhere")


def test_a_data_set_that_the_toy_source_does_not_know_is_read_as_before(
    program: Path, tmp_path: Path
) -> None:
    assert sources.describe("digits").kind == "digits"
    (tmp_path / "text.npy").write_text("no Parquet file")
    with pytest.raises(sources.DataError, match="expected a whole Parquet file"):
        sources.describe("text.npy")


def test_an_unknown_kind_is_refused_with_the_choices() -> None:
    info = sources.describe("digits").model_copy(update={"kind": "npz"})
    complaint = "data: kind 'npz' is unknown, expected one of folder, parquet, digits"
    with pytest.raises(sources.DataError, match=complaint):
        sources.load(info, "train")
