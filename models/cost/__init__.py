"""Cost of a network from its config: parameters, multiply-adds, memory. Imports no torch."""
