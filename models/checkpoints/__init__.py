"""Reading, inferring, converting and resizing published checkpoints and our own."""
