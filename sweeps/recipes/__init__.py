"""Recipes of papers, as data: a YAML file each."""
