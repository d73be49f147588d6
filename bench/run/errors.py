"""Errors that a user can correct; every message is one line."""


class BenchError(Exception):
    """Base of the errors that a user of runs and studies can correct."""


class SettingError(BenchError):
    """A value of a config is missing, unknown or out of range."""
