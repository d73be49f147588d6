"""What all tests share: nothing outside is read or written, no process outlives its test file."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.helpers import slurm_cluster
from tests.helpers.paths import ROOT
from tests.helpers.processes import Start

if TYPE_CHECKING:
    from bench.engine.world import World
    from bench.training.recorder import Recorder

WORLD = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")

# Before torch and the datasets library are imported, also in the processes that tests start.
os.environ.update(HF_HUB_OFFLINE="1", OMP_NUM_THREADS="1")


@pytest.fixture(scope="module")
def world() -> Iterator["World"]:
    """World of one process, left after the test file."""
    from bench.engine.world import join_world, leave_world

    yield join_world()
    leave_world()


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished run with random augmentation and dropout."""
    from bench.training.loop import train
    from tests.helpers.runs import RANDOM, write_run

    run_dir = write_run(tmp_path_factory.mktemp("study"), **RANDOM)
    train(run_dir)
    return run_dir


@pytest.fixture
def recorder(tmp_path: Path) -> "Recorder":
    """Recorder of a new run of ten steps."""
    from bench.training.clock import Clock
    from bench.training.recorder import Recorder
    from tests.helpers.recorders import make_run

    return Recorder(tmp_path, make_run(), Clock())


@pytest.fixture(scope="session", autouse=True)
def hf_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The datasets library's cache, which is otherwise in the home folder."""
    folder = tmp_path_factory.mktemp("hf")
    os.environ["HF_HOME"] = str(folder)
    return folder


@pytest.fixture(scope="session")
def cluster() -> Iterator[slurm_cluster.Cluster]:
    """The Slurm that all tests against a real one share, with accounting."""
    with slurm_cluster.running(accounting=True) as started:
        yield started


@pytest.fixture(scope="module")
def start_python() -> Iterator[Start]:
    """Starts a program's text with arguments and variables; ended with the test file."""
    started: list[subprocess.Popen[str]] = []

    def start(program: str, *arguments: object, **variables: object) -> "subprocess.Popen[str]":
        outer = {key: value for key, value in os.environ.items() if key not in WORLD}
        process = subprocess.Popen(
            [sys.executable, "-c", program, *map(str, arguments)],
            cwd=ROOT,
            env=outer | {key: str(value) for key, value in variables.items()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
