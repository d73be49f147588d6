"""Bundled study specs, each a YAML file, named on the command line by its stem."""
