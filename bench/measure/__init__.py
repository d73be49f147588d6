"""Measured speed, and published costs beside the computed ones."""
