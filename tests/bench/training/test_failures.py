"""An error says how the attempt ended; what a process says reaches the others."""

from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from bench.run.errors import SettingError
from bench.training import failures
from bench.training.failures import Failure

GLOO = "[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:544] Connection closed by peer"


@pytest.mark.parametrize(
    ("error", "ended"),
    [
        (SettingError("batch_size: given 3"), "failed"),
        (ValueError("out of memory of the past"), "failed"),
        (RuntimeError("shape mismatch"), "failed"),
        (MemoryError("std::bad_alloc"), "out_of_memory"),
        (torch.OutOfMemoryError("CUDA out of memory."), "out_of_memory"),
        (OSError(12, "Cannot allocate memory"), "out_of_memory"),
        (RuntimeError(GLOO), "lost"),
        (dist.DistNetworkError("Broken pipe"), "lost"),
        (dist.DistBackendError("NCCL watchdog: timeout"), "hang"),
        (RuntimeError("[gloo/transport/tcp/unbound_buffer.cc] Timed out waiting"), "hang"),
    ],
)
def test_an_error_tells_how_an_attempt_ended(error: Exception, ended: str) -> None:
    found = failures.classify(error)
    assert found.ended == ended
    assert found.reason.startswith(f"{type(error).__name__}: ")
    assert found.is_indirect == (ended in ("lost", "hang"))


def test_what_torch_really_says_without_memory_is_known() -> None:
    with pytest.raises(RuntimeError) as error:
        torch.empty(2**60)
    assert failures.classify(error.value).ended == "out_of_memory"


def test_a_reason_is_one_line() -> None:
    assert failures.classify(ValueError("one\ntwo")) == Failure("failed", "ValueError: one")


def test_a_note_reaches_the_others(tmp_path: Path) -> None:
    ranks = range(1, 4)
    assert failures.read_first_failure(tmp_path, 2, ranks) is None
    failures.write_failure(tmp_path, 2, 3, Failure("out_of_memory", "MemoryError: no"))
    found = Failure("out_of_memory", "process 3: MemoryError: no")
    assert failures.read_first_failure(tmp_path, 2, ranks) == found
    assert failures.read_first_failure(tmp_path, 3, ranks) is None  # that is another attempt
