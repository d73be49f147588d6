"""One run, from its folder to its row in the ledger."""

import json
import logging
import math
from collections.abc import Callable
from pathlib import Path

import torch

import models
from bench import flops
from bench.data import subsets
from bench.data.batches import EvaluationBatches, TrainingBatches, stream
from bench.data.sources import Images, load
from bench.engine import checkpoint, devices
from bench.engine.engine import Engine
from bench.engine.world import World, join_world, leave_world
from bench.run import seeds
from bench.run.attempt import AlreadyRunning, read_disk
from bench.run.config import (
    Run,
    micro_batches,
    read_run,
    within,
)
from bench.run.errors import BenchError
from bench.run.ledger import Evaluation
from bench.training import schedule
from bench.training.async_max import Vote
from bench.training.clock import Clock, Deadline
from bench.training.evaluate import evaluate
from bench.training.recorder import Recorder, Silence
from bench.training.signals import TIME_IS_UP, Signals, Stopped
from bench.training.watchdog import Watchdog

log = logging.getLogger("scalestudy")


class NonFiniteLoss(BenchError):
    """The training loss is no number any more."""


def train(run_dir: Path) -> None:
    """Brings the run in `run_dir` to its end, from its checkpoint if there is one.

    Every process of the attempt calls this. A run that is done is left alone. Raises
    AlreadyRunning if another attempt is alive, Stopped after a signal, when all is saved, and
    whatever goes wrong, after writing it down: a process that is not alone then ends here.
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
                config = within(run.config, world.size, recorder.micro_batch_limit)
                run = run.model_copy(update={"config": config})
                with Watchdog(run_dir, run, world, clock, recorder) as watchdog:
                    _train(run_dir, run, world, clock, recorder, signals, watchdog)
    finally:
        leave_world()


def _train(
    run_dir: Path,
    run: Run,
    world: World,
    clock: Clock,
    recorder: Silence,
    signals: Signals,
    watchdog: Watchdog,
) -> None:
    config = run.config
    vote = Vote(world)
    deadline = Deadline()
    step = 0
    try:
        micro_batch_size, _ = micro_batches(config, world.size)
        recorder.begin(world, devices.name_of(world.device), micro_batch_size)
        images = load(run.data, "train")
        batches = _training_batches(run_dir, run, world, images, recorder)
        engine = Engine(_build(run), config, world)
        step = checkpoint.resume(run_dir, engine, world)
        recorder.start_steps(step)

        clock.switch("train")
        deadline.begin_step()
        checkpoints = checkpoint.Checkpoints(run_dir, config.engine, engine, world, step)
        for pixels, labels in stream(
            batches, range(step, run.num_steps), config.engine.num_workers
        ):
            torch.manual_seed(seeds.derive(config.seed, run.run_id, "dropout", step, world.rank))
            is_point = (step + 1) % config.engine.log_steps == 0 or step + 1 == run.num_steps
            lr = schedule.lr(step, run.num_steps, config.recipe)
            engine.train_step(pixels, labels, lr, measure=is_point)
            step += 1
            recorder.beat(step)
            watchdog.progress(is_step=True)
            if is_point:
                loss = engine.take_loss()
                if not math.isfinite(loss):
                    raise _non_finite(loss, step, engine, checkpoints)
                recorder.point(step, loss, lr, engine.grad_norm())
            if step == run.num_steps:
                break
            is_late = deadline.is_near(checkpoints.save_seconds)
            signum = vote(signals.received or (TIME_IS_UP if is_late else 0))
            if signum or checkpoints.is_due(step, may_ask=is_point):
                with clock.during("checkpoint"):
                    recorder.flush()
                    checkpoints.save(step)
                    watchdog.progress()
            if signum:
                near_end, is_over = deadline.is_warned(), deadline.is_over()
                raise Stopped(signum, step, near_end=near_end, is_over=is_over)

        vote.close()
        clock.switch("eval")
        evaluation = _evaluate(run, world, engine, recorder, watchdog)
        clock.switch("checkpoint")
        checkpoint.write_weights(run_dir, engine, world, _describe_model(run))
        engine.close()
        recorder.finish(step, evaluation, _count_macs(run) if world.is_main else 0)
        if world.is_main:
            checkpoint.remove(run_dir)
        watchdog.let_go()
        world.barrier()
    except Stopped as stopped:
        vote.close()
        recorder.stop(step, stopped.ended, str(stopped))
        watchdog.let_go()
        world.barrier()
        raise
    except Exception as error:
        watchdog.end(error)
        raise


def _claim(run_dir: Path, run: Run, world: World, clock: Clock) -> Silence | None:
    """The recorder of this attempt; None where the run is done. Raises AlreadyRunning."""
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
    return claimed or Silence(*outcome)


def _non_finite(
    loss: float, step: int, engine: Engine, checkpoints: checkpoint.Checkpoints
) -> NonFiniteLoss:
    """The error that says where a run lost its way; all processes must enter."""
    first = engine.first_non_finite()
    where = "all weights are finite" if first is None else f"so is {first}, first of the weights"
    return NonFiniteLoss(
        f"the loss is {loss} at step {step}: {where}; last checkpoint: step {checkpoints.last_step}"
    )


def _training_batches(
    run_dir: Path, run: Run, world: World, images: Images, recorder: Silence
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
    )


def _evaluate(
    run: Run, world: World, engine: Engine, recorder: Silence, watchdog: Watchdog
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
    """The network with its initial weights, the same on every process."""
    torch.manual_seed(seeds.derive(run.config.seed, run.run_id, "init"))
    return models.build(
        run.config.model,
        num_classes=run.data.num_classes,
        image_size=run.image_size,
        **run.config.model_options,
    )


def _count_macs(run: Run) -> int:
    """Multiply-adds of one image, as fvcore counts them."""
    counted = flops.count(
        run.config.model,
        run.image_size,
        num_classes=run.data.num_classes,
        **run.config.model_options,
    )
    return counted.forward_macs


def _describe_model(run: Run) -> dict[str, str]:
    """What is needed to build the network of a weights file again, as safetensors metadata."""
    return {
        "model": run.config.model,
        "num_classes": str(run.data.num_classes),
        "image_size": str(run.image_size),
        "model_options": json.dumps(run.config.model_options),
    }


def _synchronizer(world: World) -> Callable[[], None]:
    """Waits for the device's work, so that the clock reads what has been done."""
    if world.device.type == "cuda":
        return torch.cuda.synchronize
    return lambda: None
