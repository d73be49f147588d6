"""A save that is killed between its phases."""

from pathlib import Path

from bench.engine import checkpoint
from bench.engine.world import World
from tests.helpers.checkpoints import build, names, save, values
from tests.helpers.processes import Start

KILL = """
import os, signal, sys
from pathlib import Path
import torch._dynamo  # which the first optimizer imports: here once for all children
from bench.engine import checkpoint
from bench.engine.world import join_world
from tests.helpers.checkpoints import build, fill, save

EVENTS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree")

def save_twice(run_dir, deadly):
    world = join_world()
    engine = build(world)
    save(run_dir, fill(engine, 2.0), world, 2)
    count = 0
    def watch(event, _):
        nonlocal count
        if event in EVENTS:
            count += 1
            if count == deadly:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(watch)
    save(run_dir, fill(engine, 4.0), world, 4)

# One child after the other, each killed one file operation later than the one before.
deadly, status = 0, signal.SIGKILL
while status == signal.SIGKILL:
    deadly += 1
    run_dir = Path(sys.argv[1]) / f"{deadly:03d}"
    run_dir.mkdir()
    if not (child := os.fork()):
        save_twice(run_dir, deadly)
        os._exit(0)
    _, status = os.waitpid(child, 0)
assert status == 0, status
"""


def test_a_save_killed_at_any_moment_leaves_a_usable_checkpoint(
    world: World, tmp_path: Path, start_python: Start
) -> None:
    process = start_python(KILL, tmp_path, PYTHONPATH="tests")
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors

    fresh, steps = build(world), []
    for run_dir in sorted(tmp_path.iterdir()):
        steps.append(checkpoint.resume(run_dir, fresh, world))
        assert values(fresh) == {float(steps[-1])}
        # The next save is not disturbed by what is left.
        save(run_dir, fresh, world, 6)
        assert names(run_dir) == {"step-00000006", "latest.json"}
    assert steps == sorted(steps)  # first the old one, and the new one once the pointer moved
    assert steps.count(2) > 5 and steps.count(4) > 2
