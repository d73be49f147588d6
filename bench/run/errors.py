"""What a user can get wrong; every message is one line."""


class BenchError(Exception):
    """What a user gave to a run is wrong."""


class ConfigError(BenchError):
    """A value of a config is missing, unknown or out of range."""
