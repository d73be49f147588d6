"""Schedulers: what is submitted, what they still hold, and what a site allows."""
