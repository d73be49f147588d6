"""Train one run, from its folder to its row in the ledger."""

import json
import logging
import math
from collections.abc import Callable
from pathlib import Path

import torch

import models
from bench.data import mixing, subsets
from bench.data.batches import EvaluationBatches, TrainingBatches, stream
from bench.data.sources import Images, load
from bench.engine import checkpoint, devices
from bench.engine.checkpoint import Checkpoints
from bench.engine.engine import Engine
from bench.engine.world import World, join_world, leave_world
from bench.run import seeds
from bench.run.attempt import AlreadyRunning, read_disk
from bench.run.config import Run, read_run
from bench.run.errors import BenchError
from bench.run.ledger import Evaluation
from bench.run.micro_batch import clamp_micro_batch, micro_batches
from bench.training import cost_check, initial, schedule
from bench.training.async_max import AsyncMax
from bench.training.clock import Clock, Deadline
from bench.training.evaluate import evaluate
from bench.training.recorder import NullRecorder, Recorder
from bench.training.signals import TIME_LIMIT, Signals, Stopped
from bench.training.watchdog import Watchdog

log = logging.getLogger("scalestudy")


class NonFiniteLoss(BenchError):
    """The training loss is infinite or NaN."""


def train(run_dir: Path) -> None:
    """Train the run in `run_dir` to its end, resuming from its checkpoint if there is one.

    Every rank of the attempt calls this. A finished run is left alone. Raises AlreadyRunning if
    another attempt is alive, and Stopped after a signal, when everything is saved. Any other error
    is recorded and raised; with more than one rank, the process exits instead.
    """
    run = read_run(run_dir)
    world = join_world()
    try:
        with Signals() as signals:
            clock = Clock(_synchronizer(world))
            recorder = _claim(run_dir, run, world, clock)
            if recorder is None:
                log.info("%s: was done before", run.run_id)
            else:
                config = clamp_micro_batch(run.config, world.size, recorder.micro_batch_limit)
                run = run.model_copy(update={"config": config})
                with Watchdog(run_dir, run, world, clock, recorder) as watchdog:
                    _Training(run_dir, run, world, clock, recorder, signals, watchdog).run()
    finally:
        leave_world()


class _Training:
    """One attempt after its claim: set-up, steps, evaluation, end.

    The engine is passed on instead of stored, so that it can be freed after an error.
    """

    def __init__(
        self,
        run_dir: Path,
        run: Run,
        world: World,
        clock: Clock,
        recorder: NullRecorder,
        signals: Signals,
        watchdog: Watchdog,
    ) -> None:
        self._run_dir, self._run, self._world = run_dir, run, world
        self._clock, self._recorder = clock, recorder
        self._signals, self._watchdog = signals, watchdog
        self._deadline = Deadline()
        self._max_signal = AsyncMax(world)

    def run(self) -> None:
        """Train to the end, or until a signal or an error, and record which."""
        try:
            engine, batches, step = self._set_up()
            self._steps(engine, batches, step)
            self._max_signal.close()
            self._finish(engine)
        except Stopped as stopped:
            self._max_signal.close()
            self._recorder.stop(stopped.step, stopped.ended, str(stopped))
            self._leave_together()
            raise
        except Exception as error:  # the ledger records any failure
            self._watchdog.end(error)
            raise

    def _set_up(self) -> tuple[Engine, TrainingBatches, int]:
        """Return engine, data and the step to resume from."""
        run, world = self._run, self._world
        micro_batch_size, _ = micro_batches(run.config, world.size)
        self._recorder.begin(world, devices.name_of(world.device), micro_batch_size)
        images = load(run.data, "train")
        batches = _training_batches(self._run_dir, run, world, images, self._recorder)
        network = _build(run)
        initial.load(self._run_dir, run, network)
        if world.is_main:
            cost_check.check(run, network)
        engine = Engine(network, run.config, world)
        step = checkpoint.resume(self._run_dir, engine, world)
        self._recorder.start_steps(step)
        return engine, batches, step

    def _steps(self, engine: Engine, batches: TrainingBatches, step: int) -> None:
        """Train until the last step; raise Stopped after a signal, when the step is saved."""
        run, config, settings = self._run, self._run.config, self._run.config.engine
        self._clock.switch("train")
        self._deadline.begin_step()
        checkpoints = Checkpoints(self._run_dir, settings, engine, self._world, step)
        for images, labels in stream(batches, range(step, run.num_steps), settings.num_workers):
            torch.manual_seed(
                seeds.derive(config.seed, run.run_id, "dropout", step, self._world.rank)
            )
            is_point = (step + 1) % settings.log_steps == 0 or step + 1 == run.num_steps
            lr = schedule.lr(step, run.num_steps, config.recipe)
            mix = mixing.draw(config.recipe, run.image_size, config.seed, "data", step)
            engine.train_step(images, labels, lr, mix=mix, measure=is_point)
            step += 1
            self._recorder.beat(step)
            self._watchdog.progress(is_step=True)
            if is_point:
                loss = engine.take_loss()
                if not math.isfinite(loss):
                    raise _non_finite(loss, step, engine, checkpoints)
                self._recorder.point(step, loss, lr, engine.grad_norm())
            if step < run.num_steps:
                self._between_steps(step, checkpoints, is_point=is_point)

    def _between_steps(self, step: int, checkpoints: Checkpoints, *, is_point: bool) -> None:
        """Save if a checkpoint is due or a rank has received a signal; then raise Stopped."""
        is_late = self._deadline.is_near(checkpoints.save_seconds)
        signum = self._max_signal(self._signals.received or (TIME_LIMIT if is_late else 0))
        if signum or checkpoints.is_due(step, may_ask=is_point):
            with self._clock.during("checkpoint"):
                self._recorder.flush()
                checkpoints.save(step)
                self._watchdog.progress()
        if signum:
            near_end, is_over = self._deadline.is_warned(), self._deadline.is_over()
            raise Stopped(signum, step, near_end=near_end, is_over=is_over)

    def _finish(self, engine: Engine) -> None:
        """Evaluate the trained network, write its weights and record that the run is done."""
        run, world = self._run, self._world
        self._clock.switch("eval")
        with engine.averaged():
            evaluation = _evaluate(run, world, engine, self._recorder, self._watchdog)
            self._clock.switch("checkpoint")
            checkpoint.write_weights(self._run_dir, engine, world, _describe_model(run))
        engine.close()
        self._recorder.finish(run.num_steps, evaluation)
        if world.is_main:
            checkpoint.remove(self._run_dir)
        self._leave_together()

    def _leave_together(self) -> None:
        self._watchdog.allow_exit()
        self._world.barrier()


