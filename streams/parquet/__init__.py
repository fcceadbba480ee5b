"""Parquet logs: records in columns, read whole or only where a rule could use them."""
