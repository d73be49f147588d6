"""Every moment of a process belongs to exactly one kind."""

import time

import psutil
import pytest

from bench.training.clock import Clock, Deadline

ROUNDING = 1e-6  # of sums of seconds since 1970


def age() -> float:
    return time.time() - psutil.Process().create_time()


def test_kinds_add_up_to_the_life_of_the_process() -> None:
    least, before = age(), time.monotonic()
    clock = Clock()
    most, after = age(), time.monotonic()
    for kind in ("train", "eval", "train", "checkpoint", "startup"):
        time.sleep(0.01)
        clock.switch(kind)
    least += time.monotonic() - after
    total = sum(clock.all_seconds().values())
    most += time.monotonic() - before
    assert least - ROUNDING <= total <= most + ROUNDING
    assert set(clock.all_seconds()) == {
        "startup_seconds",
        "train_seconds",
        "eval_seconds",
        "checkpoint_seconds",
    }


def test_start_up_includes_what_passed_before_the_clock() -> None:
    least = age()
    assert Clock().seconds("startup") >= least
    assert Clock().seconds("train") == 0.0


def test_seconds_under_way_are_included() -> None:
    clock = Clock()
    clock.switch("train")
    time.sleep(0.02)
    assert clock.seconds("train") >= 0.02
    assert clock.seconds("eval") == 0.0


def test_a_block_inside_a_block_gives_the_time_back() -> None:
    clock = Clock()
    clock.switch("train")
    with clock.during("eval"):
        time.sleep(0.01)
        with clock.during("checkpoint"):
            time.sleep(0.03)
        inner, middle = clock.seconds("checkpoint"), clock.seconds("eval")
        time.sleep(0.01)
        assert clock.seconds("checkpoint") == inner >= 0.03
        assert clock.seconds("eval") >= middle + 0.01
    outer = clock.seconds("eval")
    time.sleep(0.01)
    assert clock.seconds("eval") == outer >= 0.02
    assert clock.seconds("train") >= 0.01


def test_a_block_that_fails_gives_the_time_back() -> None:
    clock = Clock()
    clock.switch("train")
    with pytest.raises(ZeroDivisionError), clock.during("eval"):
        raise ZeroDivisionError
    spent = clock.seconds("eval")
    time.sleep(0.01)
    assert clock.seconds("eval") == spent


def test_the_device_is_waited_for_before_a_switch_is_timed() -> None:
    clock = Clock(synchronize=lambda: time.sleep(0.02))
    clock.switch("train")
    clock.switch("eval")
    assert clock.seconds("train") >= 0.02


@pytest.mark.parametrize("name", ["SCALESTUDY_END_TIME", "SLURM_JOB_END_TIME"])
def test_a_job_is_left_before_its_end(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_JOB_END_TIME", raising=False)
    monkeypatch.setenv(name, str(time.time() + 100))
    deadline = Deadline()
    assert not deadline.is_near(save_seconds=0.0)
    assert not deadline.is_near(save_seconds=29.0)  # 10 + 3 × 29 = 97
    assert deadline.is_near(save_seconds=31.0)  # 10 + 3 × 31 = 103
    assert deadline.is_warned() and not deadline.is_over()
    monkeypatch.setenv(name, str(time.time() - 1))
    assert Deadline().is_over()
    monkeypatch.setenv(name, str(time.time() + 1000))
    assert not Deadline().is_warned()


def test_getting_ready_is_no_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCALESTUDY_END_TIME", str(time.time() + 12))
    deadline = Deadline()
    time.sleep(1.0)  # 10 + 3 × 1 > 11 that are left
    deadline.begin_step()
    assert not deadline.is_near(save_seconds=0.0)


def test_without_a_time_limit_there_is_no_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_JOB_END_TIME", raising=False)
    monkeypatch.delenv("SCALESTUDY_END_TIME", raising=False)
    deadline = Deadline()
    assert not deadline.is_near(save_seconds=1e6) and not deadline.is_warned()