def _claim(run_dir: Path, run: Run, world: World, clock: Clock) -> NullRecorder | None:
    """Claim the run and return its recorder; None if it is done. Raises AlreadyRunning."""
    claimed: Recorder | None = None
    outcome: tuple[int, int | None] | str | None = None
    if world.is_main:
        try:
            if read_disk(run_dir).state != "done":
                claimed = Recorder(run_dir, run, clock)
                outcome = claimed.number, claimed.micro_batch_limit
        except AlreadyRunning as error:
            outcome = str(error)
    outcome = world.broadcast(outcome)
    if outcome is None:
        return None
    if isinstance(outcome, str):
        raise AlreadyRunning(outcome)
    return claimed or NullRecorder(*outcome)


def _non_finite(loss: float, step: int, engine: Engine, checkpoints: Checkpoints) -> NonFiniteLoss:
    """Return the error that names the first non-finite weight (collective)."""
    first = engine.first_non_finite()
    where = "all weights are finite" if first is None else f"so is {first}, first of the weights"
    return NonFiniteLoss(
        f"the loss is {loss} at step {step}: {where}; last checkpoint: step {checkpoints.last_step}"
    )


def _training_batches(
    run_dir: Path, run: Run, world: World, images: Images, recorder: NullRecorder
) -> TrainingBatches:
    seed = run.config.subset_seed
    subset = subsets.subset(images.labels, run.train_examples, seed)
    if world.is_main:
        folder = run_dir.parent / "manifests"
        recorder.manifest = subsets.write_manifest(folder, run.data, subset, seed)
    return TrainingBatches(
        images=images,
        subset=subset,
        image_size=run.image_size,
        augment=run.config.augment,
        seed=seeds.derive(run.config.seed, "data"),
        batch_size=run.config.batch_size,
        rank=world.rank,
        world_size=world.size,
        recipe=run.config.recipe,
    )


def _evaluate(
    run: Run, world: World, engine: Engine, recorder: NullRecorder, watchdog: Watchdog
) -> Evaluation:
    batches = EvaluationBatches(
        images=load(run.data, "eval"),
        image_size=run.image_size,
        batch_size=run.config.engine.eval_batch_size,
        rank=world.rank,
        world_size=world.size,
    )

    def beat() -> None:
        recorder.beat(run.num_steps)
        watchdog.progress()

    return evaluate(
        engine,
        batches,
        world,
        num_workers=run.config.engine.num_workers,
        beat=beat,
    )


def _build(run: Run) -> torch.nn.Module:
    """Build the network with its initial weights, the same on all ranks."""
    torch.manual_seed(seeds.derive(run.config.seed, run.run_id, "init"))
    return models.assemble(run.network, num_classes=run.data.num_classes)


def _describe_model(run: Run) -> dict[str, str]:
    """Return the safetensors metadata from which the network of a weights file can be rebuilt."""
    return {
        "model": run.config.model,
        "num_classes": str(run.data.num_classes),
        "image_size": str(run.image_size),
        "model_options": json.dumps(run.config.model_options),
    }


def _synchronizer(world: World) -> Callable[[], None]:
    """Return a function that waits until the device has finished its work."""
    if world.device.type == "cuda":
        return torch.cuda.synchronize
    return lambda: None
