"""One run, from its folder to its row in the ledger."""

import logging
import os
import time
from pathlib import Path

import models
import torch

from bench import checkpoint, devices, seeds, subsets
from bench.attempt import read_disk
from bench.batches import EvaluationBatches, TrainingBatches, stream
from bench.clock import Clock
from bench.config import BenchError, Run, read_run
from bench.data import load
from bench.engine import Engine, World, join_world, leave_world
from bench.evaluate import evaluate
from bench.recorder import Recorder
from bench.schedule import lr

log = logging.getLogger("scalebench")


def train(run_dir: Path) -> None:
    """Brings the run in `run_dir` to its end: from its checkpoint, if there is one.

    Every process of the attempt calls this. A run that is done is left alone. Raises what went
    wrong, after it has been written down; AlreadyRunning if another attempt is alive.
    """
    run = read_run(run_dir)
    world = join_world()
    try:
        clock = Clock(_synchronizer(world))
        recorder = _claim(run_dir, run, world, clock)
        if recorder == "done":
            log.info("%s: done before", run.run_id)
            return
        _train(run_dir, run, world, clock, recorder)
    finally:
        leave_world()


def _train(run_dir: Path, run: Run, world: World, clock: Clock, recorder: Recorder | None) -> None:
    config, engine_config = run.config, run.config.engine
    step: int | None = None
    try:
        if recorder:
            device = devices.describe(world.device)
            recorder.begin(world, device, devices.energy_meter(world.device))
        images = load(run.data, "train")
        subset = subsets.subset(images.labels, run.train_examples, config.subset_seed)
        if recorder:
            folder = run_dir.parent / "manifests"
            recorder.manifest = subsets.write_manifest(folder, run.data, subset, config.subset_seed)
        engine = build_engine(run, world)
        step = checkpoint.resume(run_dir, engine, world)
        batches = TrainingBatches(
            images=images,
            subset=subset,
            image_size=run.image_size,
            augment=config.augment,
            seed=seeds.derive(config.seed, "data"),
            batch_size=config.batch_size,
            rank=world.rank,
            world_size=world.size,
        )
        if recorder:
            recorder.start_steps(step)
        clock.switch("train")
        saved_at = time.monotonic()
        for image_batch, labels in stream(
            batches, range(step, run.num_steps), engine_config.num_workers
        ):
            is_point = (step + 1) % engine_config.log_steps == 0 or step + 1 == run.num_steps
            rate = lr(step, run.num_steps, config.recipe)
            _seed_dropout(run, step, world)
            engine.train_step(image_batch, labels, rate, measure=is_point)
            step += 1
            if is_point:
                loss, norm = engine.take_loss(), engine.grad_norm()
                if recorder:
                    recorder.point(step, loss, rate, norm)
                is_due = time.monotonic() - saved_at > engine_config.checkpoint_seconds
                if world.share(is_due) and step < run.num_steps:
                    with clock.during("checkpoint"):
                        if recorder:
                            recorder.flush()
                        checkpoint.save(run_dir, engine, world, step, {})
                    saved_at = time.monotonic()
            elif recorder:
                recorder.beat(step)
        clock.switch("eval")
        evaluation = evaluate(
            engine,
            EvaluationBatches(
                load(run.data, "eval"),
                run.image_size,
                engine_config.eval_batch_size,
                world.rank,
                world.size,
            ),
            world,
            num_workers=engine_config.num_workers,
            beat=lambda: recorder.beat(run.num_steps) if recorder else None,
        )
        clock.switch("checkpoint")
        checkpoint.write_weights(run_dir, engine, world, _describe_model(run))
        clock.switch("eval")
        if recorder:
            recorder.finish(step, evaluation, _count_macs(run))
        world.barrier()
    except Exception as error:
        if recorder:
            recorder.fail(step, f"{type(error).__name__}: {error}".splitlines()[0])
        if world.size > 1:
            # The other processes may wait in a collective that this one will never enter.
            log.exception("rank %d failed", world.rank)
            logging.shutdown()
            os._exit(1)
        raise
