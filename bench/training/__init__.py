"""The training loop of one run and what watches over it."""
