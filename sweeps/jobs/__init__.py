"""Jobs: what a node runs, how it ends, and the code it runs from."""
