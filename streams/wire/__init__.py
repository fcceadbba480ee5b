"""What crosses the edge, byte by byte: records in, dead letters out, and the contract in print."""
