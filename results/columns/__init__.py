"""Columns as people read them: configurations, scores, names and numbers."""
