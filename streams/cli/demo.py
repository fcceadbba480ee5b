"""`ringfence demo`: published cases through the real worker, and one alert explained."""

from typing import Annotated

import typer


def demo(
    *,
    broker: Annotated[
        str | None, typer.Option(help="host:port of a broker to use; else one of our own.")
    ] = None,
    in_process: Annotated[
        bool, typer.Option("--in-process", help="Without broker and worker.")
    ] = False,
) -> None:
    """Take a recorded log of published cases through a worker, and show what it finds.

    Whatever the broker, the demo has topics and a group of its own, and removes them.

    Example: ringfence demo --broker localhost:9092
    """
    from streams.demo.command import run_demo

    run_demo(broker, in_process=in_process)
