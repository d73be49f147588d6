"""Rooms of the packages and the arrows between them: `python -m tests.rooms` prints the map.

A room is a folder of a package, or a file at its top (a door). An arrow is an import, or a
process that a file starts (`python -m …`). The map is drawn from the ground up: an arrow runs
back where a room uses one that stands on a higher floor.
"""

import ast
import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

PACKAGES = ("models", "bench", "sweeps", "results")

# From the ground up. A room may use those before it in this list.
FLOORS = (
    "models.configs",
    "models.operators",
    "models.layouts",
    "models.family",
    "models.resnet",
    "models.layers",
    "models.vit",
    "models.hybrid",
    "models.bit",
    "models.custom",
    "models.families",
    "models.aliases",
    "models.registry",
    "models.cost",
    "models.checkpoints",
    "models",
    "results.schema",
    "results.ledger",
    "results.columns",
    "results.store",
    "results.published",
    "results.reference",
    "results.frontier",
    "results.laws",
    "results.fit",
    "results.comparison",
    "results.compare",
    "results.tables",
    "results.table",
    "results.figures",
    "results.plot",
    "results.report",
    "bench.run",
    "bench.data",
    "bench.flops",
    "bench.fewshot",
    "bench.engine",
    "bench.training",
    "bench.protocols",
    "bench.measure",
    "sweeps.study",
    "sweeps.resources",
    "sweeps.documents",
    "sweeps.recipes",
    "sweeps.specs",
    "sweeps.schedulers",
    "sweeps.jobs",
    "sweeps.spec_keys",
    "sweeps.spec",
    "sweeps.points",
    "sweeps.expand",
    "sweeps.status",
    "sweeps.launch",
    "sweeps.cancel",
    "sweeps.submit",
    "sweeps.forecast",
    "bench.cli",
    "bench.entry",
    "bench.__main__",
)

# Which rooms of the other packages a room may use, beyond the order of the floors.
MODELS = ("models",)
RESULTS = ("results",)
JOB = ("bench.data", "bench.training", "bench.protocols")
MAY_USE: dict[str, tuple[str, ...]] = {
    "models": MODELS,
    "results": RESULTS,
    "bench": (*MODELS, *RESULTS, "bench"),
    "bench.cli": PACKAGES,
    "sweeps": (*MODELS, *RESULTS, "sweeps", "bench.run"),
    "sweeps.jobs": (*MODELS, *RESULTS, "sweeps", "bench.run", *JOB),
}


@dataclass(frozen=True)
class Arrow:
    """A use of the module `target` by the file `source` (path from the root)."""

    source: str
    target: str
    kind: Literal["import", "process"]

    @property
    def rooms(self) -> tuple[str, str]:
        """The rooms at its two ends."""
        return room_of_file(self.source), room_of_module(self.target)


def room_of_file(name: str) -> str:
    """Return the room of a file: `results/laws/curve.py` is in `results.laws`."""
    parts = name.removesuffix(".py").removesuffix("/__init__").split("/")
    return ".".join(parts[:2])


def room_of_module(name: str) -> str:
    """Return the room of a module: `results.laws.curve` is in `results.laws`."""
    return ".".join(name.split(".")[:2])


def files(root: Path) -> list[Path]:
    """Return the Python files of the packages at every depth."""
    return sorted(path for package in PACKAGES for path in (root / package).rglob("*.py"))


def _is_module(root: Path, name: str) -> bool:
    path = root / name.replace(".", "/")
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def _is_program(root: Path, name: str) -> bool:
    path = root / name.replace(".", "/")
    return path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()


def imported(path: Path, root: Path) -> Iterator[str]:
    """Yield the modules that a file imports, `from package import module` as package.module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if _is_module(root, full) else str(node.module)


def started(path: Path, root: Path) -> Iterator[str]:
    """Yield our modules that a file names in a text: those that it starts as a process."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.List | ast.Tuple):
            words = [e.value if isinstance(e, ast.Constant) else None for e in node.elts]
            for option, name in itertools.pairwise(words):
                if option == "-m" and isinstance(name, str):
                    yield name
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "." in node.value:
            name = node.value
            if name.split(".")[0] in PACKAGES and _is_program(root, name):
                yield name


def arrows(root: Path) -> list[Arrow]:
    """Return every arrow from a file of ours to another room or module of ours."""
    found = set()
    for path in files(root):
        source = path.relative_to(root).as_posix()
        for name in imported(path, root):
            if name.split(".")[0] in PACKAGES:
                found.add(Arrow(source, name, "import"))
        found |= {
            Arrow(source, name, "process")
            for name in started(path, root)
            if name.split(".")[0] in PACKAGES
        }
    return sorted(found, key=lambda arrow: (arrow.source, arrow.target, arrow.kind))


def is_back(arrow: Arrow) -> bool:
    """Return whether an import uses a room that is not on a lower floor."""
    source, target = arrow.rooms
    known = source in FLOORS and target in FLOORS
    return source != target and not (known and FLOORS.index(target) < FLOORS.index(source))


def is_allowed(arrow: Arrow) -> bool:
    """Return whether a room may use the package or room that the arrow leads to."""
    source, target = arrow.rooms
    allowed = MAY_USE.get(source) or MAY_USE[source.split(".")[0]]
    return source == target or target in allowed or target.split(".")[0] in allowed


def first_sight(folder: Path) -> list[str]:
    """Return the names that a folder shows, without hidden files, caches and `__init__`."""
    names = (path.name for path in folder.iterdir())
    return sorted(n for n in names if not n.startswith((".", "__")))


def report(root: Path) -> str:
    """Return the map as text: files, arrows in and out, arrows back and processes by room."""
    all_arrows = arrows(root)
    between = [arrow for arrow in all_arrows if arrow.rooms[0] != arrow.rooms[1]]
    imports = [arrow for arrow in between if arrow.kind == "import"]
    back = [arrow for arrow in imports if is_back(arrow)]
    lines = [f"{'room':24}{'files':>6}{'in':>6}{'out':>6}{'back':>6}  uses"]
    count: dict[str, int] = {}
    for path in files(root):
        room = room_of_file(path.relative_to(root).as_posix())
        count[room] = count.get(room, 0) + 1
    for room in sorted(count, key=lambda name: FLOORS.index(name) if name in FLOORS else -1):
        out = [arrow for arrow in imports if arrow.rooms[0] == room]
        into = [arrow for arrow in imports if arrow.rooms[1] == room]
        uses = sorted({arrow.rooms[1] for arrow in out})
        num_back = sum(arrow in back for arrow in out)
        lines.append(
            f"{room:24}{count[room]:6}{len(into):6}{len(out):6}{num_back:6}  {' '.join(uses)}"
        )
    lines += ["", f"arrows back: {len(back)}"]
    lines += [f"  {arrow.source} → {arrow.target}" for arrow in back]
    processes = [arrow for arrow in all_arrows if arrow.kind == "process"]
    lines += ["", f"processes started: {len(processes)}"]
    lines += [f"  {arrow.source} → python -m {arrow.target}" for arrow in processes]
    lines += ["", "at first sight:"]
    lines += [f"  {name}/ {len(first_sight(root / name))}" for name in PACKAGES]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(report(Path(__file__).resolve().parent.parent) + "\n")
