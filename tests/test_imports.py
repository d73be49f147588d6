"""Who may use whom, one door for each large library, and what a fast command must not load."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import rooms
from tests.helpers.paths import ROOT
from tests.rooms import Arrow

# Arrows that still run against the map; none may be added.
BACK: set[tuple[str, str]] = set()
UNLAWFUL: set[tuple[str, str]] = set()

# What a file starts as a process of its own, and why it is one.
PROCESSES = {
    "sweeps/schedulers/local.py": {"sweeps.jobs.dispatch"},  # outlives the command
    "sweeps/launch.py": {"sweeps.jobs.requeue"},  # outlive the command
    "sweeps/forecast/probe.py": {"bench"},  # trains, with torch, beside a command without
    "sweeps/jobs/analysis.py": {"bench"},  # what a person would type
}

# Where each large library may be imported: files or folders.
DOORS = {
    "deepspeed": ("bench/engine/",),
    "submitit": ("sweeps/jobs/", "sweeps/schedulers/"),
    "yaml": ("sweeps/documents.py",),
    "pyarrow": ("results/",),
    "matplotlib": ("results/figures/", "results/plot.py"),
    "scipy": ("results/", "bench/data/", "models/checkpoints/"),
    "sklearn": ("bench/data/",),
    "pydantic": (
        "bench/run/",
        "bench/protocols/",
        "sweeps/resources.py",
        "sweeps/spec.py",
        "sweeps/expand.py",
    ),
    "datasets": ("bench/data/",),
    "PIL": ("bench/data/",),
    "fvcore": ("models/cost/counted.py",),
    "jinja2": ("results/report/",),
    "safetensors": ("models/checkpoints/", "bench/engine/", "bench/training/", "bench/protocols/"),
    "wandb": ("bench/engine/trackers.py",),
    "pynvml": ("bench/engine/", "sweeps/schedulers/"),
    "typer": ("bench/cli/",),
    "rich": ("bench/cli/",),
}
# Names of DeepSpeed's private attributes, which its next version may rename.
DEEPSPEED_PRIVATE = {
    "_hp_mapping",
    "bit16_groups",
    "fp16_partitioned_groups",
    "fp32_partitioned_groups_flat",
    "grad_position",
    "optimizer_swapper",
    "params_in_partition",
    "single_partition_of_fp32_groups",
}
SLURM_COMMANDS = {"sacct", "sbatch", "scancel", "scontrol", "sinfo", "squeue", "srun"}
SLURM = ("sweeps/schedulers/",)
SLURM_ELSEWHERE = {"bench/cli/doctor.py"}

FILES = rooms.files(ROOT)
ARROWS = rooms.arrows(ROOT)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def broken_rules(arrows: list[Arrow]) -> list[str]:
    """Return a line for each import that runs back, passes a wall, or needs the command line."""
    found = []
    for arrow in arrows:
        if arrow.kind == "process" or arrow.rooms[0] == arrow.rooms[1]:
            continue
        line = f"{arrow.source} imports {arrow.target}"
        source, target = arrow.rooms
        unknown = {source, target} - set(rooms.FLOORS) - set(rooms.PACKAGES)
        if unknown:
            found.append(f"{line}: {unknown.pop()} is not on the map of tests/rooms.py")
        elif target == "bench.cli" and source not in ("bench.entry", "bench.__main__"):
            found.append(f"{line}: nothing imports the command line")
        elif rooms.is_back(arrow) and arrow.rooms not in BACK:
            found.append(f"{line}: runs back")
        elif not rooms.is_allowed(arrow) and arrow.rooms not in UNLAWFUL:
            found.append(f"{line}: {source} may not use {target}")
    return found


def test_arrows_run_one_way() -> None:
    assert not broken_rules(ARROWS)


def test_no_exception_is_out_of_date() -> None:
    assert {arrow.rooms for arrow in ARROWS if rooms.is_back(arrow)} >= BACK
    assert {arrow.rooms for arrow in ARROWS if not rooms.is_allowed(arrow)} >= UNLAWFUL


@pytest.mark.parametrize(
    ("name", "line", "complaint"),
    [
        ("results/sub/bad.py", "import bench.cli.app", "bench.cli"),
        ("results/sub/deeper/bad.py", "from sweeps import spec", "sweeps.spec"),
        ("results/laws/bad.py", "from results import table", "runs back"),
        ("models/vit/bad.py", "from results import schema", "runs back"),
        ("sweeps/bad.py", "from bench.training import loop", "may not use bench.training"),
        ("sweeps/schedulers/bad.py", "def f():\n    from sweeps import submit", "runs back"),
        ("bench/run/bad.py", "from bench.data import batches", "runs back"),
    ],
)
def test_a_planted_arrow_is_seen_at_any_depth(
    tmp_path: Path, name: str, line: str, complaint: str
) -> None:
    for package in rooms.PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("page"))
    before = broken_rules(rooms.arrows(tmp_path))
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(line + "\n")
    (found,) = set(broken_rules(rooms.arrows(tmp_path))) - set(before)
    assert found.startswith(f"{name} imports ")
    assert complaint in found or "is not on the map" in found


def test_processes_are_those_on_the_map() -> None:
    found: dict[str, set[str]] = {}
    for arrow in ARROWS:
        if arrow.kind == "process":
            found.setdefault(arrow.source, set()).add(arrow.target)
    assert found == PROCESSES


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_each_library_has_one_door(path: Path) -> None:
    for name in rooms.imported(path, ROOT):
        doors = DOORS.get(name.split(".")[0])
        assert doors is None or name_of(path).startswith(doors), f"{name_of(path)}: {name}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_what_is_known_of_others_insides_has_one_door(path: Path) -> None:
    tree = ast.parse(path.read_text())
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    if name_of(path) != "bench/engine/zero.py":
        assert not attributes & DEEPSPEED_PRIVATE
    if not name_of(path).startswith(SLURM) and name_of(path) not in SLURM_ELSEWHERE:
        lists = [node.elts for node in ast.walk(tree) if isinstance(node, ast.List) and node.elts]
        firsts = {first.value for first, *_ in lists if isinstance(first, ast.Constant)}
        assert not firsts & SLURM_COMMANDS


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_star_imports(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert all(alias.name != "*" for alias in node.names)


def test_packages_and_rooms_hold_a_docstring_and_nothing_else() -> None:
    registries = {"bench/data/sources/__init__.py", "sweeps/schedulers/__init__.py"}
    registries |= {"results/schema/__init__.py"}
    doors = {"models/__init__.py", "bench/entry/__init__.py"} | registries
    for path in FILES:
        if path.name == "__init__.py" and name_of(path) not in doors:
            body = ast.parse(path.read_text()).body
            assert len(body) == 1 and isinstance(body[0], ast.Expr), path


def test_a_room_shows_at_most_twenty_things_at_first_sight() -> None:
    for package in rooms.PACKAGES:
        assert len(rooms.first_sight(ROOT / package)) <= 20, package


def test_there_is_no_drawer_for_leftovers() -> None:
    names = {path.name for path in FILES}
    assert not names & {"utils.py", "common.py", "helpers.py", "misc.py"}


def test_no_two_classes_share_a_name() -> None:
    named: dict[str, list[str]] = {}
    for path in (*FILES, *sorted((ROOT / "tests").rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                named.setdefault(node.name, []).append(name_of(path))
    assert not {name: found for name, found in named.items() if len(found) > 1}


def test_no_test_module_imports_another() -> None:
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom | ast.Import):
                names = [alias.name for alias in node.names]
                module = node.module if isinstance(node, ast.ImportFrom) else None
                dotted = [f"{module}.{name}" if module else name for name in names]
                for name in dotted:
                    assert ".test_" not in f".{name}", f"{path}: {name}"


@pytest.mark.parametrize(
    ("arguments", "banned"),
    [
        (["--help"], {"torch", "pandas", "scipy", "matplotlib", "pyarrow", "pydantic_settings"}),
        (["models"], {"torch", "pandas", "scipy", "matplotlib", "numpy", "pyarrow"}),
        (["cost", "vit_b16"], {"torch"}),
        (["plan", "demo"], {"torch"}),
        (["table", "--published", "table2"], {"torch", "matplotlib", "scipy"}),
        (["plot", "frontier", "--published", "table6", "-o", "table6.svg"], {"torch", "deepspeed"}),
    ],
)
def test_fast_commands_load_no_heavy_library(
    arguments: list[str], banned: set[str], tmp_path: Path
) -> None:
    program = (
        "import sys; from bench.cli.app import main\n"
        f"try: main({arguments!r})\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        f"loaded = {banned!r} & set(sys.modules)\n"
        "assert not loaded, loaded"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
