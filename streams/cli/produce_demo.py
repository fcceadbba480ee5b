"""`ringfence produce-demo`: the demo's log onto the outside topics of a trial installation."""

from typing import Annotated

import typer


def produce_demo(
    *,
    broker: Annotated[
        str | None, typer.Option(help="Brokers to ask first: host:port, comma-separated.")
    ] = None,
) -> None:
    """Send the demo's log to the outside topics that the settings name.

    Example: ringfence produce-demo --broker localhost:9092
    """
    from streams.demo.command import produce_demo as produce

    produce(broker)
