"""Pre-activation ResNets of Big Transfer."""
