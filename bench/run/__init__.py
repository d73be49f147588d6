"""One run without torch: config, attempts, ledger rows, cost; what sweeps import of bench."""
