"""Comparison tables: layouts, cells, and the formats they are printed in."""
