"""What all processes of a job agree on."""

import os
from pathlib import Path

import pytest

from sweeps.jobs.job import PORTS, master_port, record_collectives


def test_a_job_has_another_port_when_it_is_started_again() -> None:
    first, again = master_port("17_3", 0), master_port("17_3", 1)
    assert first == master_port("17_3", 0) != again
    assert {first, again} <= set(PORTS)
    # Of ports that Linux does not give to connections: 32768 and up.
    assert max(PORTS) < 32_768
    assert len({master_port(str(job), 0) for job in range(1000)}) > 950


def test_what_a_user_sets_of_nccl_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TORCH_NCCL_DUMP_ON_TIMEOUT", "TORCH_NCCL_DEBUG_INFO_TEMP_FILE"):
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)
    monkeypatch.setenv("TORCH_FR_BUFFER_SIZE", "9")
    record_collectives(Path("log"))
    assert os.environ["TORCH_FR_BUFFER_SIZE"] == "9"
    assert os.environ["TORCH_NCCL_DEBUG_INFO_TEMP_FILE"] == "log/collectives-"
