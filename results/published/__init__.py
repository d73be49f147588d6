"""Published figures as Parquet, one file per table; `make` builds them from CSV files."""
