import pytest

from benchmarks import instructions

# Well above the 49,000 that were measured: an order of magnitude that no busy machine can miss.
MOST_PER_LINE = 80_000


@pytest.mark.skipif(not instructions.is_countable(), reason="there is no valgrind to count with")
def test_a_line_takes_no_more_instructions_than_it_did() -> None:
    assert instructions.per_line() < MOST_PER_LINE
