"""A town that makes events: ordinary life, published cases among it, written as a log."""
