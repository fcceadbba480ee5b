"""What a running worker shows of itself, and to whom: whether it works, and how well."""
