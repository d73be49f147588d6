"""Who may import whom, and what a fast command must not load."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

PACKAGES = ("models", "bench", "sweeps", "results")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

# The parts of bench that a login host needs: they import no torch.
FROM_BENCH = {
    "bench.run.accelerators",
    "bench.run.attempt",
    "bench.run.config",
    "bench.data.sources",
    "bench.run.errors",
    "bench.run.ledger",
    "bench.run.memory",
    "bench.run.protocols",
    "bench.run.provenance",
    "bench.cli.output",
    "bench.training.signals",
}
JOB_CALLS = ("bench.training.loop", "bench.protocols.evaluations")
DOORS = {
    "deepspeed": {"bench/engine/engine.py"},
    "submitit": {"sweeps/jobs/dispatch.py", "sweeps/jobs/job.py", "sweeps/schedulers/slurm.py"},
    "yaml": {"sweeps/spec.py"},
    "pyarrow": {"results"},
    "matplotlib": {"results"},
    "pydantic": {
        "bench/run/config.py",
        "sweeps/resources.py",
        "sweeps/spec.py",
        "sweeps/expand.py",
    },
    "datasets": {"bench/data/sources.py"},
    "fvcore": {"bench/flops.py"},
    "jinja2": {"results/report/write.py"},
}


def imports(path: Path) -> list[tuple[str, bool]]:
    """Modules a file imports, with `from package import module` as package.module; at the top?"""
    tree = ast.parse(path.read_text())
    top = {id(node) for node in tree.body}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) in top) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                is_module = (ROOT / f"{full.replace('.', '/')}.py").exists()
                found.append((full if is_module else str(node.module), id(node) in top))
                assert alias.name != "*", f"{path}: star import"
    return found


def ours(path: Path) -> list[str]:
    return [name for name, _ in imports(path) if name.split(".")[0] in PACKAGES]


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_each_package_imports_only_what_it_may(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    allowed = {
        "models": {"models"},
        "results": {"results"},
        "bench": {"bench", "models", "results"},
        "sweeps": {"sweeps", "models", "results"},
    }[package]
    if package == "bench" and (path.parent.name == "cli" or path.name == "__main__.py"):
        return
    for name in ours(path):
        if name.split(".")[0] in allowed:
            continue
        is_job = package == "sweeps" and path.name == "job.py" and name in JOB_CALLS
        assert is_job or (package == "sweeps" and name in FROM_BENCH), f"{path} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_each_library_has_one_door(path: Path) -> None:
    here = path.relative_to(ROOT).as_posix()
    for name, _ in imports(path):
        doors = DOORS.get(name.split(".")[0])
        assert doors is None or here in doors or here.split("/")[0] in doors, f"{here}: {name}"


def test_nothing_imports_the_command_line() -> None:
    for path in FILES:
        if path.name != "__main__.py":
            assert "bench.cli.app" not in ours(path), path


def test_packages_hold_a_docstring_and_nothing_else() -> None:
    for package in ("bench", "sweeps", "results"):
        body = ast.parse((ROOT / package / "__init__.py").read_text()).body
        assert len(body) == 1 and isinstance(body[0], ast.Expr), package


def test_there_is_no_drawer_for_leftovers() -> None:
    names = {path.name for path in FILES}
    assert not names & {"utils.py", "common.py", "helpers.py", "misc.py"}


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
