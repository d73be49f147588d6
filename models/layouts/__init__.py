"""Layouts of weights files: names and shapes of arrays, and how they become our parameters."""
