"""One run: its config, data, engine, training, evaluation, cost; and the command line."""
