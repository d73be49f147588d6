"""Two processes save, and one is killed at any moment: what the pointer names is always whole."""

import hashlib
import json
from pathlib import Path

import torch
from safetensors.torch import load_file

from tests.helpers.processes import Start

NUM_KILLS, DELAY_SECONDS, NUM_DELAYED = 50, 1.5, 3

# The engine is built once, before the forks; each pair of children then joins a world of its own,
# resumes as a run does, and saves until one of the two is killed.
PAIRS = """
import os, random, signal, socket, sys, time
from pathlib import Path
import torch
import bench.engine.shards
from bench.engine import checkpoint
from bench.engine.world import join_world, leave_world
from tests.helpers.checkpoints import build, fill, save, values

run_dir, num_kills, num_delayed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
delay = float(sys.argv[4])
moments = random.Random(0)
engine = build(join_world())
leave_world()

def save_on(rank, port, pipe, is_late):
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2")
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    world = engine.world = join_world()
    step = checkpoint.resume(run_dir, engine, world)
    assert step == 0 or values(engine) == {float(step)}, (step, values(engine))
    os.write(pipe, b"%d " % step)
    write = bench.engine.shards.write
    def write_late(path, content):
        time.sleep(delay)
        write(path, content)
    while True:
        step += 1
        if is_late and rank == 1:
            bench.engine.shards.write = write_late
        save(run_dir, fill(engine, float(step)), world, step)
        os.write(pipe, b"%d " % step)

for number in range(num_kills + num_delayed):
    is_late = number >= num_kills
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    pipe, end = os.pipe()
    pair = []
    for rank in range(2):
        if not (pid := os.fork()):
            os.close(pipe)
            sys.stderr = open(run_dir / f"errors-{number}-{rank}", "w")
            try:
                save_on(rank, port, end, is_late)
            except AssertionError as error:
                print(error, file=sys.stderr, flush=True)
                os._exit(3)
            except BaseException:
                os._exit(1)
        pair.append(pid)
    os.close(end)
    first = b""
    while len(first.split()) < 2:
        first += os.read(pipe, 100)
        assert first, "both have left"  # each says where it resumes
    # A save takes some ten milliseconds, or the delay.
    time.sleep(moments.uniform(0.3, 0.9) * delay if is_late else moments.uniform(0, 0.1))
    victim = moments.randrange(2)
    os.kill(pair[victim], signal.SIGKILL)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pair]
    rest = b""
    while part := os.read(pipe, 10**6):
        rest += part
    returned = max(int(word) for word in (first + rest).split())
    # What a reader finds now: the pointer, and a copy of what it names.
    pointer = (run_dir / "checkpoint" / "latest.json")
    found = pointer.read_text() if pointer.exists() else "null"
    print(victim, int(is_late), returned, codes[1 - victim], found, flush=True)
    assert sys.stdin.readline()
"""


def step_of(run_dir: Path, text: str) -> int:
    """The step of the checkpoint that the pointer names, every byte of which has been looked at."""
    pointer = json.loads(text)
    if pointer is None:
        return 0
    folder = run_dir / "checkpoint" / pointer["name"]
    content = (folder / "state.json").read_bytes()
    assert hashlib.sha256(content).hexdigest() == pointer["sha256"]
    state = json.loads(content)
    found: dict[str, torch.Tensor] = {}
    for name, about in state["files"].items():
        path = folder / name
        assert path.stat().st_size == about["bytes"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == about["sha256"]
        found |= load_file(path)
    assert len(state["files"]) == 2
    assert set(found) == {"weight:0:1.weight", "weight:0:1.bias"}
    assert all((tensor == pointer["step"]).all() for tensor in found.values())
    assert state["step"] == pointer["step"]
    return int(state["step"])


def test_a_rank_killed_at_any_moment_of_a_save_leaves_the_newest_whole_checkpoint(
    tmp_path: Path, start_python: Start
) -> None:
    numbers = (NUM_KILLS, NUM_DELAYED, DELAY_SECONDS)
    process = start_python(PAIRS, tmp_path, *numbers, PYTHONPATH="tests")
    assert process.stdout is not None and process.stdin is not None
    cut, delayed, before = 0, 0, 0
    for _ in range(NUM_KILLS + NUM_DELAYED):
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        _, is_late, returned, code, text = line.split(maxsplit=4)
        # The one that was left noticed, and had found at its start what it was to find.
        assert code == "1", [path.read_text() for path in tmp_path.glob("errors-*")]
        step = step_of(tmp_path, text)
        # The newest: each that a process knows of, and at most the one that was being made.
        assert int(returned) <= step <= int(returned) + 1
        assert step >= before
        before = step
        root = tmp_path / "checkpoint"
        cut += any(path.name.startswith(".step") for path in root.glob(".*"))
        if is_late == "1":
            assert step == int(returned)  # the pointer has waited
            delayed += 1
        process.stdin.write("on\n")
        process.stdin.flush()
    print(f"{NUM_KILLS} kills, of which {cut} left a save half made, {before} saves in all;")
    print(f"{delayed} kills while one process was {DELAY_SECONDS} s late: all resumed")
    assert delayed == NUM_DELAYED and cut > 5
