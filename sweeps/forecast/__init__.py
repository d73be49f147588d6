"""Forecasts: time, cost and memory of runs before they are submitted."""
