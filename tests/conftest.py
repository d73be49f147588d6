"""What all tests share: nothing outside is read or written, no process outlives its test file."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import slurm_cluster
from tests.helpers.paths import ROOT
from tests.helpers.processes import Start

WORLD = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")

# Before torch and the datasets library are imported, also in the processes that tests start.
os.environ.update(HF_HUB_OFFLINE="1", OMP_NUM_THREADS="1")


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
