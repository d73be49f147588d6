"""User-defined networks: built by a user's function, without an operator description."""
