"""One run without torch: config, attempts, ledger rows, cost: all that sweeps import of bench."""
