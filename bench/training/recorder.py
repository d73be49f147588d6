"""Record an attempt while it runs: heartbeats, the training curve, rows of the ledger."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from bench.engine.checkpoint import check_room
from bench.engine.trackers import Trackers
from bench.engine.world import World
from bench.run import ledger
from bench.run.accelerators import peak_flops
from bench.run.attempt import Attempt
from bench.run.config import Run
from bench.run.environment import environment
from bench.run.heartbeat import Ended
from bench.run.ledger import Evaluation
from bench.run.provenance import software
from bench.training import meters
from bench.training.clock import Clock
from models.cost.macs import Cost
from results.ledger import parquet

log = logging.getLogger("scalestudy")


class NullRecorder:
    """Recorder of every rank but rank 0: it writes nothing."""

    manifest: str | None = None

    def __init__(self, number: int = 1, micro_batch_limit: int | None = None) -> None:
        """Store the attempt's number, and the micro-batch limit after out-of-memory errors."""
        self.number, self.micro_batch_limit = number, micro_batch_limit

    def begin(self, world: World, device_name: str, micro_batch_size: int) -> None:
        """Record what the attempt runs on."""

    def start_steps(self, step: int) -> None:
        """Record that the first step of this attempt is about to begin, after `step` steps."""

    def beat(self, step: int) -> None:
        """Write a heartbeat with the number of steps done, if one is due."""

    def point(self, step: int, loss: float, lr: float, grad_norm: float | None) -> None:
        """Add a point to the training curve, after `step` steps."""

    def flush(self) -> None:
        """Write the points since the last flush as a part of the curve."""

    def finish(self, step: int, evaluation: Evaluation) -> None:
        """Record that the run is done: its evaluation, its attempt, its row in the ledger."""

    def end(self, ended: Ended, reason: str) -> None:
        """Record that the attempt ended early; if it "failed", so has the run."""

    def stop(self, step: int, ended: Ended, reason: str) -> None:
        """Record that the attempt ended after `step`, which is saved."""


