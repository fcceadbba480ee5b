"""How fast the product is, beside a bare loop and beside others, on a log anybody can make."""
