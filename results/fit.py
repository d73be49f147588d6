"""Scaling laws fitted to a ledger, for notebooks."""

from results.laws.errors import FitError as FitError
from results.laws.law import POINTS as POINTS
from results.laws.law import fit_groups as fit_groups
from results.laws.law import fit_law as fit_law
from results.laws.law import fit_points as fit_points
from results.laws.law_fit import LawFit as LawFit
