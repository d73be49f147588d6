"""Entry module of the installed distribution: `scalestudy` with the four packages below it.

The packages import each other by their short names (`models`, `bench`, `sweeps`, `results`).
Importing this module puts the folder that holds them first on `sys.path`, so that no module of
the same name elsewhere is found instead. `from scalestudy.results import store` and
`from results import store` then give the same module object.
"""

import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

PACKAGES = ("models", "bench", "sweeps", "results")
_HERE = Path(__file__).resolve().parent
# Installed, the packages are beside this file; in a checkout they are two folders above it.
ROOT = _HERE if (_HERE / "bench").is_dir() else _HERE.parents[1]


class _Alias(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finder that resolves `scalestudy.<package>` to the module imported by its short name."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        top, _, name = fullname.partition(".")
        if top != "scalestudy" or name.split(".")[0] not in PACKAGES:
            return None
        return importlib.machinery.ModuleSpec(fullname, self)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        module = importlib.import_module(spec.name.partition(".")[2])
        # The import system replaces `__spec__` of what this returns; exec_module restores it.
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        alias = module.__spec__
        assert alias is not None
        module.__spec__ = alias.loader_state


def _put_first() -> None:
    """Put the packages' folder first on `sys.path`; raise ImportError where it is too late."""
    for name in PACKAGES:
        loaded = sys.modules.get(name)
        if loaded is not None:
            file = getattr(loaded, "__file__", None) or "an unknown place"
            if ROOT not in Path(file).resolve().parents:
                raise ImportError(
                    f"scalestudy: a module named {name} has been imported from {file}; "
                    f"import scalestudy before it, expected {ROOT / name}"
                )
    sys.path[:] = [str(ROOT), *(entry for entry in sys.path if entry != str(ROOT))]
    sys.meta_path.insert(0, _Alias())


def main() -> None:
    """Run the command line."""
    from bench.cli.app import main as run

    run()


_put_first()
