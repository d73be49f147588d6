"""Evaluation protocols for trained networks."""
