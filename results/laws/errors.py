"""Error of fits that the data cannot support."""

from results.schema import ResultsError


class FitError(ResultsError):
    """Error raised for too few distinct scales or an unknown form."""
