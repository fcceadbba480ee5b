"""Everything of ringfence that touches the outside, and decides nothing."""
