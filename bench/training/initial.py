"""Give a new network the weights that its run starts from."""

import os
from dataclasses import fields
from pathlib import Path

from torch import nn

import models
from bench.run.config import Run
from bench.run.errors import BenchError
from models.configs import IDENTITY, Config

# Fields that may differ between the network of the weights and the run's.
FREE = {
    *IDENTITY,
    "image_size",
    "head_bias_init",
    "representation_size",
    "dropout",
    "attention_dropout",
    "stochastic_depth",
}


class InitError(BenchError):
    """Initial weights are missing, or are not of the run's network."""


def load(run_dir: Path, run: Run, network: nn.Module) -> None:
    """Load the initial weights of the run in `run_dir` into `network`; nothing without such.

    Position embeddings are resized as published. A new head is zero, with the bias that the config
    says; the pre-training head's hidden layer goes with the old one (arXiv:2010.11929, section
    3.2). Raises InitError.
    """
    if run.init is None:
        return
    path = Path(os.path.normpath(run_dir / run.init.source))
    if not path.is_file():
        who = f"run {run.init.run_id} has no weights yet, " if run.init.run_id else ""
        raise InitError(f"init: {who}{path} does not exist")
    try:
        found = models.load_checkpoint(
            path,
            image_size=run.network.image_size,
            num_classes=run.data.num_classes,
            new_head=not run.keeps_head,
        )
    except models.ModelsError as error:
        raise InitError(f"init: {error}") from error
    config = found.config
    assert isinstance(config, Config)
    _check(path, config, run.network)
    state = found.state_dict()
    own = network.state_dict()
    different = [name for name in own | state if name not in own or name not in state]
    different += [n for n in own if n in state and own[n].shape != state[n].shape]
    if different:
        raise InitError(
            f"init: {path} holds another network than {run.config.model}: {different[0]} differs"
        )
    network.load_state_dict(state)
    if not run.keeps_head:
        head = network.get_submodule("head")
        assert isinstance(head, nn.Linear) and head.bias is not None
        nn.init.constant_(head.bias, run.network.head_bias_init)


def _check(path: Path, found: Config, wanted: Config) -> None:
    """Raise InitError if the weights are of another network, naming the first field."""
    if type(found) is not type(wanted):
        raise InitError(
            f"init: {path} holds a network of family {found.family}, the run's is {wanted.family}"
        )
    for field in fields(wanted):
        theirs, ours = getattr(found, field.name), getattr(wanted, field.name)
        if field.name not in FREE and theirs != ours:
            raise InitError(
                f"init: {path} holds {found.label} with {field.name} {theirs!r}, the run's "
                f"{wanted.label} has {ours!r}: choose that model, or give model_options."
                f"{field.name}"
            )
