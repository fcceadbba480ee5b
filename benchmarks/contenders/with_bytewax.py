"""Bytewax: a stream of one worker that keeps each person's calls and transfers by hand.

It decodes as the floor does, drops by hand what the rule cannot use, and holds what is left per
person without ever forgetting: a day's log fits. So it does less than the product on each record
(no contract checked, no lateness, no revisions), and gives the same matches.
"""

from collections.abc import Callable
from functools import partial

import bytewax.operators as op
from bytewax.connectors.files import FileSource
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSink, run_main

from benchmarks.contenders.by_hand import Kept, Match, Person, is_kept, least_amount, observe
from benchmarks.contenders.common import arguments, write_matches
from benchmarks.contenders.needed import decode
from benchmarks.truth import Limits


def _kept(least: int, line: str) -> tuple[str, Kept] | None:
    record = decode(line)
    return (record.data.person, record.data) if is_kept(record, least) else None


def _matcher(
    variants: list[Limits],
) -> Callable[[Person | None, Kept], tuple[Person, list[Match]]]:
    def take(held: Person | None, kept: Kept) -> tuple[Person, list[Match]]:
        person = held or Person()
        return person, observe(person, kept, variants)

    return take


def main() -> None:
    """Run the flow in this process."""
    log, variants, out = arguments()
    found: list[tuple[str, Match]] = []
    flow = Dataflow("workload_a")
    lines = op.input("lines", flow, FileSource(log))
    kept = op.filter_map("kept", lines, partial(_kept, least_amount(variants)))
    matched = op.stateful_flat_map("matched", kept, _matcher(variants))
    op.output("out", matched, TestingSink(found))
    run_main(flow)  # type: ignore[no-untyped-call]  # it comes without
    write_matches(out, {match for _, match in found})


if __name__ == "__main__":
    main()
