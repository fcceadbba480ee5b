"""Quix Streams: the same work by its dataframe operators, in a process and environment of its own.

What it holds of a person stands in its state store, which has a changelog topic: that is what it
promises, at least once. Its environment is not the project's, for it wants an older pydantic.
"""

import json
import os

import msgspec
from quixstreams import Application, State

from benchmarks.contenders.by_hand import Person, is_kept, least_amount, observe
from benchmarks.contenders.needed import decode
from benchmarks.truth import Limits


def main() -> None:
    """Run until a signal ends it."""
    told = json.loads(os.environ["CONTENDER"])
    variants = msgspec.convert(told["variants"], list[Limits])
    least = least_amount(variants)
    app = Application(
        broker_address=told["broker"],
        consumer_group=told["group"],
        auto_offset_reset="earliest",
        state_dir=told["folder"],
        loglevel="WARNING",
    )
    kept = app.topic(told["kept"], value_serializer="bytes", value_deserializer="bytes")
    alerts = app.topic(told["alerts"], value_serializer="bytes")
    for name in told["outside"]:
        raws = app.dataframe(app.topic(name, value_deserializer="bytes"))
        raws = raws.filter(lambda raw: is_kept(decode(raw), least))
        raws.to_topic(kept, key=lambda raw: decode(raw).data.person)

    def take(raw: bytes, state: State) -> list[bytes]:
        held = msgspec.convert(state.get("person", {}), Person)
        found = observe(held, decode(raw).data, variants)
        state.set("person", msgspec.to_builtins(held))
        return [f"{rule}\t{transfer}".encode() for rule, transfer in found]

    app.dataframe(kept).apply(take, stateful=True, expand=True).to_topic(alerts)
    app.run()


if __name__ == "__main__":
    main()