class Recorder(NullRecorder):
    """Recorder of rank 0."""

    def __init__(self, run_dir: Path, run: Run, clock: Clock) -> None:
        """Claim the run; raise AlreadyRunning if another process is training it."""
        self.run_dir, self.run, self.clock = run_dir, run, clock
        self.attempt = Attempt(run_dir)
        self.attempt.beat(0.0, **clock.all_seconds())
        ledger.write_lost_attempts(run_dir, run, self.attempt.number)
        attempts = ledger.read_attempts(run_dir)
        super().__init__(self.attempt.number, ledger.micro_batch_limit(attempts))
        self._before = ledger.totals(attempts)
        self._interval = run.config.engine.heartbeat_seconds
        self._curve: list[dict[str, Any]] = []
        self._last = (0, 0.0)
        self._trackers: Trackers | None = None
        self._measured: Callable[[], dict[str, float | None]] = dict
        self.manifest: str | None = None

    @cached_property
    def cost(self) -> Cost:
        """What the run is charged for. Raises ModelsError if its network cannot be built."""
        return self.run.cost

    def begin(self, world: World, device_name: str, micro_batch_size: int) -> None:
        check_room(self.run_dir, self.cost.params)
        self._measured = meters.start(world.device)
        if names := self.run.config.engine.trackers:
            self._trackers = Trackers(self.run_dir, self.run.study, self.number, names)
        hosts = ",".join(environment().hosts) or self.attempt.last.host
        precision = self.run.config.recipe.precision
        if world.device.type == "cuda" and peak_flops(device_name, precision) is None:
            log.warning("%s: no peak at %s is known, utilization is null", device_name, precision)
        place = {"device": device_name, "num_devices": world.size, "hosts": hosts}
        place["micro_batch_size"] = micro_batch_size
        self.attempt.beat(0.0, **place, **software(), **self._costs())

    def start_steps(self, step: int) -> None:
        seen = step * self.run.config.batch_size
        self._last = (step, self.clock.seconds("train"))
        self.attempt.beat(0.0, from_examples=seen, **self._progress(step))
        log.info("%s: from step %d of %d", self.run.run_id, step, self.run.num_steps)

    def beat(self, step: int) -> None:
        self.attempt.beat(self._interval, **self._progress(step))

    def point(self, step: int, loss: float, lr: float, grad_norm: float | None) -> None:
        seconds = self.clock.seconds("train")
        last_step, last_seconds = self._last
        self._last = (step, seconds)
        seen = step * self.run.config.batch_size
        speed = (step - last_step) * self.run.config.batch_size / max(seconds - last_seconds, 1e-9)
        self._curve.append(
            {
                "study": self.run.study,
                "run_id": self.run.run_id,
                "attempt": self.attempt.number,
                "step": step,
                "examples_seen": seen,
                "train_flops": ledger.flops(self.cost.forward_macs, seen),
                "train_seconds": (self._before["train_seconds"] or 0.0) + seconds,
                "loss": loss,
                "lr": lr,
                "grad_norm": grad_norm,
                "images_per_second": speed,
            }
        )
        if self._trackers:
            values = {"loss": loss, "lr": lr, "grad_norm": grad_norm, "images_per_second": speed}
            self._trackers.write(seen, values)
        self.attempt.beat(
            self._interval, loss=loss, images_per_second=speed, **self._progress(step)
        )

    def flush(self) -> None:
        if self._curve:
            name = f"{self.attempt.number:04d}-{self._curve[-1]['step']:08d}.parquet"
            parquet.write(self.run_dir / "curve" / name, "curve", self._curve)
            self._curve = []

    def finish(self, step: int, evaluation: Evaluation) -> None:
        self.flush()
        rows = ledger.eval_rows(self.run, evaluation)
        parquet.write(self.run_dir / "evals" / "upstream.parquet", "evals", rows)
        self._end("done", None, step, evaluation)
        log.info("%s: done, top-1 %.4f", self.run.run_id, evaluation.top1_accuracy)

    def end(self, ended: Ended, reason: str) -> None:
        smallest = 2 if self.run.config.recipe.mixes else 1
        if ended == "out_of_memory" and self.attempt.last.micro_batch_size == smallest:
            count = "two images" if smallest == 2 else "one image"
            ended, reason = "failed", f"{reason} (with a micro-batch of {count})"
        if ended == "failed":
            self.flush()
            self._end("failed", reason, None, None)
        elif ended == "out_of_memory":
            # Without memory Arrow waits forever for its threads: the next attempt writes the row.
            self.attempt.beat(0.0, **self._costs())
            self.attempt.end(ended, reason)
        else:
            # The points since the last checkpoint are dropped: they will be repeated.
            self._record_attempt(None, ended, reason)
            self.attempt.beat(0.0, ended=ended, reason=reason)
        log.error("%s: %s: %s", self.run.run_id, ended, reason)

    def stop(self, step: int, ended: Ended, reason: str) -> None:
        self.flush()
        self._record_attempt(step, ended, reason)
        self.attempt.beat(0.0, ended=ended, reason=reason)
        log.info("%s: %s", self.run.run_id, reason)

    def _record_attempt(self, step: int | None, ended: Ended, reason: str | None) -> None:
        """Write the attempt's row in the ledger, and close its trackers."""
        if self._trackers:
            self._trackers.close()
            self._trackers = None
        progress = self._costs() if step is None else self._progress(step)
        ended_at = datetime.now(UTC).replace(microsecond=0)
        self.attempt.beat(0.0, **progress, ended_at=ended_at)
        beat = replace(self.attempt.last, ended=ended, reason=reason)
        ledger.write_attempt(self.run_dir, self.run, self.attempt.number, beat)

    def _end(
        self,
        state: Literal["done", "failed"],
        failure: str | None,
        step: int | None,
        evaluation: Evaluation | None,
    ) -> None:
        self._record_attempt(step, state, failure)
        row = ledger.run_row(
            self.run,
            ledger.read_attempts(self.run_dir),
            state=state,
            failure=failure,
            cost=ledger.known_cost(self.run),
            manifest=self.manifest,
            evaluation=evaluation,
        )
        parquet.write(self.run_dir / "run.parquet", "runs", [row])
        # Written last: a reader that finds "done" in the heartbeat finds a complete ledger.
        self.attempt.beat(0.0, ended=state, reason=failure)

    def _progress(self, step: int) -> dict[str, Any]:
        seen = step * self.run.config.batch_size
        progress = {"step": step, "num_steps": self.run.num_steps, "to_examples": seen}
        return progress | self._costs()

    def _costs(self) -> dict[str, Any]:
        return {**self.clock.all_seconds(), "measured": self._measured()}
