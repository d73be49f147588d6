"""Warnings about a fit or a comparison: every code that tables, figures and JSON may carry."""

from dataclasses import dataclass

WARNING_CODES = {
    "too_few_scales": "fewer different x than parameters + 2: no honest interval, so none is given",
    "parameter_on_bound": "a parameter ended on its bound, so that the law may be of another form",
    "narrow_range": "x spans less than a factor of eight",
    "extrapolation": "a prediction more than a factor of two beyond the data",
    "no_hold_out": "without the largest factor of two in x too little is left to fit again",
    "hold_out_missed": "the largest scale lies outside what the others predicted of it",
    "no_error": "runs without any error have no logarithm and were left out",
    "best_of_many": "points of a frontier are the best of what was tried, so biased down",
    "collinear": "parameters and data vary together, so that their effects cannot be told apart",
    "inverted_parabola": "error falls to both sides of a middle size, so there is no minimum",
    "minimum_on_edge": "the minimum has fewer than two sizes on one side, or lies outside of them",
    "too_few_configurations": "a side of a comparison has too few configurations for an interval",
    "too_few_near": "too many resamples of a comparison have no answer",
    "open_interval": "an interval of a comparison has no end on one side",
    "several_crossings": "two lines cross more than once; the last crossing is given",
}


@dataclass(frozen=True)
class ResultWarning:
    """A warning about a result: a code of `WARNING_CODES` and its details."""

    code: str
    text: str

    def __post_init__(self) -> None:
        assert self.code in WARNING_CODES, self.code
