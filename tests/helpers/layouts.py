"""Rules of published files for the config of any family."""

import models
from models.layouts.rules import Layout, Rule

PUBLISHED_BIT = Layout("tensorflow")


def rules(config: models.Config, layout: Layout) -> list[Rule]:
    """Return the rules of the config's family."""
    files = models.FAMILIES[config.family].published_files()
    assert files is not None
    return files.rules(config, layout)
