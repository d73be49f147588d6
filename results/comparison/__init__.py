"""Groups of runs compared: lines, pairs, crossings, and which runs to add."""
