"""DeepSpeed and the devices under it: training steps and checkpoints."""
