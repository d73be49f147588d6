"""A stand-in for torchvision, which timm imports for its data sets; none of that is called here."""

import importlib.abc
import importlib.machinery
import types
from unittest.mock import MagicMock


class TorchvisionStub(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Answers every import below torchvision with a module whose every name is a mock."""

    def find_spec(
        self, name: str, path: object, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name.partition(".")[0] != "torchvision":
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        module = types.ModuleType(spec.name)
        vars(module)["__getattr__"] = lambda name: MagicMock(name=name)
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        pass
